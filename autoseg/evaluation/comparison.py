"""Comparing two folders of masks: what ``autoseg evaluate PREDICTIONS REFERENCES`` does.

Files belong together by name without suffix. Both are brought to canonical orientation first, so a prediction stored
with other axes, or in another format, than its reference is still compared voxel by voxel; one that lies on another
grid is an error, never resampled. Where either side is DICOM structures, both are compared by the names of structures
(``named_comparison``). Each file is its own subject, unless a table of groups, or a DICOM tree, names subjects.
"""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from autoseg import formats
from autoseg.contracts import CaseScore, Label, LabelSet, Scores
from autoseg.errors import GeometryError, LabelError, UsageError
from autoseg.evaluation import named_comparison
from autoseg.evaluation.groups import read as read_groups
from autoseg.evaluation.mask_pairs import Pair, of_subject, paired
from autoseg.evaluation.scoring import default_tolerance_mm, score_case, summarize
from autoseg.events import Event, Notify, silent
from autoseg.labelling import as_whole_numbers, colours_as_values
from autoseg.postprocessing import class_indices
from autoseg.volumes import geometry

_MOST_INFERRED = 256  # more different values than this are an image, not labels


def evaluate(
    predictions: Path,
    references: Path,
    labels: LabelSet | None = None,
    *,
    tolerance_mm: float | None = None,
    groups: Path | None = None,
    seed: int = 0,
    notify: Notify = silent,
) -> Scores:
    """Score predicted masks against references.

    Args:
        predictions: A folder of masks, or one mask.
        references: A folder of masks, one mask, or a DICOM tree with masks; each must have a prediction.
        labels: What the values mean; None: every value but 0 in the references is a label of its own.
        tolerance_mm: Surface distance that NSD forgives; None: twice the median in-plane spacing of the references.
        groups: A table of groups and subjects (see ``autoseg.evaluation.groups``).
        seed: Of the bootstrap.
        notify: Told of each case, and warned of predictions without reference or a little off it, and of cases without
            group.

    Raises:
        UsageError: A path does not exist or holds no masks, references have no prediction, or no such tolerance.
        UnreadableFile: A file cannot be read.
        GeometryError: A prediction does not lie on its reference's grid.
        LabelError: A file holds values that are no labels.
        DataError: The table of groups cannot be used.
    """
    if tolerance_mm is not None and not 0 <= tolerance_mm < math.inf:
        raise UsageError(f"a tolerance of {tolerance_mm} mm: expected a distance from 0 on, e.g. 2")
    pairs = paired(predictions, references, notify)
    if groups is None:
        return _compared(pairs, labels, tolerance_mm, seed, notify)
    found = read_groups(groups, {case: reference.case.subject for case, (_, reference) in pairs.items()}, notify)
    pairs = {case: (prediction, of_subject(ref, found.subjects[case])) for case, (prediction, ref) in pairs.items()}
    return found.added_to(_compared(pairs, labels, tolerance_mm, seed, notify), seed)


def infer_labels(values: Iterable[int]) -> LabelSet:
    """A label for every value but 0, named after it.

    Raises:
        LabelError: There is none.

    >>> infer_labels({0, 255}).targets
    ('label_255',)
    """
    found = sorted(set(values) - {0})
    if not found:
        raise LabelError("the references hold nothing but 0, so there is nothing to compare; check the folder")
    return LabelSet(labels=tuple(Label(name=f"label_{value}", value=value) for value in found))


def _compared(
    pairs: Mapping[str, Pair], labels: LabelSet | None, tolerance_mm: float | None, seed: int, notify: Notify
) -> Scores:
    if labels is None and any(masks.named for pair in pairs.values() for masks in pair):
        return named_comparison.compare(pairs, tolerance_mm, seed, notify)
    values: set[int] = set()
    spacings = []
    for _, reference in pairs.values():
        array, grid = _read(reference.file)
        spacings.append(grid.spacing_mm)
        if labels is None:
            values |= _values(array, reference.file)
    labels = labels or infer_labels(values)
    tolerance_mm = default_tolerance_mm(spacings) if tolerance_mm is None else tolerance_mm
    scores = []
    for done, (case, pair) in enumerate(pairs.items(), start=1):
        scores.append(_score(case, pair, labels, tolerance_mm, notify))
        notify(Event(stage="evaluate", done=done, total=len(pairs), unit="cases", detail=case))
    return summarize(scores, labels, tolerance_mm, seed)


def _read(path: Path) -> tuple[npt.NDArray[Any], geometry.Grid]:
    """A mask (z, y, x) of whole numbers in canonical orientation; colours as numbers, three equal channels as grey.

    Raises:
        LabelError: It is no mask: probabilities, for instance, or a mask that was interpolated.
    """
    volume = formats.read(path)
    values = volume.array[:1]
    if any(not np.array_equal(values[0], channel) for channel in volume.array[1:]):
        if volume.channels != ("R", "G", "B"):
            raise LabelError(f"{path}: has {len(volume.array)} different channels; a mask has one value per voxel")
        values = colours_as_values(volume.array)
    try:
        values, _ = as_whole_numbers(values)
    except LabelError as error:
        raise LabelError(f"{path}: {error}") from error
    array, grid, _ = geometry.canonicalize(values, volume.grid)
    return array[0], grid


def _values(array: npt.NDArray[Any], path: Path) -> set[int]:
    found = np.unique(array)
    if len(found) > _MOST_INFERRED:
        raise LabelError(f"{path}: holds {len(found)} different values such as {found[:3].tolist()}; is it a mask?")
    return {int(value) for value in found}


def _score(case: str, pair: Pair, labels: LabelSet, tolerance_mm: float, notify: Notify) -> CaseScore:
    prediction, reference = (masks.file for masks in pair)
    (guess, guess_grid), (truth, truth_grid) = _read(prediction), _read(reference)
    agreement = geometry.compare(truth_grid, guess_grid)
    if agreement.kind not in ("same", "offset"):
        raise GeometryError(
            f"case {case}: {prediction} does not lie on the grid of {reference}: shape {guess.shape} and spacing "
            f"{guess_grid.spacing_mm} mm, expected {truth.shape} and {truth_grid.spacing_mm} mm; resample it first"
        )
    if agreement.kind == "offset":
        detail = f"{case}: lies {agreement.offset_vox:.2g} voxels off its reference; compared voxel by voxel"
        notify(Event(stage="evaluate", what="warning", detail=detail))
    classes = [_classes(array, path, labels) for array, path in ((truth, reference), (guess, prediction))]
    subject = pair[1].case.subject
    return score_case(classes[0], classes[1], labels, truth_grid.spacing_mm, tolerance_mm, case, subject)


def _classes(array: npt.NDArray[Any], path: Path, labels: LabelSet) -> npt.NDArray[np.unsignedinteger]:
    try:
        return class_indices(array, labels)
    except LabelError as error:
        raise LabelError(f"{path}: {error}") from error
