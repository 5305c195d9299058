"""Rows of the report's tables, computed from records: cases, time per stage, packages."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from autoseg.contracts import CaseScore, Dataset, ExpectedDice, LabelSet, Prediction, Scores, TargetScore
from autoseg.page.card import case_dice
from planners.contracts import Configuration, StageRecord, Version


@dataclass(frozen=True)
class CaseRow:
    """One scored case.

    Attributes:
        dice: Mean over its targets; None: undefined, as are the others.
        nsd: Mean over its targets.
        hd95_mm: Of its worst target.
        weakest: Name of the target with the lowest Dice.
        reference_mm3, predicted_mm3: All labels together; of regions, the largest.
        fold: That the case was validated in; None for hold-out cases.
    """

    case: str
    subject: str
    dice: float | None
    nsd: float | None
    hd95_mm: float | None
    weakest: str
    targets: tuple[TargetScore, ...]
    reference_mm3: float
    predicted_mm3: float
    fold: int | None


@dataclass(frozen=True)
class StageTime:
    """Time and memory a stage has taken; None where it was not recorded."""

    stage: str
    seconds: float | None
    share: float
    peak_memory_bytes: int | None


@dataclass(frozen=True)
class Resolution:
    """One level of a U-Net: size of the patch there, features, kernel and convolutions (encoder, decoder)."""

    patch_vox: tuple[int, ...]
    features: int
    kernel: tuple[int, ...]
    convolutions: tuple[int, int | None]


def case_rows(scores: Scores, dataset: Dataset) -> tuple[CaseRow, ...]:
    """All scored cases, the worst first; those without a score last."""
    folds = {case: number for number, fold in enumerate(dataset.split.folds) for case in fold}
    rows = (_case_row(case, dataset.labels, folds.get(case.case)) for case in scores.cases)
    return tuple(sorted(rows, key=lambda row: (row.dice is None, row.dice or 0.0, row.case)))


def typical(rows: Sequence[CaseRow]) -> tuple[tuple[str, CaseRow], ...]:
    """The best, the median and the worst case; fewer where there are not three with a score."""
    scored = [row for row in rows if row.dice is not None]
    if len(scored) < 3:
        titles = ("Only scored case",) if len(scored) == 1 else ("Better", "Worse")
        return tuple(zip(titles, reversed(scored), strict=False))
    return (("Best", scored[-1]), ("Median", scored[len(scored) // 2]), ("Worst", scored[0]))


def judged(prediction: Prediction | None) -> tuple[tuple[str, ExpectedDice], ...]:
    """Every mask of which something is expected, with its case: those to look at first, then by expected Dice."""
    cases = () if prediction is None else prediction.cases
    found = [(case.case, one) for case in cases for one in case.expected if one.look or one.dice is not None]
    return tuple(sorted(found, key=lambda row: (not row[1].look, row[1].dice is not None, row[1].dice or 0.0, row[0])))


def stage_times(stages: Iterable[tuple[str, Sequence[StageRecord]]]) -> tuple[StageTime, ...]:
    """Work time per stage, summed over its records, and the largest memory peak among them."""
    measured = []
    for stage, records in stages:
        known = [record.provenance for record in records if record.provenance is not None]
        peaks = [entry.peak_memory_bytes for entry in known if entry.peak_memory_bytes is not None]
        measured.append((stage, sum(p.seconds for p in known) if known else None, max(peaks, default=None)))
    longest = max((seconds or 0.0 for _, seconds, _ in measured), default=0.0) or 1.0
    return tuple(StageTime(stage, s, (s or 0.0) / longest, peak) for stage, s, peak in measured)


def versions(records: Iterable[StageRecord]) -> tuple[Version, ...]:
    """Every package and version that any stage ran with, sorted."""
    found = {v for record in records if record.provenance is not None for v in record.provenance.versions}
    return tuple(sorted(found, key=lambda version: (version.package.lower(), version.version)))


def resolutions(configuration: Configuration) -> tuple[Resolution, ...]:
    """The levels of a configuration's network, finest first."""
    network = configuration.network
    patch = np.array(configuration.training.patch_vox)
    levels = []
    for level, stride in enumerate(network.strides):
        patch = patch // np.array(stride)
        decoder = network.convolutions_decoder[level] if level < len(network.convolutions_decoder) else None
        convolutions = network.convolutions_encoder[level], decoder
        size = tuple(int(length) for length in patch)
        levels.append(Resolution(size, network.features[level], network.kernels[level], convolutions))
    return tuple(levels)


def _case_row(case: CaseScore, labels: LabelSet, fold: int | None) -> CaseRow:
    defined = [target for target in case.targets if target.dice is not None]
    nsd = [target.nsd for target in case.targets if target.nsd is not None]
    hd95 = [target.hd95_mm for target in case.targets if target.hd95_mm is not None]
    together = max if labels.kind == "regions" else sum
    return CaseRow(
        case=case.case,
        subject=case.subject,
        dice=case_dice(case),
        nsd=float(np.mean(nsd)) if nsd else None,
        hd95_mm=max(hd95, default=None),
        weakest=min(defined, key=lambda target: target.dice or 0.0).target if defined else "",
        targets=case.targets,
        reference_mm3=float(together([target.reference_mm3 for target in case.targets])),
        predicted_mm3=float(together([target.predicted_mm3 for target in case.targets])),
        fold=fold,
    )
