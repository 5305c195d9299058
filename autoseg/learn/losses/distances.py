"""How far voxels lie from a mask, on the device that trains: exact Euclidean distances, up to a few voxels.

The squared distance along one axis after the other is the least of the neighbours' values plus 1, then 3, 5, … (Huang
and Mitchell 1994, A Euclidean distance transform using grayscale morphology decomposition). Cut off at ``REACH`` voxels
it fits a byte, so that every pass is cheap; the whole takes tens of elementwise operations, not a loop over voxels.
"""

import torch
from torch import Tensor

REACH = 8
"""Voxels; whatever is farther is this far."""


def distance_to(mask: Tensor) -> Tensor:
    """Distance of each voxel to the nearest voxel of a mask, in voxels, at most ``REACH``; ``REACH`` if it is empty.

    Args:
        mask: (B, N, …) bool.

    Returns:
        The same shape, float32; 0 inside the mask.

    >>> distance_to(torch.tensor([[[True, False, False]]]))
    tensor([[[0., 1., 2.]]])
    """
    squared = torch.where(mask, 0, REACH**2).to(torch.uint8)
    for axis in range(2, mask.ndim):
        _spread(squared, axis)
    return squared.float().sqrt()


def _spread(squared: Tensor, axis: int) -> None:
    """Let every voxel lower its neighbours along an axis, in place: least over d of ``squared`` d voxels away + d²."""
    length = squared.shape[axis]
    for distance in range(1, min(REACH, length)):
        step = 2 * distance - 1
        raised = squared + step
        low, high = squared.narrow(axis, 0, length - 1), squared.narrow(axis, 1, length - 1)
        torch.minimum(low, raised.narrow(axis, 1, length - 1), out=low)
        torch.minimum(high, raised.narrow(axis, 0, length - 1), out=high)
