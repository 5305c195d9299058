"""What DICOM files say about themselves, without their pixels."""

import hashlib
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pydicom
from pydicom.errors import BytesLengthException, InvalidDicomError

from autoseg.errors import UnreadableFile
from autoseg.formats import content as bytes_of
from autoseg.formats.dicom import sniff

STRUCTURES = ("SEG", "RTSTRUCT")
"""Modalities whose files hold masks or contours drawn on images."""

DAMAGED = (InvalidDicomError, BytesLengthException, EOFError, OSError, ValueError, KeyError, AttributeError, TypeError)
"""What pydicom raises when it meets bytes that are no DICOM after all, or break off."""


@contextmanager
def lenient() -> Iterator[None]:
    """Values that bend the standard (too long, odd characters) are taken as they are, without a warning for each."""
    with pydicom.config.disable_value_validation():
        yield


def read(path: Path, tags: Sequence[str] | None = None) -> pydicom.Dataset:
    """The data set of a file without its pixels.

    Args:
        path: The file.
        tags: Keywords to read; None: all.

    Raises:
        UnreadableFile: Damaged, or no DICOM.
    """
    try:
        listed = None if tags is None else list(tags)
        return pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=listed)
    except DAMAGED as error:
        raise UnreadableFile(path, f"cannot be read as DICOM ({error})") from error


def read_all(path: Path) -> tuple[pydicom.Dataset, str]:
    """The data set of a file with its pixels, and the SHA-256 of its bytes.

    Raises:
        UnreadableFile: Damaged, or no DICOM.
    """
    raw = bytes_of.load(path)
    try:
        dataset = pydicom.dcmread(io.BytesIO(raw), force=True)
    except DAMAGED as error:
        raise UnreadableFile(path, f"cannot be read as DICOM ({error})") from error
    return dataset, hashlib.sha256(raw).hexdigest()


def joint(digests: Sequence[str]) -> str:
    """One SHA-256 for several files, whatever their order."""
    return hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()


def modality(path: Path) -> str:
    """The modality of a DICOM file, e.g. ``CT``, ``SEG`` or ``RTSTRUCT``; empty if it names none."""
    return str(read(path, ["Modality"]).get("Modality", "") or "")


def siblings(path: Path) -> tuple[Path, ...]:
    """The files of the same folder and the same series, sorted by name; the file alone if it names no series."""
    wanted = read(path, ["SeriesInstanceUID"]).get("SeriesInstanceUID")
    if not wanted:
        return (path,)
    return tuple(file for file in sorted(path.parent.iterdir()) if file == path or _is_of_series(file, str(wanted)))


def _is_of_series(file: Path, wanted: str) -> bool:
    if not sniff.is_dicom(file):
        return False
    try:
        return str(read(file, ["SeriesInstanceUID"]).get("SeriesInstanceUID")) == wanted
    except UnreadableFile:
        return False
