"""Predicting a user's files with a finished model: what ``autoseg predict`` does."""

from pathlib import Path

from autoseg import layouts, records
from autoseg.contracts import Prediction
from autoseg.errors import UsageError
from autoseg.events import Notify, silent
from autoseg.intake import frames
from autoseg.model.folder import record_of
from autoseg.predicted_files import Options
from autoseg.row import resume
from autoseg.stages.predict import predict
from autoseg.workspace import ModelFolder
from planners.contracts import Parent


def predict_folder(
    model: Path, source: Path, output: Path, options: Options = Options(), notify: Notify = silent
) -> Prediction:
    """Segment an image or all images of a folder; ``predict.json`` beside the masks says what became of each.

    Raises:
        UsageError: No model, no images, or the output is the input.
    """
    record = record_of(model)
    if not source.exists():
        raise UsageError(f"{source}: does not exist; expected an image or a folder of images")
    root = source if source.is_dir() else source.parent
    if output.resolve() == root.resolve():
        raise UsageError(f"{output}: is where the images are; choose another folder for the masks")
    cases = layouts.find_inputs(source, [channel.name for channel in record.channels], output)
    unused = layouts.unused_inputs(source, cases, output)
    cases = frames.inputs_in_time(cases, root) if options.axis4 == "time" else cases
    parents = (Parent(name="model", digest=records.digest(record)),)
    made = resume.stamp(lambda: predict(ModelFolder(model), cases, root, output, options, notify=notify), parents)
    told = made.model_copy(update={"left_over": tuple(unused), "left_over_because": tuple(unused.values())})
    records.write(output / "predict.json", told)
    return told
