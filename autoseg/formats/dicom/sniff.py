"""Whether a file is DICOM, by its first bytes: half of all DICOM files have no suffix, and some no preamble."""

import struct
from pathlib import Path

SUFFIXES = (".dcm", ".dicom", ".ima", ".img", ".seg", "")
"""Suffixes that DICOM files are given; any other name tells another format. Names of digits and dots have none."""

_PREAMBLE_BYTES = 128
_FIRST_GROUPS = (0x0002, 0x0008)
_LAST_FIRST_ELEMENT = 0x0018  # a bare data set begins with one of the first few elements of its group
_LONGEST_FIRST_VALUE = 256


def may_be_dicom(path: Path) -> bool:
    """Whether the name allows for DICOM: hidden files and those with a suffix of something else do not.

    >>> [may_be_dicom(Path(name)) for name in ("IM0001", "1.2.840.7", "a.DCM", "label.seg", "a.txt", "DICOMDIR", ".x")]
    [True, True, True, True, False, False, False]
    """
    name = path.name
    if name.startswith(".") or name.upper() == "DICOMDIR":
        return False
    suffix = path.suffix.lower()
    return suffix in SUFFIXES or suffix[1:].isdigit()


def is_dicom(path: Path) -> bool:
    """Whether a file starts like DICOM: ``DICM`` after the preamble, or an element of group 2 or 8 without one."""
    if not may_be_dicom(path):
        return False
    try:
        if not path.is_file():  # opening a FIFO would wait for ever
            return False
        with open(path, "rb") as file:
            start = file.read(_PREAMBLE_BYTES + 4)
    except OSError:
        return False
    return start[_PREAMBLE_BYTES:] == b"DICM" or _begins_with_element(start)


def _begins_with_element(start: bytes) -> bool:
    """An explicit value representation, or a short even length, after a tag that a data set may begin with."""
    if len(start) < 12:
        return False
    group, element, length = struct.unpack("<HHI", start[:8])
    if group not in _FIRST_GROUPS or element > _LAST_FIRST_ELEMENT:
        return False
    explicit = start[4:6].isalpha() and start[4:6].isupper()
    return explicit or (length % 2 == 0 and 0 < length <= _LONGEST_FIRST_VALUE)
