"""Scores of predicted class maps against references: per case, per target, and overall with intervals.

Used wherever something is scored (cross-validation, selection, hold-out, ``autoseg evaluate``), so that all numbers of
a run mean the same. A target is scored on the union of its classes; voxels that nobody annotated count for nothing.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from autoseg.contracts import CaseScore, Interval, LabelSet, Scores, TargetScore, TargetSummary
from autoseg.errors import GeometryError
from autoseg.volumes import metrics, statistics
from autoseg.volumes.labels import Classes, Slices, member_mask
from planners.contracts import Spacing

CONVENTION = (
    "A target absent from reference and prediction has no score in that case and is left out of its mean. "
    "Predicted but absent from the reference, or missed entirely, Dice and NSD are 0; HD95, which would be infinite, "
    "is then left out. Unannotated voxels are excluded. Means are taken per target over cases, then over targets; "
    "a target that cannot be scored in any case is null, not averaged. "
    f"Intervals are 95 % percentile bootstrap over subjects ({statistics.RESAMPLES} resamples)."
)


def score_case(
    reference: Classes,
    predicted: Classes,
    labels: LabelSet,
    spacing_mm: Spacing,
    tolerance_mm: float,
    case: str,
    subject: str,
) -> CaseScore:
    """Score one predicted class map (z, y, x) against its reference on the same grid.

    Args:
        reference: Class indices; ``labels.ignore_index`` where nothing was annotated.
        predicted: Class indices.
        labels: Says which classes make up each target.
        spacing_mm: Size of a voxel.
        tolerance_mm: Surface distance that NSD forgives.
        case: Name of the case.
        subject: Whose case it is.

    Raises:
        GeometryError: The two differ in shape.
    """
    if reference.shape != predicted.shape:
        raise GeometryError(
            f"case {case}: reference {reference.shape} and prediction {predicted.shape} differ in shape; "
            "predict on the reference's grid"
        )
    if labels.ignore_index is not None:
        predicted = np.where(reference == labels.ignore_index, 0, predicted).astype(predicted.dtype)
    boxes = _class_boxes(reference), _class_boxes(predicted)
    voxel_mm3 = float(np.prod(spacing_mm))
    targets = []
    for name, members in zip(labels.targets, labels.members, strict=True):
        found = _agreement(reference, predicted, boxes, members, spacing_mm, tolerance_mm)
        targets.append(
            TargetScore(
                target=name,
                dice=found.dice,
                nsd=found.nsd,
                hd95_mm=found.hd95_mm,
                reference_mm3=found.reference_vox * voxel_mm3,
                predicted_mm3=found.predicted_vox * voxel_mm3,
            )
        )
    return CaseScore(case=case, subject=subject, targets=tuple(targets))


def dice_of(reference: Classes, predicted: Classes, labels: LabelSet) -> tuple[float | None, ...]:
    """Dice of each target and nothing else, from one pass over two class maps of one shape: for comparing many."""
    size = len(labels.labels) + 2  # background, labels, ignore
    confusion = np.zeros(size * size, dtype=np.int64)
    for truth, guess in zip(reference, predicted, strict=True):  # slice by slice: bincount works in 64 bits
        confusion += np.bincount((truth.astype(np.int64) * size + guess).ravel(), minlength=size * size)
    table = confusion.reshape(size, size)
    if labels.ignore_index is not None:
        table[labels.ignore_index] = 0
    return tuple(
        metrics.dice(
            int(table[np.ix_(members, members)].sum()),
            int(table[list(members)].sum()),
            int(table[:, list(members)].sum()),
        )
        for members in labels.members
    )


def class_counts(classes: Classes, labels: LabelSet) -> npt.NDArray[np.int64]:
    """Voxels of each class index, background and ignore included."""
    counts = np.zeros(len(labels.labels) + 2, dtype=np.int64)
    for plane in classes:  # slice by slice: bincount works in 64 bits
        counts += np.bincount(plane.ravel(), minlength=len(counts))
    return counts


def default_tolerance_mm(spacings_mm: Sequence[Spacing]) -> float:
    """The NSD tolerance where none is given: twice the median in-plane spacing of the cases.

    >>> default_tolerance_mm([(5.0, 0.5, 0.5), (5.0, 0.7, 0.7), (5.0, 0.8, 0.8)])
    1.4
    """
    return 2 * float(np.median([spacing[1:] for spacing in spacings_mm]))


def summarize(cases: Sequence[CaseScore], labels: LabelSet, tolerance_mm: float, seed: int) -> Scores:
    """Means and intervals over scored cases; without cases, every number is null with ``n`` 0."""
    subjects = [case.subject for case in cases]
    dice, nsd, hd95 = (
        score_table([[getattr(target, field) for target in case.targets] for case in cases], len(labels.targets))
        for field in ("dice", "nsd", "hd95_mm")
    )
    targets = tuple(
        TargetSummary(
            target=name,
            dice=to_interval(statistics.interval(dice[:, [t]], subjects, seed)),
            nsd=to_interval(statistics.interval(nsd[:, [t]], subjects, seed)),
            hd95_mm=to_interval(statistics.interval(hd95[:, [t]], subjects, seed)),
            absent=sum(case.targets[t].reference_mm3 == 0 for case in cases),
        )
        for t, name in enumerate(labels.targets)
    )
    return Scores(
        tolerance_mm=tolerance_mm,
        cases=tuple(cases),
        targets=targets,
        mean_dice=to_interval(statistics.interval(dice, subjects, seed)),
        mean_nsd=to_interval(statistics.interval(nsd, subjects, seed)),
        convention=CONVENTION,
    )


def score_table(rows: Sequence[Sequence[float | None]], targets: int) -> npt.NDArray[np.float64]:
    """Scores as a table (N, T) with NaN where a score is undefined."""
    return np.array(rows, dtype=np.float64).reshape(len(rows), targets)


def to_interval(estimate: statistics.Estimate) -> Interval:
    """An estimate as a record."""
    return Interval(value=estimate.value, low=estimate.low, high=estimate.high, n=estimate.n)


def _class_boxes(classes: Classes) -> list[Slices | None]:
    """Bounding box of each class from 1 on; one pass over the volume however many classes there are."""
    return list(ndimage.find_objects(classes))


def _agreement(
    reference: Classes,
    predicted: Classes,
    boxes: tuple[list[Slices | None], list[Slices | None]],
    members: Sequence[int],
    spacing_mm: Spacing,
    tolerance_mm: float,
) -> metrics.Agreement:
    """Scores of one target, worked out inside the box of its classes in either volume."""
    inside: Slices | None = None
    for found in boxes:
        for member in members:
            inside = metrics.joint_slices(inside, found[member - 1] if member <= len(found) else None)
    if inside is None:
        return metrics.Agreement(None, None, None, 0, 0)
    truth, guess = member_mask(reference[inside], members), member_mask(predicted[inside], members)
    return metrics.agreement(truth, guess, spacing_mm, tolerance_mm, plane=reference.shape[0] == 1)
