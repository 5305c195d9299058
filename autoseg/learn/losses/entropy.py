"""Losses that judge every voxel by itself: cross-entropy, and what gives hard voxels more weight in it.

Regions are judged one by one, by binary cross-entropy.
"""

import math

import torch
from torch import Tensor

from autoseg.learn.losses.comparison import Comparison

FOCUS = 2.0
"""Exponent of focal loss: the published choice."""
HARDEST_SHARE = 0.1
"""Of the voxels, that top-k cross-entropy learns from: nnU-Net's choice."""


def cross_entropy(seen: Comparison) -> Tensor:
    """Mean cross-entropy of the annotated voxels."""
    return seen.voxel_mean(seen.entropy)


def focal(seen: Comparison) -> Tensor:
    """Cross-entropy in which a voxel weighs less the surer the network is of its class.

    Source: Lin et al. 2017, Focal Loss for Dense Object Detection (arXiv:1708.02002).
    """
    doubt = -torch.expm1(-seen.entropy)  # 1 - the probability of the truth
    return seen.voxel_mean(doubt.pow(FOCUS) * seen.entropy)


def top_k(seen: Comparison) -> Tensor:
    """Mean cross-entropy of the tenth of the annotated voxels where it is largest.

    Source: Wu et al. 2016, Bridging Category-level and Instance-level Semantic Image Segmentation (arXiv:1605.06885).
    """
    each = seen.entropy.flatten()
    hardest = torch.topk(each, math.ceil(HARDEST_SHARE * each.numel()), sorted=True).values
    wanted = (HARDEST_SHARE * seen.count * seen.entropy.shape[1]).ceil()  # fewer, where not all is annotated
    taken = torch.arange(hardest.numel(), device=each.device) < wanted
    return (hardest * taken).sum() / wanted
