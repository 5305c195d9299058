"""Case names become file names: they must fit a disk, and differ also where A and a are the same."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from autoseg.contracts import Case
from autoseg.errors import LayoutError
from autoseg.records import file_digest

_LONGEST_BYTES = 120  # disks take 255; suffixes and temporary names need room
_CONTROL = re.compile(r"[\x00-\x1f\x7f/\\]")


def fit(name: str) -> str:
    r"""A name without control characters, and shortened with a hash where it is too long for files named after it.

    >>> fit("two\nlines"), len(fit("x" * 300))
    ('two_lines', 120)
    """
    clean = _CONTROL.sub("_", name)
    encoded = clean.encode()
    if len(encoded) <= _LONGEST_BYTES:
        return clean
    mark = f"_{hashlib.sha256(encoded).hexdigest()[:10]}"
    return encoded[: _LONGEST_BYTES - len(mark)].decode(errors="ignore") + mark


def distinct(cases: Iterable[Case], root: Path) -> tuple[list[Case], dict[str, str]]:
    """Cases of which no two have the same name, on any disk.

    Returns:
        The cases, of twins with identical files only the first; and why the files of the others are not used.

    Raises:
        LayoutError: Two cases share a name and differ.
    """
    by_key: dict[str, list[Case]] = {}
    for case in cases:
        by_key.setdefault(unicodedata.normalize("NFC", case.case).casefold(), []).append(case)
    kept: list[Case] = []
    reasons: dict[str, str] = {}
    clashes = [group for group in by_key.values() if len(group) > 1 and not _identical(group, root)]
    if clashes:
        shown = ", ".join(f"{case.case} ({case.images[0]})" for group in clashes[:2] for case in group[:2])
        raise LayoutError(
            f"{root}: {sum(map(len, clashes))} cases share a name with another: {shown}; rename or remove one of each"
        )
    for first, *twins in by_key.values():
        kept.append(first)
        reasons |= {file: f"the same as case {first.case}" for twin in twins for file in _files(twin)}
    return kept, reasons


def _identical(group: Sequence[Case], root: Path) -> bool:
    contents = {tuple(_digest(root / file) for file in _files(case)) for case in group}
    return len(contents) == 1


def _digest(file: Path) -> str:
    return file_digest(file) if file.is_file() else str(file)


def _files(case: Case) -> tuple[str, ...]:
    return (*case.images, *case.label_files)
