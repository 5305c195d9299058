"""A network's output beside the truth, as losses look at it: only annotated voxels count, whatever the labels' kind.

*Targets* are what is scored: the foreground classes where labels exclude each other, else the regions. What several
terms of a loss need is computed once. Everything is at least float32, whatever the network's precision.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce

import torch
from torch import Tensor
from torch.nn import functional

IGNORED = -1
"""Target of voxels that teach nothing."""


@dataclass(frozen=True)
class Comparison:
    """Logits and truth of one batch; H heads, T targets.

    Attributes:
        logits: (B, H, …); exclusive labels have a head for the background first, and H = T + 1; regions have H = T.
        classes: (B, …) class indices, ``IGNORED`` where nothing is annotated.
        members: Class indices of each of the T targets.
        batch_dice: Overlaps are summed over the batch before ratios are taken; steadier where classes are rare.
    """

    logits: Tensor
    classes: Tensor
    members: Sequence[Sequence[int]]
    batch_dice: bool

    @classmethod
    def of(cls, logits: Tensor, target: Tensor, members: Sequence[Sequence[int]], batch_dice: bool) -> "Comparison":
        """Compare, in float32 or better.

        Raises:
            ValueError: The number of heads fits neither kind of labels.
        """
        if logits.shape[1] - len(members) not in (0, 1):
            raise ValueError(
                f"a loss got {logits.shape[1]} heads for {len(members)} targets; expected as many for regions, or one "
                "more for labels that exclude each other; train with the plan that was made for these labels"
            )
        precise = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return cls(precise, target.long(), members, batch_dice)

    @property
    def exclusive(self) -> bool:
        """Whether the labels exclude each other (softmax), or are regions (sigmoid)."""
        return self.logits.shape[1] == len(self.members) + 1

    @cached_property
    def annotated(self) -> Tensor:
        """(B, 1, …) bool."""
        return (self.classes != IGNORED).unsqueeze(1)

    @cached_property
    def count(self) -> Tensor:
        """Annotated voxels, at least 1."""
        return self.annotated.sum().clamp(min=1)

    @cached_property
    def head_truth(self) -> Tensor:
        """(B, H, …) bool: what each head should call true; false where nothing is annotated."""
        if not self.exclusive:
            return torch.stack([self._is_among(indices) for indices in self.members], dim=1)
        heads = torch.arange(self.logits.shape[1], device=self.classes.device)
        return self.classes.unsqueeze(1) == heads.view(1, -1, *(1,) * (self.classes.ndim - 1))

    def _is_among(self, indices: Sequence[int]) -> Tensor:
        """(B, …) bool; no list of indices is sent to the device, which sending would wait for."""
        return reduce(torch.logical_or, (self.classes == index for index in indices))

    @cached_property
    def head_probabilities(self) -> Tensor:
        """(B, H, …) of every head."""
        return torch.softmax(self.logits, dim=1) if self.exclusive else torch.sigmoid(self.logits)

    @property
    def truth(self) -> Tensor:
        """(B, T, …) bool: the targets; false where nothing is annotated."""
        return self.head_truth[:, 1:] if self.exclusive else self.head_truth

    @property
    def probabilities(self) -> Tensor:
        """(B, T, …) of the targets."""
        return self.head_probabilities[:, 1:] if self.exclusive else self.head_probabilities

    @cached_property
    def entropy(self) -> Tensor:
        """Cross-entropy of each voxel, (B, 1, …), or of each region in it, (B, T, …); 0 where nothing is annotated."""
        if self.exclusive:
            each = functional.cross_entropy(self.logits, self.classes, ignore_index=IGNORED, reduction="none")
            return each.unsqueeze(1)
        truth = self.head_truth.to(self.logits.dtype)
        return functional.binary_cross_entropy_with_logits(self.logits, truth, reduction="none") * self.annotated

    def voxel_mean(self, each: Tensor) -> Tensor:
        """Mean over the annotated voxels, and the second axis, of (B, N, …) that is 0 elsewhere."""
        return each.sum() / (self.count * each.shape[1])
