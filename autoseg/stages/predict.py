"""Stage 8, predict: a mask for every image, on the image's own grid, by the deployable model alone.

One case after another: read its files, bring them to the canonical orientation, segment, turn the mask back, write it
in the input's format. A case that cannot be predicted is reported and the others go on: outputs and failures together
are the inputs. What is done already stays (``autoseg.predicted_files``).
"""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from autoseg import formats, records
from autoseg.contracts import Case, Model, PredictedCase, Prediction
from autoseg.errors import EXPECTED_ERRORS, DataError, Interrupted
from autoseg.events import Event, Notify, silent
from autoseg.intake import auditing, frames
from autoseg.learn import device as devices
from autoseg.learn.infer import Tell
from autoseg.model import Keep, SegmentationModel, arrays, identity, load, population
from autoseg.postprocessing import file_values
from autoseg.predicted_files import CaseFiles, Options, require_free
from autoseg.volumes.geometry import resample_onto, restore
from autoseg.volumes.labels import member_mask
from autoseg.volumes.rounding import as_probabilities
from autoseg.workspace import ModelFolder, hold

algorithm_version = 6

Observe = Callable[[str, npt.NDArray[np.uint8] | npt.NDArray[np.float32]], None]
"""Takes a case's name and the canonical probabilities (H, z, y, x) that its mask is decided on, or whole numbers of
1/255."""


def predict(
    model_folder: ModelFolder,
    cases: Sequence[Case],
    root: Path,
    out: Path,
    options: Options = Options(),
    *,
    observe: Observe | None = None,
    notify: Notify = silent,
) -> Prediction:
    """Segment cases.

    Args:
        model_folder: The deployable model; nothing else of a run folder is needed.
        cases: What to segment; their labels, if any, are not looked at.
        root: What the cases' paths are relative to.
        out: Folder for the masks, ``<case><suffix of the input>`` where that format holds labels exactly.
        options: How.
        observe: Called with each case that is predicted anew; whatever it leaves behind is there before the mask is.
        notify: Called before each case, while networks work at it, and at the end.

    Returns:
        What became of each case, in the order given.

    Raises:
        UsageError: Not a model folder, masks of another model are in the way, or two cases would write one file.
        RefusedError: The model was tampered with, or a case's name leads out of the folder.
        BusyError: Another process predicts into the same folder.
    """
    with hold(out / "provenance" / ".lock", f"prediction folder {out}"):
        model = load(model_folder.path, device=options.device)
        devices.prepare(model.device, deterministic=True)  # equal inputs give equal masks
        every = [CaseFiles(case, root, out, options, identity(model.record)) for case in cases]
        require_free(every)
        done: list[PredictedCase] = []
        for files in every:
            tell = _teller(files.case.case, len(done), len(every), notify)
            tell(0.0)
            done.append(_finish(files, model, observe, tell))
            for remark in (*done[-1].warnings, *filter(None, [done[-1].error])):
                notify(Event(stage="predict", what="warning", detail=f"{files.case.case}: {remark}"))
        notify(Event(stage="predict", done=len(every), total=len(every), unit="case"))
    frames.forget()
    return Prediction(cases=tuple(done))


def _teller(case: str, done: int, total: int, notify: Notify) -> Tell:
    """Takes the share of a case that is done, after so many others."""

    def tell(share: float) -> None:
        detail = f"{case}, {share:.0%}" if share else case
        so_far = done + min(share, 0.99)  # the mask is yet to be written
        notify(Event(stage="predict", done=so_far, total=total, unit="case", detail=detail))

    return tell


def _finish(files: CaseFiles, model: SegmentationModel, observe: Observe | None, tell: Tell) -> PredictedCase:
    """Predict a case unless that is done already. Nothing that is wrong with one case may stop the others."""
    try:
        inputs = files.digests()
        done = files.done(inputs)
        if done is not None:
            return done
        files.begin()
        predicted = None
        try:
            predicted = _predict(files, model, observe, tell)
        finally:
            if predicted is None:
                files.clear()
        files.finish(inputs, predicted)
        return predicted
    except Interrupted:
        raise
    except Exception as error:  # noqa: BLE001  the fence around a case: its failure is recorded, the others go on
        text = str(error) if isinstance(error, EXPECTED_ERRORS) else f"{type(error).__name__}: {error}"
        return PredictedCase(case=files.case.case, status="failed", error=text)


def _predict(files: CaseFiles, model: SegmentationModel, observe: Observe | None, tell: Tell) -> PredictedCase:
    started = time.monotonic()
    reading = auditing.Reading(channels=len(model.record.channels), axis4=files.options.axis4)
    loaded = auditing.load(files.root, files.case.without_label(), reading)
    remarks = [f"{finding.reason}; {finding.repair}".strip("; ") for finding in loaded.findings]
    image = np.ascontiguousarray(_with_channels_of(model.record, loaded.image, remarks))
    spacing, turn = loaded.grid.spacing_mm, arrays.reorientation(loaded.orientation)
    doubts = population.doubts(model.record.card, image, spacing, spacing_known=loaded.spacing_known)
    exact = files.options.probabilities or loaded.tilted is not None
    looked_at = observe is not None or bool(model.record.expectations)
    keep: Keep = "exact" if exact else "rounded" if looked_at else "nothing"
    blended, grid = model.blended(image, spacing, tta=files.options.tta, keep=keep, tell=tell), loaded.grid
    if observe is not None:
        observe(files.case.case, blended.probabilities)
    classes = model.finish(blended.votes, spacing)
    expected = model.expected(blended, classes, spacing)
    if exact:
        probabilities = as_probabilities(blended.probabilities)
        if loaded.tilted is not None:
            grid, spacing = loaded.tilted, loaded.tilted.spacing_mm
            probabilities = resample_onto(probabilities, loaded.grid, grid, nearest=False)
            classes = model.decide(probabilities, spacing)
        if files.options.probabilities:
            _write_probabilities(files.probabilities, restore(model.calibrated(probabilities), turn))
    names = {label.value: label.name for label in model.labels.labels}
    written = restore(file_values(classes, model.labels), turn)
    formats.write_label(files.mask, written, like=files.reference, names=names, colours=model.labels.coding == "rgb")
    return PredictedCase(
        case=files.case.case,
        status="done",
        output=files.mask.relative_to(files.out).as_posix(),
        seconds=round(time.monotonic() - started, 3),
        volumes_mm3=tuple(float(member_mask(classes, m).sum()) * grid.voxel_mm3 for m in model.labels.members),
        warnings=(*remarks, *doubts),
        ood=bool(doubts),
        expected=expected,
    )


def _with_channels_of(record: Model, image: npt.NDArray[Any], remarks: list[str]) -> npt.NDArray[Any]:
    """The image with as many channels as the model has; only grey and colour stand in for each other.

    Raises:
        DataError: Channels are missing or too many, or a model of plane images is given a volume.
    """
    names = tuple(channel.name for channel in record.channels)
    if record.dimension == 2 and image.shape[1] != 1:
        raise DataError(f"the image has {image.shape[1]} slices, the model segments plane images; split it into slices")
    if len(image) == len(names):
        return image
    if len(image) == 1 and names == auditing.RGB:
        remarks.append("the image is grey, the model was made for colour; the grey values are taken for R, G and B")
        return np.repeat(image, 3, axis=0)
    if len(image) == 3 and len(names) == 1 and (image == image[:1]).all():
        remarks.append("the image has three equal channels, the model needs one; the first is used")
        return image[:1]
    raise DataError(
        f"the image has {len(image)} channels, the model needs {len(names)}: {', '.join(names)}; give one file per "
        "channel, named X_0000, X_0001, ... in this order, or one file that holds them all"
    )


def _write_probabilities(path: Path, probabilities: npt.NDArray[np.float32]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with open(temporary, "wb") as file:
        np.savez_compressed(file, probabilities=probabilities.astype(np.float16))
        file.flush()
        os.fsync(file.fileno())
    records.publish(temporary, path)
