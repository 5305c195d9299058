"""Losses that judge each target as a whole, by how far prediction and truth overlap, whatever its share of the voxels.

``batch_dice`` sums over the batch before a ratio is taken. A target that is absent overlaps fully where nothing of it
is predicted, and next to not at all otherwise.
"""

import torch
from torch import Tensor

from autoseg.learn.losses.comparison import Comparison

SMOOTH = 1e-5
"""Keeps ratios of absent targets defined."""
FALSE_POSITIVES, FALSE_NEGATIVES = 0.3, 0.7
"""Their weights in the Tversky index: what is missed counts more than what is too much."""
FOCAL_EXPONENT = 0.75
"""Of what the Tversky index lacks; below 1, hence steep near the goal."""


def dice(seen: Comparison) -> Tensor:
    """The negative soft Dice, mean over targets: -1 at best.

    Source: Milletari et al. 2016, V-Net (arXiv:1606.04797), with sums instead of squares as nnU-Net has them (Isensee
    et al. 2021, doi:10.1038/s41592-020-01008-z).
    """
    return -dice_of_each(seen).mean()


def tversky(seen: Comparison) -> Tensor:
    """The negative Tversky index, mean over targets: -1 at best. Misses cost more than false alarms.

    Source: Salehi et al. 2017, Tversky loss function (arXiv:1706.05721).
    """
    return -_tversky_of_each(seen).mean()


def focal_tversky(seen: Comparison) -> Tensor:
    """What the Tversky index lacks to 1, raised to 3/4, mean over targets: near 0 at best. Poor targets weigh more.

    Source: Abraham and Khan 2018, A Novel Focal Tversky Loss Function (arXiv:1810.07842), with gamma = 4/3.
    """
    lacking = (1 - _tversky_of_each(seen)).clamp(min=SMOOTH)  # at 0 the slope of the power is infinite
    return lacking.pow(FOCAL_EXPONENT).mean()


def generalized_dice(seen: Comparison) -> Tensor:
    """The negative generalised Dice: -1 at best. All heads in one ratio, weighted by the inverse square of their size.

    The background is a head like any other, as published; an absent head weighs as much as the smallest present. The
    weights are relative to the largest, so that smoothing never outweighs what it smooths, however large all heads are.

    Source: Sudre et al. 2017, Generalised Dice overlap (arXiv:1707.03237).
    """
    shared, predicted, true = _sums(seen, seen.head_probabilities, seen.head_truth)
    smallest = torch.where(true > 0, true, torch.inf).amin(-1, keepdim=True)
    weights = torch.where(true > 0, smallest / true.clamp(min=1), 1.0).square()
    overlap, total = (weights * shared).sum(-1), (weights * (predicted + true)).sum(-1)
    return -((2 * overlap + SMOOTH) / (total + SMOOTH)).mean()


def dice_of_each(seen: Comparison) -> Tensor:
    """Soft Dice of each target: (T,) with ``batch_dice``, else (B, T)."""
    shared, predicted, true = _sums(seen, seen.probabilities, seen.truth)
    return (2 * shared + SMOOTH) / (predicted + true + SMOOTH)


def _tversky_of_each(seen: Comparison) -> Tensor:
    """(T,) with ``batch_dice``, else (B, T)."""
    shared, predicted, true = _sums(seen, seen.probabilities, seen.truth)
    wrong = FALSE_POSITIVES * (predicted - shared) + FALSE_NEGATIVES * (true - shared)
    return (shared + SMOOTH) / (shared + wrong + SMOOTH)


def _sums(seen: Comparison, probabilities: Tensor, truth: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sizes of what is shared, predicted and true: (N,) with ``batch_dice``, else (B, N)."""
    axes = tuple(range(2, truth.ndim))
    shared = (probabilities * truth).sum(axes)
    predicted = (probabilities * seen.annotated).sum(axes)
    true = truth.sum(axes)
    return (shared.sum(0), predicted.sum(0), true.sum(0)) if seen.batch_dice else (shared, predicted, true)
