"""The deployable model: a folder that needs nothing else, and the object that segments arrays with it.

>>> sorted(__all__)
['Keep', 'SegmentationModel', 'Tta', 'identity', 'load', 'write']
"""

from autoseg.model.folder import identity, load, write
from autoseg.model.segmentation import Keep, SegmentationModel, Tta

__all__ = ["Keep", "SegmentationModel", "Tta", "identity", "load", "write"]
