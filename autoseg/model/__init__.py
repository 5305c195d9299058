"""The deployable model: a folder that needs nothing else, and the object that segments arrays with it.

>>> sorted(__all__)
['SegmentationModel', 'Tta', 'identity', 'load', 'write']
"""

from autoseg.model.folder import identity, load, write
from autoseg.model.segmentation import SegmentationModel, Tta

__all__ = ["SegmentationModel", "Tta", "identity", "load", "write"]
