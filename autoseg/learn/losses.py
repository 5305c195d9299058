"""What training minimises: soft Dice plus cross-entropy, over the annotated voxels only.

Targets are class indices (B, …), ``IGNORED`` where nothing is annotated and outside the image. Everything is computed
in float32 whatever the network's precision. Soft Dice: Milletari et al. 2016 (arXiv:1606.04797); its sum with
cross-entropy, and the weights of deep supervision: Isensee et al. 2021 (doi:10.1038/s41592-020-01008-z).
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

IGNORED = -1
"""Target of voxels that teach nothing."""
SMOOTH = 1e-5
"""Keeps the Dice of an absent class defined."""


class Loss(Protocol):
    """Logits (B, H, …) and targets (B, …) to a scalar; ``members`` are the class indices of each region."""

    def __call__(self, logits: Tensor, target: Tensor, *, batch_dice: bool, members: Sequence[Sequence[int]]) -> Tensor:
        """Lower is better; -1 is the best Dice part."""
        ...


def dice_ce(logits: Tensor, target: Tensor, *, batch_dice: bool, members: Sequence[Sequence[int]] = ()) -> Tensor:
    """Soft Dice of the foreground classes plus cross-entropy, for classes that exclude each other.

    Args:
        logits: (B, H, …) with the background first.
        target: (B, …) class indices below H, or ``IGNORED``.
        batch_dice: Sum over the batch before the ratio is taken; steadier where classes are rare.
        members: Unused; classes are their own regions.
    """
    logits, target = logits.float(), target.long()
    annotated = target != IGNORED
    entropy = functional.cross_entropy(logits, target, ignore_index=IGNORED, reduction="sum")
    classes = torch.arange(1, logits.shape[1], device=logits.device)
    truth = target.unsqueeze(1) == _spread(classes, target)
    probabilities = torch.softmax(logits, dim=1)[:, 1:]
    return entropy / annotated.sum().clamp(min=1) - _mean_dice(probabilities, truth, annotated, batch_dice)


def dice_bce(logits: Tensor, target: Tensor, *, batch_dice: bool, members: Sequence[Sequence[int]]) -> Tensor:
    """Soft Dice plus binary cross-entropy of each region, for regions that may overlap.

    Args:
        logits: (B, H, …), one channel per region.
        target: (B, …) class indices, or ``IGNORED``.
        batch_dice: Sum over the batch before the ratio is taken.
        members: Class indices of each of the H regions.
    """
    logits, target = logits.float(), target.long()
    annotated = target != IGNORED
    truth = torch.stack([torch.isin(target, torch.tensor(m, device=target.device)) for m in members], dim=1)
    entropy = functional.binary_cross_entropy_with_logits(logits, truth.float(), reduction="none")
    entropy = (entropy * annotated.unsqueeze(1)).sum() / (annotated.sum().clamp(min=1) * len(members))
    return entropy - _mean_dice(torch.sigmoid(logits), truth, annotated, batch_dice)


LOSSES: dict[str, Loss] = {
    "dice_ce": dice_ce,
    "dice_bce": dice_bce,
}
"""By the name that a ``TrainingPlan`` carries."""


def supervision_weights(outputs: int) -> list[float]:
    """Weight of each output of a deeply supervised network: halved per level, summing to 1.

    >>> supervision_weights(2)
    [0.6666666666666666, 0.3333333333333333]
    """
    raw = [0.5**level for level in range(outputs)]
    return [weight / sum(raw) for weight in raw]


def coarsen(target: Tensor, scale: Sequence[int]) -> Tensor:
    """Every ``scale``-th voxel of (B, …), taken from the middle of its block.

    >>> coarsen(torch.arange(6)[None], (3,))
    tensor([[1, 4]])
    """
    return target[(slice(None), *(slice(s // 2, None, s) for s in scale))]


def _mean_dice(probabilities: Tensor, truth: Tensor, annotated: Tensor, batch_dice: bool) -> Tensor:
    axes = tuple(range(2, probabilities.ndim))
    mask = annotated.unsqueeze(1)
    shared = (probabilities * truth).sum(axes)
    predicted = (probabilities * mask).sum(axes)
    true = truth.sum(axes)
    if batch_dice:
        shared, predicted, true = shared.sum(0), predicted.sum(0), true.sum(0)
    return ((2 * shared + SMOOTH) / (predicted + true + SMOOTH)).mean()


def _spread(values: Tensor, like: Tensor) -> Tensor:
    return values.view(1, -1, *(1,) * (like.ndim - 1))
