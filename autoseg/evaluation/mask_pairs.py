"""Which masks are compared with which, by name: two files, two folders of masks, or predictions with a DICOM tree.

A mask is a file of voxels, a DICOM-SEG or an RTSTRUCT. A folder that holds DICOM images is read as the data set that it
is: then cases have the names that ``predict`` gives their masks, and contours have the image that they were drawn on.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from autoseg import formats, layouts
from autoseg.contracts import Case
from autoseg.errors import UsageError
from autoseg.events import Event, Notify

_DICOM_ENDING = re.compile(r"(?:\.seg|\.rtstruct)?(?:\.dcm|\.dicom|\.seg)?$", re.IGNORECASE)


@dataclass(frozen=True)
class Masks:
    """What is drawn in one case.

    Attributes:
        root: Folder that the paths of the case are relative to.
        case: Its label or structures; its images, where they are at hand.
    """

    root: Path
    case: Case

    @property
    def file(self) -> Path:
        """The (first) file of masks."""
        return self.root / self.case.label_files[0]

    @property
    def image(self) -> Path | None:
        """The image that they were drawn on."""
        return self.root / self.case.images[self.case.reference] if self.case.images else None

    @property
    def named(self) -> bool:
        """Whether the files hold structures that have names, rather than values."""
        return bool(self.case.structures) or formats.holds_structures(self.file)


Pair = tuple[Masks, Masks]
"""Prediction and reference."""


def of_subject(masks: Masks, subject: str) -> Masks:
    """The same masks, of a case of this subject."""
    return Masks(masks.root, masks.case.model_copy(update={"subject": subject}))


def paired(predictions: Path, references: Path, notify: Notify) -> dict[str, Pair]:
    """Prediction and reference of each case. Two single files belong together whatever they are called.

    Raises:
        UsageError: A path does not exist or holds no masks, or references have no prediction.
        DataError: ``references`` is a DICOM tree that cannot be read.
    """
    predicted, expected = _masks(predictions), _masks(references)
    if len(predicted) == len(expected) == 1 and predictions.is_file():
        return {name: (next(iter(predicted.values())), masks) for name, masks in expected.items()}
    _require_all(predicted, expected, predictions)
    for name in sorted(set(predicted) - set(expected)):
        notify(Event(stage="evaluate", what="warning", detail=f"{name}: has no reference and is left out"))
    return {name: (predicted[name], expected[name]) for name in sorted(expected)}


def _masks(path: Path) -> dict[str, Masks]:
    """The masks of a folder by name without suffix.

    Raises:
        UsageError: There are none, or two of one name.
    """
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder; name a mask or a folder of masks")
    if path.is_dir() and _holds_dicom_images(path):
        return _of_tree(path)
    files = [path] if path.is_file() else sorted(path.iterdir())
    found = [item for item in files if formats.is_image(item) or formats.holds_structures(item)]
    if not found:
        raise UsageError(f"{path}: holds no masks; name a folder of masks (.nii.gz, .nrrd, .png, DICOM-SEG, ...)")
    masks: dict[str, Masks] = {}
    for item in found:
        name = formats.stem(item) if formats.is_image(item) else _DICOM_ENDING.sub("", item.name)
        if name in masks:
            raise UsageError(f"{path}: {masks[name].file.name} and {item.name} share one name; remove one of them")
        masks[name] = Masks(item.parent, Case(case=name, subject=name, images=(), label=item.name))
    return masks


def _of_tree(path: Path) -> dict[str, Masks]:
    labelled = [case for case in layouts.find(path).cases if case.labelled]
    if not labelled:
        raise UsageError(f"{path}: holds no masks of its DICOM series; name a folder of masks, or of series with masks")
    return {case.case: Masks(path, case) for case in labelled}


def _holds_dicom_images(path: Path) -> bool:
    return any(formats.is_dicom(file) and not formats.holds_structures(file) for file in path.rglob("*"))


def _require_all(predicted: Mapping[str, Masks], expected: Mapping[str, Masks], folder: Path) -> None:
    missing = sorted(set(expected) - set(predicted))
    if missing:
        listed = ", ".join(missing[:20]) + (f" and {len(missing) - 20} more" if len(missing) > 20 else "")
        raise UsageError(
            f"{folder}: {len(missing)} of {len(expected)} references have no prediction: {listed}; "
            "predict them, or remove the references"
        )
