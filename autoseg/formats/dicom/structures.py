"""Files that hold structures: told apart by modality, each read by its own module."""

from pathlib import Path

from autoseg.errors import UnreadableFile
from autoseg.formats.dicom import contours, headers, segmentation
from autoseg.formats.volume import Structures, Volume

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
