"""Candidate ensembles, and what their out-of-fold predictions would score under any post-processing.

``gather`` reads each case once, blends its configurations' probabilities in every candidate proportion, and notes the
pieces of the resulting masks (``volumes.components``). One case is in memory at a time; what stays is small tables.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import comb

import numpy as np
import numpy.typing as npt

from autoseg import records
from autoseg.contracts import CaseScan, Dataset, LabelSet, Member
from autoseg.evaluation.scoring import class_counts
from autoseg.events import Event, Notify
from autoseg.outoffold import OutOfFold, embed, joint_box, read_job, slices
from autoseg.volumes.components import Cleaning, Pieces, PieceTable, measure
from autoseg.volumes.labels import Classes, Mask, Probabilities, member_mask, to_classes
from autoseg.workspace import DatasetFolder, JobFolder
from planners.contracts import Box, LabelKind, Plan

Members = tuple[Member, ...]

_FINE, _COARSE = 4, 2  # weights are multiples of 1/4, or of 1/2 where there is much to compute
_MOST_MIXES = 15
_MANY_VOXELS = 500_000_000


@dataclass(frozen=True)
class Candidate:
    """One way to turn out-of-fold probabilities into masks: a row of ``Evidence.mixes`` and a rule per target."""

    mix: int
    cleaning: tuple[Cleaning, ...]


@dataclass(frozen=True)
class Evidence:
    """All that a choice is made from.

    Attributes:
        mixes: Candidate ensembles; each single configuration first.
        targets: Names of what is scored.
        cases, subjects, folds: Of each row.
        tables: ``tables[mix][target]``.
    """

    mixes: tuple[Members, ...]
    targets: tuple[str, ...]
    cases: tuple[str, ...]
    subjects: tuple[str, ...]
    folds: npt.NDArray[np.intp]
    tables: tuple[tuple[PieceTable, ...], ...]

    def dice(self, candidate: Candidate) -> npt.NDArray[np.float64]:
        """Dice (cases, targets) of a candidate; NaN where undefined."""
        rules = zip(self.tables[candidate.mix], candidate.cleaning, strict=True)
        return np.stack([table.dice(cleaning) for table, cleaning in rules], axis=1)

    def singles(self) -> tuple[int, ...]:
        """The mixes that are one configuration alone."""
        return tuple(index for index, members in enumerate(self.mixes) if len(members) == 1)


def mixes(names: Sequence[str], parts: int) -> tuple[Members, ...]:
    """Candidate ensembles: every split of the weight into ``parts`` equal portions, and the equal mean of all.

    >>> [[(m.configuration, m.weight) for m in members] for members in mixes(["2d", "3d_fullres"], 2)]
    [[('2d', 1.0)], [('3d_fullres', 1.0)], [('2d', 0.5), ('3d_fullres', 0.5)]]
    """
    portions = [split for split in product(range(parts, -1, -1), repeat=len(names)) if sum(split) == parts]
    weights = [tuple(portion / parts for portion in split) for split in portions]
    if len(names) > parts:
        weights.append((1 / len(names),) * len(names))
    weights.sort(key=lambda split: sum(weight > 0 for weight in split))
    return tuple(
        tuple(Member.model_validate({"configuration": n, "weight": w}) for n, w in zip(names, split, strict=True) if w)
        for split in weights
    )


def gather(
    dataset: Dataset, plan: Plan, source: DatasetFolder, jobs: Callable[[str, int], JobFolder], notify: Notify
) -> Evidence:
    """Read all out-of-fold predictions once and table what every candidate ensemble makes of them.

    Raises:
        DataError: A prediction is missing or damaged.
    """
    names = [configuration.name for configuration in plan.configurations]
    held = [(fold, case) for fold, cases in enumerate(dataset.split.folds) for case in cases]
    scans = {case: records.read(source.scan(case), CaseScan) for _, case in held}
    candidates = mixes(names, _parts(len(names), sum(int(np.prod(scan.shape)) for scan in scans.values())))
    pieces: list[list[list[Pieces]]] = [[[] for _ in dataset.labels.targets] for _ in candidates]
    for done, (fold, case) in enumerate(held, start=1):
        stored: dict[str, OutOfFold] = {name: read_job(jobs(name, fold), name, fold, case) for name in names}
        reference = np.load(source.label(case), allow_pickle=False)
        voxel_mm3 = float(np.prod(scans[case].spacing_mm))
        for index, found in enumerate(_case_pieces(stored, reference, dataset.labels, candidates, voxel_mm3)):
            for target, piece in enumerate(found):
                pieces[index][target].append(piece)
        notify(Event(stage="select", done=done, total=len(held), unit="cases", detail="measuring candidates"))
    return Evidence(
        mixes=candidates,
        targets=dataset.labels.targets,
        cases=tuple(case for _, case in held),
        subjects=tuple(dataset.case(case).subject for _, case in held),
        folds=np.array([fold for fold, _ in held], dtype=np.intp),
        tables=tuple(tuple(PieceTable(cases) for cases in targets) for targets in pieces),
    )


def blend(stored: Mapping[str, OutOfFold], members: Sequence[Member], box: Box, kind: LabelKind) -> Probabilities:
    """Weighted mean (H, z, y, x) of the members' probabilities inside ``box``, which holds all of theirs."""
    first, *rest = members
    result = embed(stored[first.configuration], box, kind)
    if first.weight != 1.0:
        result *= np.float32(first.weight)
    for member in rest:
        result += np.float32(member.weight) * embed(stored[member.configuration], box, kind)
    return result


def _parts(configurations: int, voxels: int) -> int:
    """How finely weights are tried: known from the data alone, so that the same data give the same choice."""
    fine = comb(_FINE + configurations - 1, _FINE)  # how many mixes there would be
    return _FINE if fine <= _MOST_MIXES and voxels <= _MANY_VOXELS else _COARSE


def _case_pieces(
    stored: Mapping[str, OutOfFold],
    reference: Classes,
    labels: LabelSet,
    candidates: Sequence[Members],
    voxel_mm3: float,
) -> Iterator[list[Pieces]]:
    """Per candidate ensemble, the pieces of each target in one case."""
    box = joint_box([prediction.box for prediction in stored.values()])
    counts = class_counts(reference, labels)
    totals = [int(counts[list(members)].sum()) for members in labels.members]
    crop = reference[slices(box)]
    truths = [member_mask(crop, members) for members in labels.members]
    annotated = np.ones(crop.shape, dtype=bool) if labels.ignore_index is None else crop != labels.ignore_index
    for members in candidates:
        masks, fillable = _masks(blend(stored, members, box, labels.kind), labels)
        yield [
            measure(mask, truth, annotated, fillable, total, voxel_mm3)
            for mask, truth, total in zip(masks, truths, totals, strict=True)
        ]


def _masks(probabilities: Probabilities, labels: LabelSet) -> tuple[Iterator[Mask], Mask]:
    """Each target's mask before cleaning, and where filling its holes would overwrite nothing."""
    if labels.kind == "regions":
        return (head > 0.5 for head in probabilities), np.ones(probabilities.shape[1:], dtype=bool)
    classes = to_classes(probabilities, "exclusive")
    return (classes == index for index in range(1, len(probabilities))), classes == 0
