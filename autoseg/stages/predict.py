"""Stage 8, predict: a mask for every image, on the image's own grid, by the deployable model alone.

One case after another: read its files, bring them to the canonical orientation, segment, turn the mask back, write it
in the input's format. A case that cannot be predicted is reported and the others go on: outputs and failures together
are the inputs. Beside the masks lies ``provenance/<case>.json``, complete at last; where it names the same model,
settings and input bytes, the case is done and is not predicted again.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from autoseg import formats, records
from autoseg.contracts import Axis4, Case, Model, PredictedCase, Prediction
from autoseg.errors import EXPECTED_ERRORS, DataError, Interrupted, RefusedError, UsageError
from autoseg.events import Event, Notify, silent
from autoseg.intake import auditing, frames
from autoseg.learn import device as devices
from autoseg.model import Keep, SegmentationModel, Tta, arrays, identity, load, population
from autoseg.postprocessing import file_values
from autoseg.volumes.geometry import resample_onto, restore
from autoseg.volumes.labels import member_mask
from autoseg.volumes.rounding import as_probabilities
from autoseg.workspace import ModelFolder, hold
from planners.contracts import Record

algorithm_version = 5

Observe = Callable[[str, npt.NDArray[np.uint8] | npt.NDArray[np.float32]], None]
"""Takes a case's name and the canonical probabilities (H, z, y, x) that its mask is decided on, or whole numbers of
1/255."""


@dataclass(frozen=True)
class Options:
    """How to predict.

    Attributes:
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        tta: Average over mirrored copies: as selected, never, or always.
        probabilities: Also write ``<case>.npz`` with calibrated ``probabilities`` (H, z, y, x) float16 on the mask's
            grid.
        overwrite: Replace masks that another model, or somebody, left in the folder.
        contours: For DICOM series, write contours (RTSTRUCT) instead of a segmentation.
        axis4: What a fourth axis of images counts; None: channels, where the model has as many.
    """

    device: str = "auto"
    tta: Tta = "auto"
    probabilities: bool = False
    overwrite: bool = False
    contours: bool = False
    axis4: Axis4 | None = None


class Trace(Record):
    """What a mask was made from, with what, and what was said about it."""

    schema_version: int = 1
    model: str  # autoseg.model.identity of the model
    inputs: tuple[str, ...]  # SHA-256 of the case's image files
    tta: Tta
    probabilities: bool
    predicted: PredictedCase


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
        notify: Called before each case and at the end.

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
        jobs = [_Job(case, root, out, options, identity(model.record)) for case in cases]
        _require_free(jobs)
        done: list[PredictedCase] = []
        for job in jobs:
            notify(Event(stage="predict", done=len(done), total=len(jobs), unit="case", detail=job.case.case))
            done.append(_finish(job, model, observe))
            for remark in (*done[-1].warnings, *filter(None, [done[-1].error])):
                notify(Event(stage="predict", what="warning", detail=f"{job.case.case}: {remark}"))
        notify(Event(stage="predict", done=len(jobs), total=len(jobs), unit="case"))
    frames.forget()
    return Prediction(cases=tuple(done))


@dataclass(frozen=True)
class _Job:
    """One case, and where its results go. ``model`` is the model's identity."""

    case: Case
    root: Path
    out: Path
    options: Options
    model: str

    @property
    def images(self) -> tuple[Path, ...]:
        return tuple(self.root / image for image in self.case.images)

    @property
    def mask(self) -> Path:
        suffix = formats.mask_suffix(self.reference)
        if suffix == formats.DICOM_SEG and self.options.contours:
            suffix = formats.DICOM_CONTOURS
        return self.out / f"{self.case.case}{suffix}"

    @property
    def reference(self) -> Path:
        """The image file on whose grid the mask is written."""
        return self.images[self.case.reference]

    @property
    def probabilities(self) -> Path:
        return self.out / f"{self.case.case}.npz"

    @property
    def trace(self) -> Path:
        return self.out / "provenance" / f"{self.case.case}.json"

    def earlier(self) -> Trace | None:
        """The trace of the mask that is there already, if any."""
        return records.read(self.trace, Trace) if self.trace.is_file() else None


# ---------------------------------------------------------------------------------------------------- before work


def _require_free(jobs: Sequence[_Job]) -> None:
    """Refuse to write outside the folder, two cases into one file, over an input, or over somebody else's mask."""
    writers: dict[Path, str] = {}
    inputs = {image.resolve() for job in jobs for image in job.images}
    for job in jobs:
        name, target = job.case.case, job.mask.resolve()
        if not target.is_relative_to(job.out.resolve()):
            raise RefusedError(f"case {name!r}: its mask {target} would lie outside {job.out}; rename the case")
        if target in writers:
            raise UsageError(f"cases {writers[target]!r} and {name!r} would both write {job.mask}; rename one of them")
        if target in inputs:
            raise UsageError(f"{job.mask}: the mask would replace an image; choose another output folder")
        writers[target] = name
    foreign = [path for job in jobs if not job.options.overwrite for path in _foreign(job)]
    if foreign:
        raise UsageError(
            f"{len(foreign)} files in the output folder, e.g. {foreign[0]}, were not made by this model; "
            "choose another output folder, or add --overwrite to replace them"
        )


def _foreign(job: _Job) -> list[Path]:
    """Files at the place of the case's results that this model did not make."""
    earlier = job.earlier()
    if earlier is not None and earlier.model == job.model:
        return []
    wanted = [job.mask, job.probabilities] if job.options.probabilities else [job.mask]
    return [path for path in wanted if path.exists()]


# ------------------------------------------------------------------------------------------------------- one case


def _finish(job: _Job, model: SegmentationModel, observe: Observe | None) -> PredictedCase:
    """Predict a case unless that is done already. Nothing that is wrong with one case may stop the others."""
    try:
        inputs = tuple(records.file_digest(file) for image in job.images for file in formats.files(image))
        earlier = job.earlier()
        if earlier is not None and _still_holds(earlier, job, inputs):
            return earlier.predicted
        _remove_stale(job, earlier)
        begun = _begun(job)
        records.write(job.trace, begun)
        predicted = None
        try:
            predicted = _predict(job, model, observe)
        finally:
            if predicted is None:
                _remove_stale(job, begun)
        records.write(job.trace, begun.model_copy(update={"inputs": inputs, "predicted": predicted}))
        return predicted
    except Interrupted:
        raise
    except Exception as error:  # noqa: BLE001  the fence around a case: its failure is recorded, the others go on
        text = str(error) if isinstance(error, EXPECTED_ERRORS) else f"{type(error).__name__}: {error}"
        return PredictedCase(case=job.case.case, status="failed", error=text)


def _begun(job: _Job) -> Trace:
    """The trace of a case at work: it tells whose that is which a crash leaves behind, and holds for no image."""
    at_work = PredictedCase(case=job.case.case, status="failed", error="interrupted")
    asked = job.options
    return Trace(model=job.model, inputs=(), tta=asked.tta, probabilities=asked.probabilities, predicted=at_work)


def _remove_stale(job: _Job, earlier: Trace | None) -> None:
    """So that no mask of an earlier image or model stays behind if this case fails now."""
    job.trace.unlink(missing_ok=True)
    job.mask.unlink(missing_ok=True)
    if earlier is not None and earlier.probabilities:
        job.probabilities.unlink(missing_ok=True)


def _still_holds(earlier: Trace, job: _Job, inputs: tuple[str, ...]) -> bool:
    return (
        (earlier.model, earlier.inputs, earlier.tta) == (job.model, inputs, job.options.tta)
        and job.mask.is_file()
        and (not job.options.probabilities or (earlier.probabilities and job.probabilities.is_file()))
    )


def _predict(job: _Job, model: SegmentationModel, observe: Observe | None) -> PredictedCase:
    started = time.monotonic()
    reading = auditing.Reading(channels=len(model.record.channels), axis4=job.options.axis4)
    loaded = auditing.load(job.root, job.case.without_label(), reading)
    remarks = [f"{finding.reason}; {finding.repair}".strip("; ") for finding in loaded.findings]
    image = np.ascontiguousarray(_with_channels_of(model.record, loaded.image, remarks))
    spacing, turn = loaded.grid.spacing_mm, arrays.reorientation(loaded.orientation)
    doubts = population.doubts(model.record.card, image, spacing, spacing_known=loaded.spacing_known)
    exact = job.options.probabilities or loaded.tilted is not None
    looked_at = observe is not None or bool(model.record.expectations)
    keep: Keep = "exact" if exact else "rounded" if looked_at else "nothing"
    blended, grid = model.blended(image, spacing, tta=job.options.tta, keep=keep), loaded.grid
    if observe is not None:
        observe(job.case.case, blended.probabilities)
    classes = model.finish(blended.votes, spacing)
    expected = model.expected(blended, classes, spacing)
    if exact:
        probabilities = as_probabilities(blended.probabilities)
        if loaded.tilted is not None:
            grid, spacing = loaded.tilted, loaded.tilted.spacing_mm
            probabilities = resample_onto(probabilities, loaded.grid, grid, nearest=False)
            classes = model.decide(probabilities, spacing)
        if job.options.probabilities:
            _write_probabilities(job.probabilities, restore(model.calibrated(probabilities), turn))
    names = {label.value: label.name for label in model.labels.labels}
    written = restore(file_values(classes, model.labels), turn)
    formats.write_label(job.mask, written, like=job.reference, names=names, colours=model.labels.coding == "rgb")
    return PredictedCase(
        case=job.case.case,
        status="done",
        output=job.mask.relative_to(job.out).as_posix(),
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
