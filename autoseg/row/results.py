"""The final class map of a case: the predicted file of a hold-out case, or blended out-of-fold predictions.

Both come back on the canonical grid, so that they can be scored and drawn beside image and reference.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from autoseg import formats, records
from autoseg.contracts import CaseScan, Dataset, Prediction, Run, Scores, Selection, TrainedModel
from autoseg.errors import DataError, UnreadableFile
from autoseg.evaluation.scoring import default_tolerance_mm, score_case, summarize
from autoseg.labelling import colours_as_values
from autoseg.page.before_after import Comparison
from autoseg.page.overlays import OverlayInput
from autoseg.postprocessing import class_indices
from autoseg.selection.store import Pipeline, Store, mirrored_by
from autoseg.volumes.geometry import canonicalize
from autoseg.volumes.labels import Classes
from autoseg.workspace import DatasetFolder, Workspace


def score_holdout(dataset: Dataset, prediction: Prediction, workspace: Workspace) -> Scores | None:
    """Score the masks that the deployable model wrote for the hold-out; None where nothing was held out.

    Raises:
        DataError: A hold-out case has no mask: a score of the others would flatter the model.
    """
    if not dataset.split.holdout:
        return None
    failed = [case for case in prediction.cases if case.case in dataset.split.holdout and case.status == "failed"]
    if failed:
        raise DataError(f"hold-out case {failed[0].case} could not be predicted: {failed[0].error}")
    scans = {case: _scan(workspace.dataset, case) for case in dataset.split.holdout}
    tolerance_mm = default_tolerance_mm([scan.spacing_mm for scan in scans.values()])
    scores = [
        score_case(
            _reference(workspace.dataset, case),
            predicted_file(case, prediction, dataset, workspace),
            dataset.labels,
            scan.spacing_mm,
            tolerance_mm,
            case,
            dataset.case(case).subject,
        )
        for case, scan in scans.items()
    ]
    return summarize(scores, dataset.labels, tolerance_mm, dataset.split.seed)


def predicted_file(case: str, prediction: Prediction, dataset: Dataset, workspace: Workspace) -> Classes:
    """Read a written mask back, as class indices (z, y, x) on the canonical grid."""
    output = next(item.output for item in prediction.cases if item.case == case)
    if output is None:
        raise DataError(f"case {case} has no predicted mask")
    image = Path(records.read(workspace.run, Run).source) / dataset.case(case).images[0]
    names = {label.value: label.name for label in dataset.labels.labels}
    volume = formats.read_label(workspace.folder("predict") / output, image, names)
    array = colours_as_values(volume.array) if dataset.labels.coding == "rgb" else volume.array
    canonical, _, _ = canonicalize(array, volume.grid)
    return class_indices(canonical[0], dataset.labels)


def out_of_fold(case: str, dataset: Dataset, pipeline: Pipeline, workspace: Workspace) -> Classes:
    """What an ensemble says of a development case, by models that never saw it."""
    fold = next(k for k, cases in enumerate(dataset.split.folds) if case in cases)
    names = [member.configuration for member in pipeline.members] if pipeline.mirror else []
    trained = [records.read(workspace.job(name, fold).record, TrainedModel) for name in names]
    store = Store(dataset, workspace.dataset, workspace.job, mirrored_by(trained))
    return store.predicted(case, fold, pipeline)


def overlay(
    case: str, dataset: Dataset, selection: Selection, prediction: Prediction, workspace: Workspace
) -> OverlayInput:
    """Image, reference and prediction of one scored case."""
    if case in dataset.split.holdout:
        predicted = predicted_file(case, prediction, dataset, workspace)
    else:
        predicted = out_of_fold(case, dataset, Pipeline.of(selection), workspace)
    return _input(case, predicted, workspace)


def comparison(case: str, dataset: Dataset, selection: Selection, workspace: Workspace) -> Comparison:
    """A development case before and after the decision and post-processing that the search prefers.

    Raises:
        DataError: The search preferred nothing.
    """
    if selection.preferred is None:
        raise DataError(f"case {case}: nothing was searched, so there is nothing to compare")
    pipeline = Pipeline.of(selection.preferred)
    before, after = (out_of_fold(case, dataset, each, workspace) for each in (pipeline.blended, pipeline))
    return Comparison(before, _input(case, after, workspace))


def _input(case: str, predicted: Classes, workspace: Workspace) -> OverlayInput:
    return OverlayInput(
        image=_array(workspace.dataset.image(case)),
        reference=_reference(workspace.dataset, case),
        predicted=predicted,
        spacing_mm=_scan(workspace.dataset, case).spacing_mm,
    )


def _scan(folder: DatasetFolder, case: str) -> CaseScan:
    return records.read(folder.scan(case), CaseScan)


def _reference(folder: DatasetFolder, case: str) -> Classes:
    return np.array(_array(folder.label(case)))


def _array(path: Path) -> npt.NDArray[Any]:
    """A canonical volume; what is not looked at stays on the disk."""
    try:
        array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UnreadableFile(path, str(error), "delete dataset.json to have it made again") from error
    return array
