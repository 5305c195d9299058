"""The files of a predicted case: where they go, whose they are, and whether they still hold.

Beside the masks lies ``provenance/<case>.json``, complete at last; where it names the same model, settings and input
bytes, the case is done and is not predicted again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autoseg import formats, records
from autoseg.contracts import Axis4, Case, PredictedCase
from autoseg.errors import RefusedError, UsageError
from autoseg.model import Tta
from planners.contracts import Record


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


@dataclass(frozen=True)
class CaseFiles:
    """One case, its images, and where its results go.

    Attributes:
        case: Its label, if any, is not looked at.
        root: What its paths are relative to.
        out: Folder of the results.
        options: How it is to be predicted.
        model: The model's identity.
    """

    case: Case
    root: Path
    out: Path
    options: Options
    model: str

    @property
    def images(self) -> tuple[Path, ...]:
        """A file, or folder of a series, per channel, or one with all of them."""
        return tuple(self.root / image for image in self.case.images)

    @property
    def reference(self) -> Path:
        """The image on whose grid the mask is written."""
        return self.images[self.case.reference]

    @property
    def mask(self) -> Path:
        """In the format of the input where that holds labels exactly."""
        suffix = formats.mask_suffix(self.reference)
        if suffix == formats.DICOM_SEG and self.options.contours:
            suffix = formats.DICOM_CONTOURS
        return self.out / f"{self.case.case}{suffix}"

    @property
    def probabilities(self) -> Path:
        """Written if asked for."""
        return self.out / f"{self.case.case}.npz"

    @property
    def trace(self) -> Path:
        """Written last."""
        return self.out / "provenance" / f"{self.case.case}.json"

    def digests(self) -> tuple[str, ...]:
        """SHA-256 of each image file."""
        return tuple(records.file_digest(file) for image in self.images for file in formats.files(image))

    def done(self, inputs: tuple[str, ...]) -> PredictedCase | None:
        """What was made of the same inputs in the same way, if all of it is still there."""
        found, asked = self._earlier(), self.options
        if found is None or (found.model, found.inputs, found.tta) != (self.model, inputs, asked.tta):
            return None
        complete = self.mask.is_file()
        if asked.probabilities:
            complete = complete and found.probabilities and self.probabilities.is_file()
        return found.predicted if complete else None

    def begin(self) -> None:
        """Make way for new results, and tell whose those are that a crash leaves behind."""
        self.clear()
        at_work = PredictedCase(case=self.case.case, status="failed", error="interrupted")
        self.finish((), at_work)  # no image has no bytes, so it holds for none

    def clear(self) -> None:
        """So that no mask of an earlier image or model stays behind if this case fails now."""
        found = self._earlier()
        self.trace.unlink(missing_ok=True)
        self.mask.unlink(missing_ok=True)
        if found is not None and found.probabilities:
            self.probabilities.unlink(missing_ok=True)

    def finish(self, inputs: tuple[str, ...], predicted: PredictedCase) -> None:
        """Say what was made of which inputs."""
        tta, probabilities = self.options.tta, self.options.probabilities
        trace = Trace(model=self.model, inputs=inputs, tta=tta, probabilities=probabilities, predicted=predicted)
        records.write(self.trace, trace)

    def foreign(self) -> list[Path]:
        """Files at the place of the results that this model did not make."""
        found = self._earlier()
        if found is not None and found.model == self.model:
            return []
        wanted = [self.mask, self.probabilities] if self.options.probabilities else [self.mask]
        return [path for path in wanted if path.exists()]

    def _earlier(self) -> Trace | None:
        return records.read(self.trace, Trace) if self.trace.is_file() else None


def require_free(every: Sequence[CaseFiles]) -> None:
    """Refuse to write outside the folder, two cases into one file, over an input, or over somebody else's mask.

    Raises:
        RefusedError: A case's name leads out of the folder.
        UsageError: Any of the others.
    """
    writers: dict[Path, str] = {}
    inputs = {image.resolve() for files in every for image in files.images}
    for files in every:
        name, target = files.case.case, files.mask.resolve()
        if not target.is_relative_to(files.out.resolve()):
            raise RefusedError(f"case {name!r}: its mask {target} would lie outside {files.out}; rename the case")
        if target in writers:
            raise UsageError(
                f"cases {writers[target]!r} and {name!r} would both write {files.mask}; rename one of them"
            )
        if target in inputs:
            raise UsageError(f"{files.mask}: the mask would replace an image; choose another output folder")
        writers[target] = name
    foreign = [path for files in every if not files.options.overwrite for path in files.foreign()]
    if foreign:
        raise UsageError(
            f"{len(foreign)} files in the output folder, e.g. {foreign[0]}, were not made by this model; "
            "choose another output folder, or add --overwrite to replace them"
        )
