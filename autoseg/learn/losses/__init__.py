"""What training minimises, by the name that a ``TrainingPlan`` carries: a sum of terms over the annotated voxels only.

    loss = LOSSES["dice_ce"](logits, target, batch_dice=False, members=((1,), (2,)))

Logits are (B, H, …) in any precision; the target holds class indices (B, …), ``IGNORED`` where nothing is annotated and
outside the image. One name serves both kinds of labels: with a head more than targets the labels exclude each other,
with as many they are regions, judged one by one. To add a loss, write its terms, each a function of a ``Comparison``,
and name their sum in ``LOSSES``; its contract is ``tests/learn/test_loss_contract.py``.

MONAI has many of the terms, and tests hold ours to its values. They are not taken from there: little is left of each
once truth and mask are made, distances are measured channel by channel on the host, and the import brings 2000 modules
and 165 MiB into every process that trains.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from torch import Tensor

from autoseg.learn.losses.boundary import hausdorff, signed_distance
from autoseg.learn.losses.comparison import IGNORED, Comparison
from autoseg.learn.losses.entropy import cross_entropy, focal, top_k
from autoseg.learn.losses.jaccard import lovasz
from autoseg.learn.losses.logarithmic import exponential_logarithmic
from autoseg.learn.losses.overlap import dice, focal_tversky, generalized_dice, tversky
from autoseg.learn.losses.supervision import coarsen, supervision_weights

__all__ = ["IGNORED", "LOSSES", "Loss", "coarsen", "supervision_weights"]

Term = Callable[[Comparison], Tensor]
"""A scalar; lower is better."""


class Loss(Protocol):
    """Logits (B, H, …) and targets (B, …) to a scalar; ``members`` are the class indices of each target."""

    def __call__(self, logits: Tensor, target: Tensor, *, batch_dice: bool, members: Sequence[Sequence[int]]) -> Tensor:
        """Lower is better; at best, each overlap counts -1 and each error 0."""
        ...


def _sum_of(*terms: Term) -> Loss:
    def loss(logits: Tensor, target: Tensor, *, batch_dice: bool, members: Sequence[Sequence[int]]) -> Tensor:
        seen = Comparison.of(logits, target, members, batch_dice)
        first, *others = (term(seen) for term in terms)
        return sum(others, start=first)

    return loss


LOSSES: dict[str, Loss] = {
    "dice_ce": _sum_of(cross_entropy, dice),
    "dice_focal": _sum_of(focal, dice),
    "dice_topk": _sum_of(top_k, dice),
    "topk": _sum_of(top_k),
    "tversky": _sum_of(tversky),
    "tversky_ce": _sum_of(cross_entropy, tversky),
    "focal_tversky": _sum_of(focal_tversky),
    "focal_tversky_ce": _sum_of(cross_entropy, focal_tversky),
    "generalized_dice": _sum_of(generalized_dice),
    "generalized_dice_ce": _sum_of(cross_entropy, generalized_dice),
    "lovasz": _sum_of(lovasz),
    "lovasz_ce": _sum_of(cross_entropy, lovasz),
    "exponential_logarithmic": _sum_of(exponential_logarithmic),
    "dice_ce_boundary": _sum_of(cross_entropy, dice, signed_distance),
    "dice_ce_hausdorff": _sum_of(cross_entropy, dice, hausdorff),
}
"""By the name that a ``TrainingPlan`` carries."""
