"""The files below a folder, as relative POSIX paths in a fixed order, and words for what is there.

Hidden files, ``__MACOSX`` and the ``._`` twins that macOS leaves are no data and never listed. Links are followed, also
out of the folder (reading is allowed), and a folder that is reached a second time is cut, so that loops end.
"""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from autoseg import formats
from planners.contracts import Record

_NOT_DATA = {"__MACOSX", "Thumbs.db", "desktop.ini"}


class FileStamp(Record):
    """Size and modification time of a file: as long as both stand, its bytes are taken to be the same."""

    file: str
    size_bytes: int
    modified_ns: int


class FileStamps(Record):
    """All files below a folder at one moment."""

    files: tuple[FileStamp, ...]


@dataclass(frozen=True)
class Tree:
    """A folder: ``root``, and its ``files`` as sorted POSIX paths relative to it."""

    root: Path
    files: tuple[str, ...]

    @cached_property
    def images(self) -> tuple[str, ...]:
        """The files that are images or masks by their suffix."""
        return tuple(file for file in self.files if formats.is_image(self.root / file))

    @property
    def folders(self) -> tuple[str, ...]:
        """Direct subfolders."""
        return tuple(dict.fromkeys(file.split("/", 1)[0] for file in self.files if "/" in file))

    def below(self, folder: str) -> "Tree":
        """The tree of a subfolder."""
        start = f"{folder}/"
        return Tree(self.root / folder, tuple(f.removeprefix(start) for f in self.files if f.startswith(start)))

    def images_in(self, folder: str) -> tuple[str, ...]:
        """Images that lie in ``folder`` itself, as paths relative to the root."""
        return tuple(file for file in self.images if PurePosixPath(file).parent.as_posix() == folder)


def look(root: Path, exclude: Path | None = None) -> Tree:
    """List a folder.

    Args:
        root: The folder.
        exclude: A folder that does not count although it may lie inside, e.g. the run folder.
    """
    left_out = None if exclude is None else exclude.resolve()
    return Tree(root, tuple(sorted(path.relative_to(root).as_posix() for path in _walk(root, left_out))))


def stamps(tree: Tree) -> FileStamps:
    """Size and modification time of every file of a tree; a broken link has size -1."""
    return FileStamps(files=tuple(_stamp(tree.root, file) for file in tree.files))


def describe(tree: Tree, lines: int = 12) -> str:
    """A short inventory for error messages, e.g. ``images/ (70 .png), masks/ (70 .png), notes.txt``."""
    if not tree.files:
        return "the folder is empty"
    kinds: dict[str, Counter[str]] = {}
    for file in tree.files:
        folder = file.rpartition("/")[0]
        kinds.setdefault(folder, Counter())[formats.suffix(tree.root / file) or PurePosixPath(file).suffix or "?"] += 1
    shown = [
        f"{folder + '/' if folder else './'} ({', '.join(f'{n} {suffix}' for suffix, n in counts.most_common(3))})"
        for folder, counts in sorted(kinds.items())
    ]
    more = f", and {len(shown) - lines} more folders" if len(shown) > lines else ""
    return ", ".join(shown[:lines]) + more


def collapse(left_over: tuple[str, ...], tree: Tree) -> tuple[str, ...]:
    """Shorten a list of files: a folder of which no image is used becomes one entry, ``folder/ (4 files)``."""
    unused = Counter(file.rpartition("/")[0] for file in left_over)
    present = Counter(file.rpartition("/")[0] for file in tree.images)
    shown = {
        f"{folder}/ ({unused[folder]} files)" if folder and unused[folder] == present[folder] > 1 else file
        for file in left_over
        for folder in [file.rpartition("/")[0]]
    }
    return tuple(sorted(shown))


def _walk(root: Path, exclude: Path | None) -> Iterator[Path]:
    seen: set[tuple[int, int]] = set()
    for folder, subfolders, files in os.walk(root, followlinks=True):
        here = Path(folder)
        status = here.stat()
        if (status.st_dev, status.st_ino) in seen:
            subfolders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        subfolders[:] = sorted(name for name in subfolders if _is_data(name) and (here / name).resolve() != exclude)
        yield from (here / name for name in files if _is_data(name))


def _is_data(name: str) -> bool:
    return not name.startswith(".") and name not in _NOT_DATA


def _stamp(root: Path, file: str) -> FileStamp:
    try:
        status = (root / file).stat()
    except OSError:
        return FileStamp(file=file, size_bytes=-1, modified_ns=0)
    return FileStamp(file=file, size_bytes=status.st_size, modified_ns=status.st_mtime_ns)
