"""What the columns of a table of cases are for: told by their names, and by whether their cells are image files."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from autoseg import formats
from autoseg.layouts import channel_files, names
from autoseg.layouts.declaration import confined
from autoseg.layouts.rows import Table, plain
from autoseg.layouts.tree import Tree

_FILE_WORDS = r"(?:_?(?:path|file|filename|file_name|file_path|name|uri|url|location|nii|nifti))?"
_IMAGE = re.compile(
    rf"^(?:image|img|scan|volume|vol|input|picture|photo|path|file|filename|filepath|x)s?{_FILE_WORDS}$"
)
_LABEL = re.compile(
    rf"^(?:label|mask|seg|segmentation|gt|ground_truth|truth|annotation|target|contour|roi|y)s?{_FILE_WORDS}$"
)
_FACTS = {
    "case": re.compile(r"^(?:case|image|img|scan|study|exam|sample|record)?_?(?:id|uid|name|key|case)$|^case(?:_.*)?$"),
    "subject": re.compile(r"^(?:subject|patient|participant|person|pid|sub)s?(?:_?(?:id|name|key|nr|no|number))?$"),
    "channel": re.compile(r"^(?:channel|modality|contrast|sequence|stain)s?(?:_?(?:id|name))?$"),
    "structure": re.compile(r"^(?:structure|organ|region|tissue|roi|class|label)_?(?:name)?$"),
    "part": re.compile(r"^(?:split|fold|set|subset|partition|part)s?(?:_?(?:id|name|nr|no|number))?$"),
}


@dataclass(frozen=True)
class Columns:
    """Columns by what they are for; None or empty where there is no such column."""

    images: tuple[str, ...]
    labels: tuple[str, ...]
    case: str | None = None
    subject: str | None = None
    channel: str | None = None
    structure: str | None = None
    part: str | None = None


def of(table: Table, files: "Files") -> Columns:
    """Sort the columns of a table."""
    with_files = [name for name in table.columns if files.mostly_in(table, name)]
    labels = [name for name in with_files if _LABEL.match(plain(name)) or names.is_mask_name(plain(name))]
    if not labels:
        labels = [name for name in with_files if not _IMAGE.match(plain(name)) and files.masks_in(table, name)]
    images = [name for name in with_files if name not in labels]
    named = [name for name in images if _IMAGE.match(plain(name))]
    facts = {role: called([name for name in table.columns if name not in with_files], role) for role in _FACTS}
    case = facts["case"] or next((name for name in images if _FACTS["case"].match(plain(name)) and named), None)
    return Columns(
        images=tuple(name for name in images if name != case),
        labels=tuple(labels),
        case=case,
        subject=facts["subject"],
        channel=facts["channel"],
        structure=facts["structure"],
        part=facts["part"],
    )


def called(columns: Sequence[str], role: str) -> str | None:
    """The first column whose name says that it is for this: case, subject, channel, structure or part.

    >>> called(["Site", "Patient ID"], "subject")
    'Patient ID'
    """
    return next((name for name in columns if _FACTS[role].match(plain(name))), None)


def filled(cell: str) -> bool:
    """Whether a cell says anything.

    >>> filled("a.nii"), filled(" "), filled("N/A")
    (True, False, False)
    """
    return cell.strip().lower() not in ("", "na", "n/a", "nan", "none", "null", "-")


class Files:
    """The image files of a folder, for looking up what cells name: a path, or where that is unique a bare name."""

    def __init__(self, tree: Tree, folder: str = "") -> None:
        self._tree = tree
        self._folder = folder
        self._known = frozenset(tree.images)
        self._by_name: dict[str, list[str]] = defaultdict(list)
        for file in tree.images:
            for name in {PurePosixPath(file).name, channel_files.stem(file)}:
                self._by_name[name].append(file)

    def find(self, cell: str, *, mask: bool) -> str | None:
        """The file that a cell names, without judging whether it may: None if there is none."""
        path = self._relative(cell.strip())
        spelled = self._tree.spelled(path)
        if spelled in self._known or not path:
            return spelled if path else None
        named = self._by_name.get(PurePosixPath(path).name, [])
        fitting = [file for file in named if file.endswith(path) or "/" not in path]
        told = [file for file in fitting if names.is_mask_name(file) == mask]
        candidates = told if len(fitting) > 1 else fitting
        return candidates[0] if len(candidates) == 1 else None

    def resolve(self, cell: str, where: str, *, mask: bool) -> str:
        """The file that a cell names; one that is not there stays as it is written, and its case fails by that.

        Raises:
            RefusedError: The cell names a path outside the folder.
        """
        return self.find(cell, mask=mask) or confined(self._relative(cell.strip()), where)

    def mostly_in(self, table: Table, column: str) -> bool:
        """Whether most filled cells of a column name image files, or at least look as if they did."""
        cells = [row[column].strip() for row in table.rows if filled(row[column])]
        known = sum(self.find(cell, mask=False) is not None for cell in cells)
        paths = sum(bool(formats.suffix(Path(cell))) or "/" in cell or "\\" in cell for cell in cells)
        return bool(cells) and 2 * max(known, paths) > len(cells)

    def masks_in(self, table: Table, column: str) -> bool:
        """Whether all files that a column names are called masks, themselves or by their folder."""
        cells = [row[column].strip() for row in table.rows if filled(row[column])]
        return all(names.is_mask_name(cell) for cell in cells)

    def _relative(self, cell: str) -> str:
        """Relative to the root, in POSIX style; so is an absolute path that leads into the root."""
        path = cell.replace("\\", "/")
        if path.startswith("/") and Path(path).is_relative_to(self._tree.root.absolute()) and ".." not in path:
            return Path(path).relative_to(self._tree.root.absolute()).as_posix()
        if not path or path.startswith("/") or ".." in PurePosixPath(path).parts:
            return path
        return (PurePosixPath(self._folder) / path).as_posix()
