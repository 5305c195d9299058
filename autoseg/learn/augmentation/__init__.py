"""Augmentation: random changes that leave the meaning of an image alone, so that a network learns to ignore them.

``drawing`` says what happens to a sample, from a random generator of its own; ``geometry`` rotates, scales and mirrors
while the patch is cut out of its surroundings; then ``intensity`` adds noise, blurs, changes brightness, contrast,
resolution and gamma, on all channels of a batch that drew it at once (``apply``). All work is done by torch on the
device that trains. A sample comes out the same whatever else is in its batch.
Kinds, ranges and order follow Isensee et al. 2021 (doi:10.1038/s41592-020-01008-z, supplement).
"""

from autoseg.learn.augmentation.apply import change_intensities
from autoseg.learn.augmentation.drawing import Intensities, draw_geometry, draw_intensities
from autoseg.learn.augmentation.geometry import Geometry, show

__all__ = ["Geometry", "Intensities", "change_intensities", "draw_geometry", "draw_intensities", "show"]
