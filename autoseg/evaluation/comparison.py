"""Comparing two folders of masks: what ``autoseg evaluate PREDICTIONS REFERENCES`` does.

Files belong together by name without suffix. Both are brought to canonical orientation first, so a prediction stored
with other axes, or in another format, than its reference is still compared voxel by voxel; one that lies on another
grid is an error, never resampled. Where either side is DICOM structures, both are compared by the names of structures
(``named_comparison``). Each file is its own subject, unless a table of groups, or a DICOM tree, names subjects.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from autoseg import formats
from autoseg.contracts import CaseScore, Label, LabelSet, Scores
from autoseg.errors import GeometryError, LabelError, UsageError
from autoseg.evaluation import named_comparison, named_masks
from autoseg.evaluation.groups import read as read_groups
from autoseg.evaluation.mask_pairs import Pair, of_subject, paired
from autoseg.evaluation.partners import partners
from autoseg.evaluation.scoring import default_tolerance_mm, score_case, summarize
from autoseg.events import Event, Notify, silent
from autoseg.labelling import as_whole_numbers, class_of, colours_as_values, count_values, to_classes
from autoseg.volumes import geometry

Codes = Mapping[int, int]
"""The class index that each value of a mask means."""
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
        labels: What the values mean; None: every value but 0 in the references is a label of its own, by the name that
            a table or ``dataset.json`` there gives it, and is the same value in the predictions (see ``partners``).
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


def _compared(
    pairs: Mapping[str, Pair], labels: LabelSet | None, tolerance_mm: float | None, seed: int, notify: Notify
) -> Scores:
    if labels is None and any(masks.named for pair in pairs.values() for masks in pair):
        return named_comparison.compare(pairs, tolerance_mm, seed, notify)
    spacings, expected, predicted = [], set[int](), set[int]()
    for prediction, reference in pairs.values():
        array, grid = _read(reference.file)
        spacings.append(grid.spacing_mm)
        if labels is None:
            expected |= _values(array, reference.file)
            predicted |= _values(_read(prediction.file)[0], prediction.file)
    if labels is None:
        first = next(iter(pairs.values()))[1].file
        labels, meant = _inferred(expected, predicted, named_masks.value_names(first), notify)
        codes = class_of(labels)
        both = {value: codes[meant.get(value, 0)] for value in {0, *predicted}}, codes
    else:
        both = class_of(labels), class_of(labels)
    tolerance_mm = default_tolerance_mm(spacings) if tolerance_mm is None else tolerance_mm
    scores = []
    for done, (case, pair) in enumerate(pairs.items(), start=1):
        scores.append(_score(case, pair, labels, both, tolerance_mm, notify))
        notify(Event(stage="evaluate", done=done, total=len(pairs), unit="cases", detail=case))
    return summarize(scores, labels, tolerance_mm, seed)


def _inferred(
    expected: set[int], predicted: set[int], named: Mapping[int, str], notify: Notify
) -> tuple[LabelSet, dict[int, int]]:
    """A label for every value but 0 of the references, and the value that each of the predictions' stands for.

    Labels are called what the references' folder calls their values, if it does and no two the same.
    """
    names = {value: named.get(value, f"label_{value}") for value in sorted(expected - {0})}
    if len(set(names.values())) < len(names):
        names = {value: f"label_{value}" for value in names}
    known = {str(value): name for value, name in names.items()}
    shown = {str(value): names.get(value, f"label_{value}") for value in predicted - {0}}
    belongs = partners(known, shown, notify)
    labels = tuple(Label(name=name, value=value) for value, name in names.items())
    return LabelSet(labels=labels), {int(theirs): int(ours) for ours, theirs in belongs.items()}


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
    found = set(count_values(array))
    if len(found) > _MOST_INFERRED:
        raise LabelError(f"{path}: holds {len(found)} different values such as {sorted(found)[:3]}; is it a mask?")
    return found


def _score(
    case: str, pair: Pair, labels: LabelSet, codes: tuple[Codes, Codes], tolerance_mm: float, notify: Notify
) -> CaseScore:
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
    predicted, expected = _classes(guess, prediction, codes[0]), _classes(truth, reference, codes[1])
    subject = pair[1].case.subject
    return score_case(expected, predicted, labels, truth_grid.spacing_mm, tolerance_mm, case, subject)


def _classes(array: npt.NDArray[Any], path: Path, codes: Codes) -> npt.NDArray[np.unsignedinteger]:
    try:
        return to_classes(array, codes)
    except LabelError as error:
        raise LabelError(f"{path}: {error}") from error
