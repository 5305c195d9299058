"""Losses that look at how far errors lie from the boundary, which overlap does not see; used beside Dice and entropy.

Distances are in voxels of the patch, cut off at ``distances.REACH``; farther errors cost no more than those there.
"""

import torch
from torch import Tensor

from autoseg.learn.losses.comparison import Comparison
from autoseg.learn.losses.distances import REACH, distance_to


def signed_distance(seen: Comparison) -> Tensor:
    """Mean over voxels of probability times signed distance to the true boundary, in units of the reach.

    Distances are 0 on the outermost voxels of the target and negative inside, so the best prediction has the lowest
    value, between -1 and 0.

    Source: Kervadec et al. 2019, Boundary loss for highly unbalanced segmentation (arXiv:1812.07032).
    """
    with torch.no_grad():
        outside, inside = _from_both_sides(seen.truth, seen.annotated)
        signed = torch.where(seen.truth, 1 - inside, outside) / REACH * seen.annotated
    return seen.voxel_mean(signed * seen.probabilities)


def hausdorff(seen: Comparison) -> Tensor:
    """Mean over voxels of the squared error times the squared distances to both boundaries, in units of the reach.

    Source: Karimi and Salcudean 2019, Reducing the Hausdorff Distance in Medical Image Segmentation
    (arXiv:1904.10030), their loss from distance transforms with alpha = 2.
    """
    with torch.no_grad():
        predicted = (seen.probabilities > 0.5) & seen.annotated
        far = sum(
            distance.square()  # one of both is 0
            for mask in (seen.truth, predicted)
            for distance in _from_both_sides(mask, seen.annotated)
        )
        weights = far / REACH**2 * seen.annotated
    return seen.voxel_mean(weights * (seen.truth.to(seen.logits.dtype) - seen.probabilities).square())


def _from_both_sides(mask: Tensor, annotated: Tensor) -> tuple[Tensor, Tensor]:
    """Distance to the mask, and to what is known not to belong to it."""
    return distance_to(mask), distance_to(~mask & annotated)
