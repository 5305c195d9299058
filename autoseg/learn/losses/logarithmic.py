"""The exponential-logarithmic loss: powers of logarithms of Dice and of cross-entropy, for structures of unequal size.

Source: Wong et al. 2018, 3D Segmentation with Exponential Logarithmic Loss for Highly Unbalanced Object Sizes
(arXiv:1809.00076). There labels are weighted by their frequency in the training set; here by that in the batch, which
is what a loss sees.
"""

import torch
from torch import Tensor

from autoseg.learn.losses.comparison import Comparison
from autoseg.learn.losses.overlap import dice_of_each

DICE_SHARE, ENTROPY_SHARE = 0.8, 0.2
EXPONENT = 0.3
"""Below 1: steep where the network errs little, which is what makes small structures count to the end."""
_LEAST = 1e-5  # where the power's slope would be infinite


def exponential_logarithmic(seen: Comparison) -> Tensor:
    """Weighted sum of both parts: near 0 at best."""
    overlap = _power(-dice_of_each(seen).log()).mean()
    entropy = _power(seen.entropy) * _weights(seen) * seen.annotated
    return DICE_SHARE * overlap + ENTROPY_SHARE * seen.voxel_mean(entropy)


def _power(values: Tensor) -> Tensor:
    return values.clamp(min=_LEAST).pow(EXPONENT)


def _weights(seen: Comparison) -> Tensor:
    """(B, 1 or T, …): the root of how many times rarer than all voxels the voxel's class is; for regions, in or out."""
    axes = (0, *range(2, seen.logits.ndim))
    sizes = seen.head_truth.sum(axes, keepdim=True)
    inside = (seen.count / sizes.clamp(min=1)).sqrt()
    if seen.exclusive:
        return (inside * seen.head_truth).sum(1, keepdim=True)
    outside = (seen.count / (seen.count - sizes).clamp(min=1)).sqrt()
    return torch.where(seen.head_truth, inside, outside)
