"""What cleaning would do to Dice, without cleaning a single volume again.

Keeping the largest component, dropping small ones and filling holes take or leave whole connected components and
whole holes. So one pass notes for each of them its size and how much of it is right; after that, the Dice of any rule
in every case is arithmetic on a table, and thousands of rules can be compared in a second.

Two things are simplified, and both only steer a search whose result is measured exactly afterwards: an island inside
a hole is never filled with it, and the targets do not see each other's removals.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from autoseg.volumes.labels import FACES, FULL, Mask, bounding_slices, holes

Counts = npt.NDArray[np.int64]


class Cleaning(NamedTuple):
    """A rule for one target; the default does nothing. Smoothing comes first: a table is of masks smoothed already."""

    keep_largest: bool = False
    minimum_mm3: float = 0.0
    fill_holes: bool = False
    smooth_mm: float = 0.0


@dataclass(frozen=True)
class Pieces:
    """Components and holes of one predicted mask.

    Attributes:
        sizes, counted, right: Per component: voxels, those of them where a reference exists, those that are right.
        largest: The one component that keep-largest keeps.
        owner: Per hole: the component around it.
        hole_counted, hole_right: Per hole: voxels that filling would add and that count, those that are right.
        reference: Voxels of the reference, anywhere in the case.
        voxel_mm3: Volume of a voxel.
    """

    sizes: Counts
    counted: Counts
    right: Counts
    largest: Mask
    owner: Counts
    hole_counted: Counts
    hole_right: Counts
    reference: int
    voxel_mm3: float


def measure(predicted: Mask, truth: Mask, annotated: Mask, fillable: Mask, reference: int, voxel_mm3: float) -> Pieces:
    """Note the pieces of one mask; all masks (z, y, x) are the same crop, which holds all that is predicted.

    Args:
        predicted: The target's mask before cleaning.
        truth: The target in the reference.
        annotated: Where the reference says anything.
        fillable: Where filling a hole would not overwrite another label.
        reference: Voxels of the target in the whole case, in and out of the crop.
        voxel_mm3: Volume of a voxel.
    """
    nothing = np.zeros(0, dtype=np.int64)
    inside = bounding_slices(predicted)
    if inside is None:
        return Pieces(nothing, nothing, nothing, nothing > 0, nothing, nothing, nothing, reference, voxel_mm3)
    numbers, count = ndimage.label(predicted[inside], structure=FULL)
    sizes = _count(numbers, None, count)
    pockets = holes(predicted[inside])
    pocket_count = int(pockets.max())
    addable = annotated[inside] & fillable[inside]
    return Pieces(
        sizes=sizes,
        counted=_count(numbers, annotated[inside], count),
        right=_count(numbers, truth[inside], count),
        largest=np.arange(count) == np.argmax(sizes),
        owner=_owners(numbers, sizes, pockets, pocket_count) if pocket_count else nothing,
        hole_counted=_count(pockets, addable, pocket_count),
        hole_right=_count(pockets, addable & truth[inside], pocket_count),
        reference=reference,
        voxel_mm3=voxel_mm3,
    )


class PieceTable:
    """The pieces of one target in many cases, ready to be asked for the Dice under any rule."""

    def __init__(self, cases: Sequence[Pieces]) -> None:
        counts = [len(case.sizes) for case in cases]
        self._case = np.repeat(np.arange(len(cases)), counts)
        self._volumes_mm3 = _join([case.sizes * case.voxel_mm3 for case in cases])
        self._counted = _join([case.counted for case in cases])
        self._right = _join([case.right for case in cases])
        self._largest = _join([case.largest for case in cases]).astype(bool)
        starts = np.concatenate([[0], np.cumsum(counts)])
        self._owner = _join([case.owner + start for case, start in zip(cases, starts, strict=False)]).astype(np.intp)
        self._hole_counted = _join([case.hole_counted for case in cases])
        self._hole_right = _join([case.hole_right for case in cases])
        self._reference = np.array([case.reference for case in cases], dtype=np.float64)

    def dice(self, cleaning: Cleaning) -> npt.NDArray[np.float64]:
        """Dice of each case under a rule; NaN where neither reference nor prediction has the target."""
        kept = self._volumes_mm3 >= cleaning.minimum_mm3
        if cleaning.keep_largest:
            kept &= self._largest
        predicted = self._per_case(self._case, self._counted * kept)
        right = self._per_case(self._case, self._right * kept)
        if cleaning.fill_holes and len(self._owner):
            owner_case, owner_kept = self._case[self._owner], kept[self._owner]
            predicted += self._per_case(owner_case, self._hole_counted * owner_kept)
            right += self._per_case(owner_case, self._hole_right * owner_kept)
        total = predicted + self._reference
        return np.divide(2 * right, total, out=np.full(len(total), np.nan), where=total > 0)

    def island_volumes_mm3(self, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
        """Volumes of the components, other than each case's largest, in the cases ``rows``."""
        return self._volumes_mm3[np.isin(self._case, rows) & ~self._largest]

    def has_holes(self) -> bool:
        """Whether filling holes can change anything."""
        return len(self._owner) > 0

    def _per_case(self, case: npt.NDArray[np.intp], values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.bincount(case, weights=values, minlength=len(self._reference)).astype(np.float64)


def _count(numbers: npt.NDArray[np.int32], where: Mask | None, count: int) -> Counts:
    """Voxels of each number from 1 to ``count``, optionally only those in ``where``."""
    chosen = numbers.ravel() if where is None else numbers[where]
    return np.bincount(chosen, minlength=count + 1)[1:].astype(np.int64)


def _owners(numbers: npt.NDArray[np.int32], sizes: Counts, pockets: npt.NDArray[np.int32], pocket_count: int) -> Counts:
    """The largest component that each pocket touches, as an index into ``sizes``."""
    order = np.argsort(sizes, kind="stable")
    rank = np.zeros(len(sizes) + 1, dtype=np.int32)
    rank[order + 1] = np.arange(1, len(sizes) + 1)
    beside = ndimage.maximum_filter(rank[numbers], footprint=FACES)
    top = ndimage.maximum(beside, pockets, np.arange(1, pocket_count + 1))
    return order[np.asarray(top, dtype=np.int64) - 1].astype(np.int64)


def _join(arrays: Sequence[npt.NDArray[np.generic]]) -> npt.NDArray[np.float64]:
    return np.concatenate([np.zeros(0), *arrays]).astype(np.float64)
