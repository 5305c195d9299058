"""Files that hold structures: told apart by modality, each read by its own module."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from autoseg.errors import LabelError, UnreadableFile
from autoseg.formats.dicom import contours, headers, segmentation
from autoseg.formats.volume import Structures, Volume, channel_names

READERS = {"SEG": segmentation.read, "RTSTRUCT": contours.read}


def holds(path: Path) -> bool:
    """Whether a DICOM file is a segmentation or a structure set."""
    try:
        return headers.modality(path) in READERS
    except UnreadableFile:
        return False


def read(path: Path, like: Volume) -> Structures:
    """Read a DICOM-SEG or RTSTRUCT file onto the grid of an image. Errors as theirs."""
    with headers.guarded(path):
        kind = headers.modality(path)
        if kind not in READERS:
            raise UnreadableFile(path, f"holds no structures (its modality is {kind or 'not given'})", "give SEG files")
        return READERS[kind](path, like)


def as_label(path: Path, image: Volume, names: Mapping[int, str]) -> Volume:
    """Structures painted as the values that ``names`` gives them, on the grid of the image. See ``read_label``."""
    structures = read(path, image)
    value_of = {name[: headers.LONGEST_NAME]: value for value, name in names.items()}
    values = np.zeros((1, *image.grid.shape), np.int32)
    for name, mask in zip(structures.names, structures.masks, strict=True):
        if name not in value_of:
            raise LabelError(f"{path}: holds the structure {name!r}; expected {sorted(value_of)}; predict it again")
        values[0, mask] = value_of[name]
    return Volume(values, image.grid, image.spacing_known, structures.sha256, channel_names(1))
