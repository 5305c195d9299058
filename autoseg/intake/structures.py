"""Many masks of one case, which may overlap, as one label volume: a number for each *combination* that occurs.

A voxel in the liver and in its tumour gets the number of "liver and tumour". So a hundred structures take the room of
one volume, however they overlap, and what the combinations mean to the data set is decided when all cases are known.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from autoseg.contracts import TargetScan
from autoseg.errors import LabelError
from autoseg.intake.targets import measure
from autoseg.volumes.labels import Mask

_MOST_COMBINATIONS = 65_535


@dataclass(frozen=True)
class Combination:
    """Structures that share voxels, and how many voxels; a structure alone is a combination of one."""

    structures: tuple[str, ...]
    voxels: int


@dataclass(frozen=True, eq=False)
class Combined:
    """All structures of a case.

    Attributes:
        numbers: (z, y, x) uint16; 0: no structure, k: ``combinations[k - 1]``.
        combinations: Those that occur.
        targets: Measurements of each structure's whole mask, in the order in which they came.
    """

    numbers: np.ndarray
    combinations: tuple[Combination, ...]
    targets: tuple[TargetScan, ...]

    def moved(self, numbers: np.ndarray) -> "Combined":
        """The same structures, with their numbers resampled to another grid, measured there."""
        counts = np.bincount(numbers.ravel(), minlength=len(self.combinations) + 1)
        combinations = tuple(replace(c, voxels=int(n)) for c, n in zip(self.combinations, counts[1:], strict=True))
        targets = []
        for target in self.targets:
            holds = np.array([False, *(target.name in combination.structures for combination in combinations)])
            targets.append(measure(target.name, holds[numbers]))
        return Combined(numbers, combinations, tuple(targets))


def combine(shape: tuple[int, ...], masks: Iterable[tuple[str, Mask]]) -> Combined:
    """Take in masks (z, y, x) one by one; only one needs to exist at a time. Masks of one name are united.

    Raises:
        LabelError: The structures overlap in too many ways.
    """
    numbers = np.zeros(shape, np.uint16)
    number_of: dict[tuple[str, ...], int] = {(): 0}
    targets: dict[str, TargetScan] = {}
    united = False
    for name, mask in masks:
        united |= name in targets
        _add(name, mask, numbers, number_of)
        targets[name] = measure(name, mask)
    combined = _compacted(numbers, list(number_of), tuple(targets.values()))
    return combined.moved(combined.numbers) if united else combined


def _add(name: str, mask: Mask, numbers: np.ndarray, number_of: dict[tuple[str, ...], int]) -> None:
    """Move the voxels of a mask from their combination to the one with this structure added."""
    before = numbers[mask]
    known = list(number_of)
    table = np.zeros(len(known), np.uint16)
    for number in np.flatnonzero(np.bincount(before, minlength=len(known))):
        table[number] = number_of.setdefault(_with(name, known[number]), len(number_of))
        if len(number_of) > _MOST_COMBINATIONS:
            raise LabelError(f"the structures overlap in more than {_MOST_COMBINATIONS} ways; are these masks?")
    numbers[mask] = table[before]


def _with(name: str, combination: tuple[str, ...]) -> tuple[str, ...]:
    return combination if name in combination else (*combination, name)


def _compacted(numbers: np.ndarray, known: list[tuple[str, ...]], targets: tuple[TargetScan, ...]) -> Combined:
    """Without combinations that later structures took all voxels from."""
    counts = np.zeros(len(known), np.int64)
    for plane in numbers:
        counts += np.bincount(plane.ravel(), minlength=len(known))
    kept = [number for number in range(1, len(known)) if counts[number]]
    table = np.zeros(len(known), np.uint16)
    table[kept] = np.arange(1, len(kept) + 1)
    for plane in numbers:
        plane[...] = table[plane]
    return Combined(numbers, tuple(Combination(known[k], int(counts[k])) for k in kept), targets)
