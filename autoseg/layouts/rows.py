"""Reading a CSV or TSV that somebody wrote: any delimiter, encoding and quoting, with a header; size is capped."""

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from autoseg.errors import DataError

_SUFFIXES = (".csv", ".tsv")
_DELIMITERS = (",", ";", "\t", "|")
_LARGEST_BYTES = 64 * 2**20
_MOST_ROWS = 10**6


@dataclass(frozen=True)
class Table:
    """Cells by column; every row has all columns. ``lines`` are the lines of the file that the rows end on."""

    columns: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...]
    lines: tuple[int, ...]


_NONE = Table((), (), ())


def is_table(file: str) -> bool:
    """Whether a file is a table, by its suffix."""
    return file.lower().endswith(_SUFFIXES)


def plain(column: str) -> str:
    """A column's name for comparison.

    >>> plain("Image Path"), plain("subject-ID")
    ('image_path', 'subject_id')
    """
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column.strip())
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")


def read(path: Path) -> Table:
    """Read a table.

    Raises:
        DataError: Not a table with a header, or too large to be one.
    """
    if not path.is_file():
        raise DataError(f"{path}: not a regular file; expected a table")
    if path.stat().st_size > _LARGEST_BYTES:
        raise DataError(f"{path}: {path.stat().st_size} bytes, more than {_LARGEST_BYTES}; this is no table of cases")
    text = _text(path)
    tables = [_parse(text, delimiter, path) for delimiter in _DELIMITERS]
    table = max(tables, key=lambda table: len(table.columns))
    if not table.columns:
        raise DataError(f"{path}: not a table; expected CSV text whose first line names the columns, each once")
    return table


def _text(path: Path) -> str:
    content = path.read_bytes()
    for encoding in ["utf-16"] if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ["utf-8-sig", "latin-1"]:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise DataError(f"{path}: not a table: it is no text; save it as CSV in UTF-8")


def _parse(text: str, delimiter: str, path: Path) -> Table:
    """The text as a table with this delimiter; without columns if it is none."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    rows, lines = [], []
    try:
        header = tuple(name.strip() for name in next(reader, []))
        for cells in reader:
            if any(cell.strip() for cell in cells[len(header) :]):
                return _NONE
            if any(cell.strip() for cell in cells):
                rows.append(dict(zip(header, (*cells, *[""] * len(header)), strict=False)))
                lines.append(reader.line_num)
            if len(rows) > _MOST_ROWS:
                raise DataError(f"{path}: more than {_MOST_ROWS} rows; this is no table of cases")
    except csv.Error:
        return _NONE
    return Table(header, tuple(rows), tuple(lines)) if len(set(header)) == len(header) else _NONE
