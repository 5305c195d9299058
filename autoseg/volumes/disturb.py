"""Errors on purpose: masks changed the way a network gets them wrong, so that the next one does not trust them blindly.

A cascade's second stage trains on masks of its first. Those it meets later are of other networks; so borders are moved
and components are lost at random. Kinds and frequencies follow Isensee et al. 2021 (doi:10.1038/s41592-020-01008-z).
"""

from math import prod

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

LARGEST_RADIUS = 8
"""Voxels by which a border is moved at most."""
LOST_SHARE = 0.15
"""Of the patch; larger components are never lost."""
PER_MASK = 0.5
"""Chance of each mask, once its patch was drawn."""


def disturb(
    masks: NDArray[np.float32], rng: np.random.Generator, border_probability: float, loss_probability: float
) -> None:
    """Move borders and lose components of the masks of one patch, in place.

    Args:
        masks: (K, z, y, x) of 0 and 1, one per target.
        rng: Of all draws.
        border_probability: Of moving borders in this patch at all.
        loss_probability: Of losing components in this patch at all.
    """
    if rng.random() < border_probability:
        for index in rng.permutation(len(masks)):
            if rng.random() < PER_MASK:
                _move_border(masks, int(index), rng)
    if rng.random() < loss_probability:
        for mask in masks:
            if rng.random() < PER_MASK:
                _lose_component(mask, rng)


def _move_border(masks: NDArray[np.float32], index: int, rng: np.random.Generator) -> None:
    """Dilate, erode, open or close; what a mask gains, the others lose."""
    width = 2 * int(rng.integers(1, LARGEST_RADIUS + 1)) + 1
    size = [min(width, edge) for edge in masks.shape[1:]]
    before = masks[index] > 0.5
    grow, shrink = ndimage.maximum_filter, ndimage.minimum_filter
    steps = ((grow,), (shrink,), (shrink, grow), (grow, shrink))[int(rng.integers(4))]
    after = before.astype(np.uint8)
    for step in steps:
        after = step(after, size=size, mode="nearest")
    changed = after > 0
    masks[:, changed & ~before] = 0.0
    masks[index] = changed


def _lose_component(mask: NDArray[np.float32], rng: np.random.Generator) -> None:
    """Remove one small component, if there is any."""
    components, count = ndimage.label(mask > 0.5)
    sizes = np.bincount(components.ravel(), minlength=count + 1)[1:]
    small = np.flatnonzero(sizes < LOST_SHARE * prod(mask.shape)) + 1
    if len(small):
        mask[components == rng.choice(small)] = 0.0
