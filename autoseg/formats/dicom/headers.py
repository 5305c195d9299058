"""What DICOM files say about themselves, without their pixels."""

import hashlib
import io
import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pydicom
from pydicom.errors import BytesLengthException, InvalidDicomError

from autoseg.errors import AutosegError, UnreadableFile
from autoseg.formats import content as bytes_of
from autoseg.formats.dicom import sniff

STRUCTURES = ("SEG", "RTSTRUCT")
"""Modalities whose files hold masks or contours drawn on images."""

_DAMAGED = (
    InvalidDicomError,
    BytesLengthException,
    struct.error,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What pydicom raises, often only when a value is used, on bytes that are no DICOM after all or break off."""


LONGEST_NAME = 64
"""Characters of a SegmentLabel or ROIName; longer names are cut."""


@contextmanager
def guarded(path: Path) -> Iterator[None]:
    """Inside, values that bend the standard are taken as they are, and damage to a file is an error that names it.

    Raises:
        UnreadableFile: Damaged.
    """
    with pydicom.config.disable_value_validation(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one for each odd value
        try:
            yield
        except AutosegError:
            raise
        except _DAMAGED as error:
            raise UnreadableFile(path, f"its DICOM content is damaged ({type(error).__name__}: {error})") from error


def read(path: Path, tags: Sequence[str] | None = None) -> pydicom.Dataset:
    """The data set of a file without its pixels.

    Args:
        path: The file.
        tags: Keywords to read; None: all.

    Raises:
        UnreadableFile: Damaged, or no DICOM.
    """
    with guarded(path):
        listed = None if tags is None else list(tags)
        return pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=listed)


def read_all(path: Path) -> tuple[pydicom.Dataset, str]:
    """The data set of a file with its pixels, and the SHA-256 of its bytes.

    Raises:
        UnreadableFile: Damaged, or no DICOM.
    """
    raw = bytes_of.load(path)
    with guarded(path):
        dataset = pydicom.dcmread(io.BytesIO(raw), force=True)
    return dataset, hashlib.sha256(raw).hexdigest()


def joint(digests: Sequence[str]) -> str:
    """One SHA-256 for several files, whatever their order."""
    return hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()


def modality(path: Path) -> str:
    """The modality of a DICOM file, e.g. ``CT``, ``SEG`` or ``RTSTRUCT``; empty if it names none.

    Raises:
        UnreadableFile: Damaged, or no DICOM.
    """
    with guarded(path):
        return str(read(path, ["Modality"]).get("Modality", "") or "")


def siblings(path: Path) -> tuple[Path, ...]:
    """The files of the same folder and the same series, sorted by name; the file alone if it names no series."""
    wanted = _series(path)
    if not wanted:
        return (path,)
    return tuple(file for file in sorted(path.parent.iterdir()) if file == path or _is_of_series(file, wanted))


def _series(path: Path) -> str:
    with guarded(path):
        return str(read(path, ["SeriesInstanceUID"]).get("SeriesInstanceUID") or "")


def _is_of_series(file: Path, wanted: str) -> bool:
    try:
        return sniff.is_dicom(file) and _series(file) == wanted
    except UnreadableFile:
        return False
