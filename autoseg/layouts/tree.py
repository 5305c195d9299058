"""The files below a folder, as relative POSIX paths in a fixed order, and words for what is there.

Hidden files, ``__MACOSX`` and the ``._`` twins that macOS leaves are no data and never listed. Links are followed, also
out of the folder (reading is allowed, and told), and a folder that is reached a second time is cut, so that loops end.
"""

import os
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from autoseg import formats
from autoseg.errors import UnreadableFile
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
    """A folder: ``root``, and its ``files`` as sorted POSIX paths relative to it.

    ``links_out`` are the links in it, to files or folders, that lead out of the root. ``unnameable`` are entries whose
    names are no Unicode text (escaped here): no record can hold them.
    """

    root: Path
    files: tuple[str, ...]
    links_out: tuple[str, ...] = ()
    unnameable: tuple[str, ...] = ()

    @cached_property
    def images(self) -> tuple[str, ...]:
        """The files that are images or masks by their suffix."""
        return tuple(file for file in self.files if formats.is_image(Path(file.rpartition("/")[2])))

    @property
    def folders(self) -> tuple[str, ...]:
        """Direct subfolders."""
        return tuple(dict.fromkeys(file.split("/", 1)[0] for file in self.files if "/" in file))

    @property
    def folders_with_images(self) -> tuple[str, ...]:
        """Folders that hold images themselves, at any depth; ``.`` is the root."""
        return tuple(dict.fromkeys(PurePosixPath(file).parent.as_posix() for file in self.images))

    def below(self, folder: str) -> "Tree":
        """The tree of a subfolder."""
        start = f"{folder}/"
        return Tree(self.root / folder, tuple(f.removeprefix(start) for f in self.files if f.startswith(start)))

    def spelled(self, file: str) -> str:
        """A path as the disk spells it, whichever Unicode form whoever wrote it down used; unchanged if not there."""
        return self._by_composed_name.get(unicodedata.normalize("NFC", file), file)

    def has(self, file: str) -> bool:
        """Whether there is such a file, in whatever Unicode form."""
        return unicodedata.normalize("NFC", file) in self._by_composed_name

    @cached_property
    def _by_composed_name(self) -> dict[str, str]:
        return {unicodedata.normalize("NFC", file): file for file in self.files}

    def images_in(self, folder: str) -> tuple[str, ...]:
        """Images that lie in ``folder`` itself, as paths relative to the root."""
        return tuple(file for file in self.images if PurePosixPath(file).parent.as_posix() == folder)


def folder_of(source: Path) -> Path:
    """What the paths of a data set are relative to: the folder that was named, or that of the table that was."""
    return source.parent if source.is_file() else source


def look(source: Path, exclude: Path | None = None) -> Tree:
    """List a folder.

    Args:
        source: The folder, or a table in it.
        exclude: A folder that does not count although it may lie inside, e.g. the run folder.

    Raises:
        UnreadableFile: A folder cannot be listed.
    """
    root = folder_of(source)
    walk = _Walk(root, None if exclude is None else exclude.resolve())
    walk.enter(root)
    return Tree(root, tuple(sorted(walk.files)), tuple(sorted(walk.links_out)), tuple(sorted(walk.unnameable)))


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


def collapse(left_over: Mapping[str, str], tree: Tree) -> dict[str, str]:
    """Shorten a list of files and reasons: a folder of which no image is used becomes one, ``folder/ (4 files)``."""
    unused = Counter(file.rpartition("/")[0] for file in left_over)
    present = Counter(file.rpartition("/")[0] for file in tree.images)
    shown: dict[str, str] = {}
    for file, why in sorted(left_over.items()):
        folder, _, name = file.rpartition("/")
        if not folder or unused[folder] < present[folder] or present[folder] == 1:
            shown[file] = why
        elif shown.setdefault(entry := f"{folder}/ ({unused[folder]} files)", why) != why:
            shown[entry] = f"of several kinds, e.g. {name}: {why}"
    return dict(sorted(shown.items()))


class _Walk:
    """One pass over a folder, in which every folder is entered once."""

    def __init__(self, root: Path, exclude: Path | None) -> None:
        self.files: list[str] = []
        self.links_out: list[str] = []
        self.unnameable: list[str] = []
        self._root = root
        self._real_root = root.resolve()
        self._exclude = exclude
        self._entered: set[tuple[int, int]] = set()

    def enter(self, folder: Path) -> None:
        try:
            status = folder.stat()
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            raise UnreadableFile(folder, f"cannot be listed: {error.strerror}", "check its permissions") from error
        if (status.st_dev, status.st_ino) in self._entered:
            return
        self._entered.add((status.st_dev, status.st_ino))
        for entry in entries:
            if not _is_text(entry.name):
                self.unnameable.append(repr(os.fsencode(entry.path)))
            elif _is_data(entry.name):
                self._visit(entry)

    def _visit(self, entry: os.DirEntry[str]) -> None:
        path = Path(entry.path)
        relative = path.relative_to(self._root).as_posix()
        real = Path(os.path.realpath(path)) if entry.is_symlink() or self._exclude else path  # costs time
        if entry.is_symlink() and real.exists() and not real.is_relative_to(self._real_root):
            self.links_out.append(relative)
        if not _is_folder(entry):
            self.files.append(relative)
        elif real != self._exclude:
            self.enter(path)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_data(name: str) -> bool:
    return not name.startswith(".") and name not in _NOT_DATA


def _stamp(root: Path, file: str) -> FileStamp:
    try:
        status = (root / file).stat()
    except OSError:
        return FileStamp(file=file, size_bytes=-1, modified_ns=0)
    return FileStamp(file=file, size_bytes=status.st_size, modified_ns=status.st_mtime_ns)
