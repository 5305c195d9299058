"""The image series of a DICOM tree: which files make one volume, what it is called, and what is no volume."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from autoseg import formats
from autoseg.layouts import names
from autoseg.layouts.tree import Tree

if TYPE_CHECKING:
    from autoseg.formats.dicom.catalogue import Entry

_LONGEST_PART = 24  # of a folder name in a case's name
_UID = re.compile(r"^[\d.]{20,}$")


@dataclass(frozen=True)
class Phase:
    """One of several volumes in a series, such as an echo.

    Attributes:
        name: From the tag that tells it from the others.
        files: Relative to the root; the first stands for all.
        uids: SOP Instance UIDs of all files.
    """

    name: str
    files: tuple[str, ...]
    uids: frozenset[str]


@dataclass(frozen=True)
class Series:
    """Files that make one volume, or several at the same positions.

    Attributes:
        files: Relative to the root, sorted; the first stands for all.
        name: From the folders it lies in.
        header: Of the first file.
        uids: SOP Instance UIDs of all files.
        planes: Slices in all files.
        alone: Whether its folder holds no other series.
        phases: Its volumes, if there are several.
    """

    files: tuple[str, ...]
    name: str
    header: "Entry"
    uids: frozenset[str]
    planes: int
    alone: bool = True
    phases: tuple[Phase, ...] = ()

    @property
    def described(self) -> str:
        """All files in short."""
        if len(self.files) == 1:
            return self.files[0]
        count = len(self.files)
        return f"{self.folder}/ ({count} files)" if self.alone else f"{self.files[0]} (and {count - 1} of its series)"

    @property
    def folder(self) -> str:
        """Where it lies."""
        return PurePosixPath(self.files[0]).parent.as_posix()

    @property
    def subject(self) -> str:
        """The patient, or the study where the files name no patient."""
        key = self.header.patient or hashlib.sha256(self.header.study.encode()).hexdigest()[:8]
        return f"patient-{key}"


def entries_of(tree: Tree) -> list["Entry"]:
    """All DICOM files; none, without opening one, if by their names most files are images, no masks, of other kinds."""
    candidates = [file for file in tree.files if formats.may_be_dicom(tree.root / file)]
    files = [file for file in candidates if formats.is_dicom(tree.root / file)] if _most(candidates, tree) else []
    if not _most(files, tree):
        return []
    from autoseg.formats.dicom.catalogue import entry

    return [entry(tree.root / file) for file in files]


def _most(files: Sequence[str], tree: Tree) -> bool:
    only_masks = all(any(names.is_mask_name(part) for part in file.split("/")) for file in tree.images)
    return len(files) >= max(1, 0 if only_masks else len(tree.images))


def volumes(tree: Tree, entries: Sequence["Entry"]) -> tuple[list[Series], dict[str, str]]:
    """The volumes of a tree, sorted by name; and files that are none, with the reason."""
    unused = {
        relative(tree, entry): entry.problem.removeprefix(f"{entry.file}: ") or f"no image ({entry.modality or '?'})"
        for entry in entries
        if entry.kind in ("other", "unreadable")
    }
    groups: dict[tuple[object, ...], list[Entry]] = {}
    for entry in (entry for entry in entries if entry.kind == "image"):
        alone = entry.file if not entry.placed or not entry.series else None
        groups.setdefault((entry.file.parent, entry.series, alone, entry.plane), []).append(entry)
    for key, reason in _localisers(groups).items():
        unused |= {relative(tree, entry): reason for entry in groups.pop(key)}
    return _named(tree, list(groups.values())), unused


def _localisers(groups: Mapping[tuple[object, ...], Sequence["Entry"]]) -> dict[tuple[object, ...], str]:
    """Groups of images that only help to find the others."""
    largest: Counter[tuple[object, str]] = Counter()
    placed = {members[0].study for members in groups.values() if members[0].placed and not members[0].localiser}
    for (folder, series, *_), members in groups.items():
        largest[folder, str(series)] = max(largest[folder, str(series)], _planes(members))
    reasons = {}
    for key, members in groups.items():
        first = members[0]
        if first.localiser:
            reasons[key] = "a localiser"
        elif not first.placed and first.study in placed:
            reasons[key] = "has no position in the patient (a screen capture?)"
        elif _planes(members) < largest[key[0], str(key[1])] and first.placed:
            reasons[key] = "of other size or direction than most images of its series"
    return reasons


def _named(tree: Tree, groups: Sequence[Sequence["Entry"]]) -> list[Series]:
    made = []
    per_folder = Counter(members[0].file.parent for members in groups)
    numbers = Counter((members[0].file.parent, members[0].series_number) for members in groups)
    for members in groups:
        first = min(members, key=lambda entry: entry.file)
        name = folder_name(tree, first.file.parent)
        if per_folder[first.file.parent] > 1:
            told = first.series_number is not None and numbers[first.file.parent, first.series_number] == 1
            name += f"_{first.series_number}" if told else f"_{_short(first.series + first.uid)}"
        made.append(
            Series(
                files=tuple(sorted(relative(tree, entry) for entry in members)),
                name=name,
                header=first,
                uids=frozenset(entry.uid for entry in members),
                planes=_planes(members),
                alone=per_folder[first.file.parent] == 1,
                phases=_phases(tree, members),
            )
        )
    return sorted(_with_own_names(made), key=lambda series: series.name)


def _phases(tree: Tree, members: Sequence["Entry"]) -> tuple[Phase, ...]:
    from autoseg.formats.dicom import phases

    placed = {entry.frame: relative(tree, entry) for entry in members if entry.frame and entry.placed}
    if len(placed) < len(members) or any(entry.planes > 1 for entry in members):
        return ()
    return tuple(
        Phase(name, tuple(placed[frame] for frame in frames), frozenset(frame.uid for frame in frames))
        for name, frames in phases.split(list(placed)).items()
    )


def _with_own_names(made: Sequence[Series]) -> list[Series]:
    """Folders ``a/b`` and ``a_b`` would give one name."""
    counts = Counter(series.name.casefold() for series in made)
    return [
        replace(series, name=f"{series.name}_{_short(series.files[0])}")
        if counts[series.name.casefold()] > 1
        else series
        for series in made
    ]


def folder_name(tree: Tree, folder: Path) -> str:
    """The folders from the root to here, as one word that can be a file name; long ones and UIDs are shortened."""
    parts = folder.relative_to(tree.root).parts or (tree.root.resolve().name or "series",)
    words = (re.sub(r"[^\w.+-]+", "-", part).strip("-.") or "x" for part in parts)
    return "_".join(_short(word) if _UID.match(word) or len(word) > _LONGEST_PART else word for word in words)


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _planes(members: Iterable["Entry"]) -> int:
    return sum(entry.planes for entry in members)


def relative(tree: Tree, entry: "Entry") -> str:
    """The path of a file as records have it."""
    return entry.file.relative_to(tree.root).as_posix()


def without_images(entries: Sequence["Entry"]) -> str:
    """What is there instead of images, and what to do."""
    kinds = Counter(entry.modality or entry.kind for entry in entries)
    listed = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    labels = any(entry.kind == "structures" for entry in entries)
    todo = "add the images that the label was drawn on" if labels else "add the images"
    return f"there is {listed} but no image series; expected the slices of at least one series (CT, MR, ...); {todo}"
