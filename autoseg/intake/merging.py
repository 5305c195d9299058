"""From the structures of all cases to one label set: exclusive labels where they hardly overlap, else regions.

Structures that share less than 1 % of the smaller one in every case overlap by accident, along a border: the smaller
one keeps the voxels, and labels exclude each other. Otherwise, as with a tumour in its organ, each structure becomes a
region with an output of its own, and the combinations that occur become the classes behind the regions.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations as pairs_of
from statistics import median

from autoseg.contracts import Label, LabelSet, Region, TargetScan
from autoseg.intake.examination import Examined
from autoseg.intake.findings import Finding

ACCIDENTAL = 0.01
"""Share of the smaller of two structures that they may have in common and still exclude each other."""

_LISTED = 5
_ABSENT = TargetScan(name="", voxels=0, components=0, component_voxels=())
Structures = tuple[str, ...]


@dataclass(frozen=True)
class Merged:
    """One label set for cases of structures.

    Attributes:
        labels: Exclusive, or regions.
        class_of: Class index of each combination.
        notes: What was decided, and why.
    """

    labels: LabelSet
    class_of: dict[Structures, int]
    notes: tuple[str, ...]

    def classes(self, item: Examined) -> tuple[int, ...]:
        """New class index of each number that stands in the stored volume of a case."""
        return (0, *(self.class_of[combination.structures] for combination in item.combinations or ()))

    def adopt(self, item: Examined) -> Examined:
        """The case as if it had been examined with the label set in mind."""
        if item.scan is None:
            return item
        own = {target.name: target for target in item.scan.targets}
        targets = [own.get(name, _ABSENT).model_copy(update={"name": name}) for name in self.labels.targets]
        present = set(self.classes(item)[1:])
        if self.labels.kind == "exclusive":
            kept = Counter[int]()
            for combination in item.combinations or ():
                kept[self.class_of[combination.structures]] += combination.voxels
            targets = [t.model_copy(update={"voxels": kept[k]}) for k, t in enumerate(targets, start=1)]
        values = {label.value for k, label in enumerate(self.labels.labels, start=1) if k in present}
        scan = item.scan.model_copy(update={"targets": tuple(targets), "label_values": tuple(sorted(values))})
        missing = [name for name in self.labels.targets if name not in own]
        findings = item.findings
        if missing:
            more = f" and {len(missing) - _LISTED} more" if len(missing) > _LISTED else ""
            listed = ", ".join(missing[:_LISTED]) + more
            findings = (*findings, Finding(f"has no mask of {listed}, as other cases have: taken as absent"))
        return replace(item, scan=scan, findings=findings, labels=self.labels)


def merge(items: Sequence[Examined], declared: LabelSet | None = None) -> Merged:
    """Settle on one label set.

    Args:
        items: Usable cases with structures.
        declared: Gives the values, if it names all of the structures and they exclude each other.
    """
    names = sorted({target.name for item in items for target in _targets(item)}, key=natural)
    by_size = sorted(names, key=lambda name: (-_volume_mm3(name, items), natural(name)))
    overlap = _worst_overlap(items)
    if overlap is None or overlap.share < ACCIDENTAL:
        return _exclusive(_numbered(names, declared), by_size, items, overlap)
    return _regions(by_size, items, overlap)


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key that counts: ``rib_2`` comes before ``rib_10``."""
    parts = re.split(r"(\d+)", name.lower())
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts)


@dataclass(frozen=True)
class _Overlap:
    share: float
    voxels: int
    pair: tuple[str, str]
    case: str

    def __str__(self) -> str:
        first, second = self.pair
        return f"up to {self.share:.2%} of the smaller one ({first} and {second} in {self.case}, {self.voxels} voxels)"


def _worst_overlap(items: Sequence[Examined]) -> _Overlap | None:
    found: list[_Overlap] = []
    for item in items:
        size = {target.name: target.voxels for target in _targets(item)}
        shared = Counter[tuple[str, str]]()
        for combination in item.combinations or ():
            for pair in pairs_of(combination.structures, 2):
                shared[pair] += combination.voxels
        found += [
            _Overlap(voxels / min(size[a], size[b]), voxels, (a, b), item.case.case)
            for (a, b), voxels in shared.items()
        ]
    return max(found, key=lambda overlap: overlap.share, default=None)


def _numbered(names: list[str], declared: LabelSet | None) -> LabelSet:
    if declared is not None and declared.kind == "exclusive" and set(names) <= set(declared.targets):
        return declared
    return LabelSet(labels=tuple(Label(name=name, value=k) for k, name in enumerate(names, start=1)))


def _exclusive(labels: LabelSet, by_size: list[str], items: Sequence[Examined], overlap: _Overlap | None) -> Merged:
    names = labels.targets
    class_of = {combination: names.index(max(combination, key=by_size.index)) + 1 for combination in _all(items)}
    notes: tuple[str, ...] = ()
    if overlap is not None:
        notes = (f"structures overlap by {overlap}, by accident; the smaller one keeps such voxels",)
    return Merged(labels, class_of, notes)


def _regions(by_size: list[str], items: Sequence[Examined], overlap: _Overlap) -> Merged:
    """Regions from large to small, which is also the order of painting; region k is written as k."""
    voxels = _all(items)
    on_top = [
        max((c for c in voxels if max(c, key=by_size.index) == name), key=lambda c: (voxels[c], c), default=(name,))
        for name in by_size
    ]
    others = sorted(set(voxels) - set(on_top), key=lambda c: [by_size.index(name) for name in c])
    atoms = [*on_top, *others]
    class_of = {combination: k for k, combination in enumerate(atoms, start=1)}
    labels = LabelSet(
        kind="regions",
        labels=tuple(Label(name=_name(combination, by_size), value=k) for combination, k in class_of.items()),
        regions=tuple(
            Region(name=name, members=tuple(k for c, k in class_of.items() if name in c), writes=position)
            for position, name in enumerate(by_size, start=1)
        ),
    )
    note = f"structures overlap by {overlap}, so each is a region of its own; masks are painted from large to small"
    return Merged(labels, class_of, (note,))


def _name(combination: Structures, by_size: list[str]) -> str:
    return " + ".join(sorted(combination, key=by_size.index))


def _all(items: Sequence[Examined]) -> Counter[Structures]:
    """Voxels of each combination over all cases."""
    found = Counter[Structures]()
    for item in items:
        for combination in item.combinations or ():
            found[combination.structures] += combination.voxels
    return found


def _targets(item: Examined) -> tuple[TargetScan, ...]:
    return () if item.scan is None else item.scan.targets


def _volume_mm3(name: str, items: Sequence[Examined]) -> float:
    volumes = [
        target.voxels * float(item.scan.spacing_mm[0] * item.scan.spacing_mm[1] * item.scan.spacing_mm[2])
        for item in items
        if item.scan is not None
        for target in item.scan.targets
        if target.name == name and target.voxels
    ]
    return float(median(volumes)) if volumes else 0.0
