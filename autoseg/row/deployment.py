"""What leaves the run folder: the deployable model, and the predictions it makes of cases that trained nothing."""

from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from autoseg import model, records
from autoseg.contracts import CaseScan, Dataset, Model, Prediction, Selection, TrainedModel, WeightsFile
from autoseg.events import Notify
from autoseg.page import card
from autoseg.predicted_files import Options
from autoseg.row import holdout, results
from autoseg.stages import predict
from autoseg.workspace import Workspace
from planners import finetune
from planners.contracts import Fingerprint, Parent, Plan, with_previous_stages


def draft(
    dataset: Dataset,
    scans: Sequence[CaseScan],
    fingerprint: Fingerprint,
    plan: Plan,
    trained: Sequence[TrainedModel],
    selection: Selection,
) -> Model:
    """The record of the model that ``selection`` chose; its files are still where training left them."""
    shipped = with_previous_stages({member.configuration for member in selection.members}, plan.configurations)
    kept = {configuration.name for configuration in shipped}
    return Model(
        autoseg_version=metadata.version("autoseg"),
        dimension=dataset.dimension,
        channels=dataset.channels,
        labels=dataset.labels,
        configurations=shipped,
        members=selection.members,
        postprocessing=selection.postprocessing,
        mirror=selection.mirror,
        blend=selection.blend,
        decision=selection.decision,
        temperature=1.0 if selection.calibration is None else selection.calibration.temperature,
        expectations=tuple(one.expectation for one in selection.foresight),
        weights=tuple(
            WeightsFile(configuration=m.configuration, fold=m.fold, file="", sha256=m.weights)
            for m in trained
            if m.configuration in kept
        ),
        golden="",
        card=card.make(dataset, fingerprint, selection, None, scans, continued=finetune.continues(plan)),
    )


def deploy(drafted: Model, parents: tuple[Parent, ...], workspace: Workspace, device: str) -> Model:
    """Write the model folder."""
    stamped = drafted.model_copy(update={"parents": parents})
    return model.write(workspace.model, stamped, lambda name, fold: workspace.job(name, fold).weights, device=device)


def predict_rest(dataset: Dataset, source: Path, workspace: Workspace, device: str, notify: Notify) -> Prediction:
    """Predict the hold-out and the cases without a label by the model folder alone, and score the hold-out."""
    cases = [c for c in dataset.cases if not c.labelled or c.case in dataset.split.holdout]
    if not cases:
        return Prediction(cases=())
    options = Options(device=device, overwrite=True)  # the folder is the run's own
    out, drafted = workspace.folder("predict"), records.read(workspace.model.record, Model)
    check = holdout.CalibrationOnHoldout(dataset, workspace, drafted.temperature)
    made = predict.predict(workspace.model, cases, source, out, options, observe=check.observe, notify=notify)
    scores = results.score_holdout(dataset, made, workspace)
    return made.model_copy(
        update={
            "holdout": scores,
            "holdout_calibration": check.result(),
            "holdout_expectations": holdout.expectations(drafted, made, scores),
        }
    )
