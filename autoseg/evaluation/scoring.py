"""Scores of predicted class maps against references: per case, per target, and overall with intervals.

Used wherever something is scored (cross-validation, selection, hold-out, ``autoseg evaluate``), so that all numbers of
a run mean the same. A target is scored on the union of its classes; voxels that nobody annotated count for nothing.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from autoseg.contracts import CaseScore, Interval, LabelSet, Means, Scores, TargetScore, TargetSummary
from autoseg.errors import GeometryError
from autoseg.volumes import metrics, statistics
from autoseg.volumes.labels import Classes, Slices, member_mask
from autoseg.volumes.metrics import METRICS
from autoseg.volumes.overlap import dice
from planners.axes import THICK, thickest_first
from planners.contracts import Spacing

CONVENTION = (
    "A target absent from reference and prediction has no score in that case and is left out of its mean. "
    "Predicted but absent from the reference, or missed entirely, Dice, IoU, NSD and the lesion metrics are 0; "
    "distances, which would be infinite, are then left out, and so is what would be divided by nothing (sensitivity "
    "and relative volume error without reference, precision without prediction). Unannotated voxels are excluded; all "
    "annotated voxels outside the reference are specificity's negatives. Lesions are connected components; one is "
    "found if any voxel of it is predicted, and panoptic quality matches them at IoU above 0.5. Means are taken per "
    "target over cases, then over targets; a target that cannot be scored in any case is null, not averaged. "
    f"Intervals are 95 % percentile bootstrap over subjects ({statistics.RESAMPLES} resamples); "
    f"fewer than {statistics.FEWEST_SUBJECTS} have none."
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
    annotated = reference.size - _voxels(reference, labels.ignore_index)
    targets = []
    for name, members in zip(labels.targets, labels.members, strict=True):
        inside = _box_of(boxes, members)
        pair = metrics.cropped(
            member_mask(reference[inside], members),
            member_mask(predicted[inside], members),
            spacing_mm,
            tolerance_mm,
            annotated_vox=annotated,
            plane=reference.shape[0] == 1,
        )
        targets.append(_target_score(name, pair))
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
        dice(
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

    Slices lie across the axis along which they are thick, as in sagittal and coronal scans; else they are axial.

    >>> default_tolerance_mm([(5.0, 0.5, 0.5), (5.0, 0.7, 0.7), (0.8, 0.8, 5.0)])
    1.4
    """
    return 2 * float(np.median([_in_plane_mm(spacing) for spacing in spacings_mm]))


def _in_plane_mm(spacing_mm: Spacing) -> tuple[float, float]:
    thickest, first, second = (spacing_mm[axis] for axis in thickest_first(spacing_mm))
    return (first, second) if thickest >= THICK * max(first, second) else spacing_mm[1:]


def summarize(cases: Sequence[CaseScore], labels: LabelSet, tolerance_mm: float, seed: int) -> Scores:
    """Means and intervals over scored cases; without cases, every number is null with ``n`` 0."""
    targets, means = summaries(cases, labels.targets, seed)
    return Scores(
        tolerance_mm=tolerance_mm,
        cases=tuple(cases),
        targets=targets,
        mean_dice=means.dice,
        mean_nsd=means.nsd,
        means=means,
        convention=CONVENTION,
    )


def summaries(cases: Sequence[CaseScore], targets: Sequence[str], seed: int) -> tuple[tuple[TargetSummary, ...], Means]:
    """Every metric over scored cases: per target, and the mean over ``targets``."""
    subjects = [case.subject for case in cases]
    tables = {
        name: score_table([[getattr(target, name) for target in case.targets] for case in cases], len(targets))
        for name in METRICS
    }

    def estimates(columns: slice) -> dict[str, Interval]:
        return {
            name: to_interval(statistics.interval(table[:, columns], subjects, seed)) for name, table in tables.items()
        }

    return tuple(
        TargetSummary(
            target=name,
            absent=sum(case.targets[t].reference_mm3 == 0 for case in cases),
            missed=sum(case.targets[t].reference_mm3 > 0 and case.targets[t].predicted_mm3 == 0 for case in cases),
            **estimates(slice(t, t + 1)),
        )
        for t, name in enumerate(targets)
    ), Means(**estimates(slice(None)))


def score_table(rows: Sequence[Sequence[float | None]], targets: int) -> npt.NDArray[np.float64]:
    """Scores as a table (N, T) with NaN where a score is undefined."""
    return np.array(rows, dtype=np.float64).reshape(len(rows), targets)


def to_interval(estimate: statistics.Estimate) -> Interval:
    """An estimate as a record."""
    return Interval(value=estimate.value, low=estimate.low, high=estimate.high, n=estimate.n)


def _class_boxes(classes: Classes) -> list[Slices | None]:
    """Bounding box of each class from 1 on; one pass over the volume however many classes there are."""
    return list(ndimage.find_objects(classes))


def _box_of(boxes: Sequence[list[Slices | None]], members: Sequence[int]) -> Slices:
    """The box around the members of a target in either volume; an empty one where neither has any."""
    inside: Slices | None = None
    for found in boxes:
        for member in members:
            inside = metrics.joint_slices(inside, found[member - 1] if member <= len(found) else None)
    return inside or (slice(0), slice(0), slice(0))


def _target_score(name: str, pair: metrics.Pair) -> TargetScore:
    return TargetScore(
        target=name,
        reference_mm3=pair.overlap.reference * pair.voxel_mm3,
        predicted_mm3=pair.overlap.predicted * pair.voxel_mm3,
        **metrics.measure(pair),
    )


def _voxels(classes: Classes, index: int | None) -> int:
    return 0 if index is None else int(np.count_nonzero(classes == index))
