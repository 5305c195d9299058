"""The Dice of every case under any recipe, from the few voxels that a recipe can change.

Most voxels are certain: every member gives them the same class by more than the largest bias, so every recipe does.
They are counted once. The others stay as rows of probabilities, and a recipe is asked for the classes of these rows
only, by the very functions that segment a volume: the same operations on the same numbers, hence the same masks.

Where rows of a large data set would not fit, each case keeps a share of them: sorted by true class and by how far the
members lean to it, every n-th stands for its n neighbours. Where a recipe follows that lean, a case's counts are off by
less than n voxels per class, and never by more than a random sample of as many rows would be; all recipes meet the same
rows. The finalists of a search are measured on whole volumes in any case, and no case is left out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from autoseg.contracts import LabelSet
from autoseg.postprocessing import parents_of, written_classes
from autoseg.selection.space import BIAS_STEP, BIAS_STEPS, Recipe
from autoseg.volumes.blending import FLOOR, Heads, Scale, mean, on_scale
from autoseg.volumes.labels import Classes, to_classes

MOST_VALUES = 24_000_000
"""Probabilities kept in memory, of all members, heads and rows."""
_CHUNK = 16_384  # rows at a time: what they need stays in the processor's cache
_WORST = BIAS_STEP * BIAS_STEPS

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class CaseVoxels:
    """One case.

    Attributes:
        rows: (members, H, N) float32, the voxels that a recipe can change.
        truth: (N,) true classes of the rows.
        stands_for: (N,) voxels of the case that each row stands for; None: one each.
        certain: (C, C) voxels of all others, by true class and decided class.
    """

    rows: Heads
    truth: Classes
    stands_for: Counts | None
    certain: Counts


def split(stored: Sequence[Heads], truth: Classes, labels: LabelSet, outside: Counts, most: int) -> CaseVoxels:
    """Tell the voxels that a recipe can change from those that none can.

    Args:
        stored: Per member, probabilities (H, z, y, x) in one box.
        truth: Classes (z, y, x) in this box; unannotated voxels count for nothing.
        labels: What heads and classes mean.
        outside: (C,) voxels of each true class outside the box, where all members are certain of background.
        most: Rows to keep.
    """
    classes = len(labels.labels) + 1
    known = (truth != labels.ignore_index).ravel() if labels.ignore_index is not None else slice(None)
    members = np.stack([part.reshape(len(part), -1)[:, known] for part in stored])
    true = truth.ravel()[known]
    sure = _certain(members, labels)
    decided = to_classes(members[0][:, sure], labels.kind, written_classes(labels))
    pairs = true[sure].astype(np.int64) * classes + decided
    certain = np.bincount(pairs, minlength=classes * classes).reshape(classes, classes).astype(np.int64)
    certain[:, 0] += outside
    rows, true = members[:, :, ~sure], true[~sure]
    kept, stands_for = _thinned(rows, true, labels, most)
    if stands_for is None:
        return CaseVoxels(rows, true, None, certain)
    return CaseVoxels(np.ascontiguousarray(rows[:, :, kept]), true[kept], stands_for, certain)


class VoxelTable:
    """The rows of all cases, ready to be asked for the Dice of any recipe."""

    def __init__(self, cases: Sequence[CaseVoxels], labels: LabelSet) -> None:
        self._labels = labels
        self._classes = len(labels.labels) + 1
        self._writes, self._parents = written_classes(labels), parents_of(labels)
        self._rows = np.concatenate([case.rows for case in cases], axis=2)
        sizes = [len(case.truth) for case in cases]
        case = np.repeat(np.arange(len(cases)), sizes)
        truth = np.concatenate([case.truth for case in cases])
        self._cell = (case * self._classes + truth) * self._classes
        self._certain = np.stack([case.certain for case in cases])
        thinned = any(case.stands_for is not None for case in cases)
        ones = (np.ones(size, dtype=np.int64) for size in sizes)
        stand = [one if case.stands_for is None else case.stands_for for case, one in zip(cases, ones, strict=True)]
        self._stands_for = np.concatenate(stand) if thinned else None
        self._scaled = lru_cache(maxsize=None)(self._on_scale)

    @property
    def rows(self) -> int:
        """How many voxels are kept."""
        return len(self._cell)

    @property
    def exact(self) -> bool:
        """Whether every voxel that can change is kept."""
        return self._stands_for is None

    def dice(self, recipe: Recipe, columns: Sequence[int]) -> npt.NDArray[np.float64]:
        """Dice (cases, T) without post-processing; NaN where a target is neither there nor predicted.

        Args:
            recipe: What to decide by.
            columns: Which of the stored members the recipe's members are, in their order.
        """
        return self.dice_of(recipe, columns, tuple(BIAS_STEP * steps for steps in recipe.biases))

    def dice_of(self, recipe: Recipe, columns: Sequence[int], biases: Sequence[float]) -> npt.NDArray[np.float64]:
        """The same with biases in place of the recipe's own, each within the space's."""
        cells = self._classes**2 * len(self._certain)
        counts = np.zeros(cells, dtype=np.float64)
        for part, classes in self._decided(recipe, columns, biases):
            weights = None if self._stands_for is None else self._stands_for[part]
            counts += np.bincount(self._cell[part] + classes, weights, minlength=cells)
        confusion = counts.reshape(self._certain.shape) + self._certain
        return _dice(confusion, self._labels)

    def _decided(
        self, recipe: Recipe, columns: Sequence[int], biases: Sequence[float]
    ) -> Iterator[tuple[slice, Classes]]:
        kind, weights = self._labels.kind, [recipe.weights[index] for index in recipe.members]
        parents = self._parents if recipe.nested else ()
        parts = [self._scaled(column, recipe.scale, recipe.temperature) for column in columns]
        for start in range(0, self.rows, _CHUNK):
            part = slice(start, start + _CHUNK)
            blended = mean((each[:, part] for each in parts), weights, kind, recipe.scale)
            yield part, to_classes(blended, kind, self._writes, biases, parents)

    def _on_scale(self, column: int, scale: Scale, temperature: float) -> Heads:
        return on_scale(self._rows[column], self._labels.kind, scale, temperature)


def rows_per_case(cases: int, members: int, heads: int) -> int:
    """How many rows each case may keep."""
    return max(1, MOST_VALUES // max(1, cases * members * heads))


def _certain(members: Heads, labels: LabelSet) -> npt.NDArray[np.bool_]:
    """(N,) whether all members (M, H, N) agree by more than any two biases can differ, on either scale."""
    margin = np.float32(np.exp(_WORST) * 1.001)
    if labels.kind == "regions":
        odds = np.maximum(members, FLOOR) / np.maximum(1 - members, FLOOR)
        return np.asarray(((odds > margin).all(axis=0) | (odds < 1 / margin).all(axis=0)).all(axis=0))
    winner = to_classes(members[0], "exclusive")
    own = np.take_along_axis(members, np.broadcast_to(winner, (len(members), 1, members.shape[2])).astype(np.intp), 1)
    sure = np.ones(members.shape[2], dtype=bool)
    for head in range(members.shape[1]):
        # Background has no bias; two labels may have opposite ones.
        factor = np.where((winner == 0) | (head == 0), margin, margin * margin)
        others = np.maximum(members[:, head], FLOOR) * factor
        sure &= (winner == head) | (own[:, 0] > others).all(axis=0)
    return sure


def _thinned(rows: Heads, truth: Classes, labels: LabelSet, most: int) -> tuple[npt.NDArray[np.intp], Counts | None]:
    """Which rows stay, and what each stands for; None: all stay."""
    count = len(truth)
    if count <= most:
        return np.arange(count), None
    blended = rows.mean(axis=0)
    foreground = 1 - blended[0] if labels.kind == "exclusive" else blended.mean(axis=0)
    lead = blended[to_classes(blended, "exclusive"), np.arange(count)] if labels.kind == "exclusive" else foreground
    order = np.lexsort((lead, foreground, truth))
    edges = np.linspace(0, count, most + 1).astype(np.intp)
    return order[(edges[:-1] + edges[1:] - 1) // 2], np.diff(edges).astype(np.int64)


def _dice(confusion: npt.NDArray[np.float64], labels: LabelSet) -> npt.NDArray[np.float64]:
    """Dice (cases, T) from voxels by true and decided class (cases, C, C)."""
    found = np.full((len(confusion), len(labels.members)), np.nan)
    for target, members in enumerate(labels.members):
        inside = list(members)
        both = confusion[:, inside][:, :, inside].sum(axis=(1, 2))
        total = confusion[:, inside].sum(axis=(1, 2)) + confusion[:, :, inside].sum(axis=(1, 2))
        np.divide(2 * both, total, out=found[:, target], where=total > 0)
    return found


def count_classes(truth: Classes, labels: LabelSet) -> Counts:
    """(C,) voxels of each class, the unannotated left out."""
    classes = len(labels.labels) + 1
    counts = np.zeros(classes, dtype=np.int64)
    for plane in truth:  # slice by slice: bincount works in 64 bits
        counts += np.bincount(plane.ravel(), minlength=classes + 1)[:classes]
    return counts
