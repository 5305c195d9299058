"""Finding the folders that are one case each, and what their files are called inside them."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from autoseg.layouts import channel_files, names
from autoseg.layouts.tree import Tree

_DEEPEST = 4
_SEPARATORS = "-_. "

Stems = Mapping[str, str]
"""Names without suffix, by file."""


@dataclass(frozen=True)
class CaseFolder:
    """A folder and its files by role: their path in it, without suffix and without the case's own name."""

    path: str
    roles: dict[str, str]

    @property
    def name(self) -> str:
        """Its own name."""
        return self.path.rpartition("/")[2]

    @property
    def own_pairs(self) -> int:
        """Masks that are called like an image of the folder, apart from words for images and masks."""
        masks = {names.structure(_last(role)) for role in self.roles if names.is_mask_name(role)} - {""}
        images = {_last(role) for role in self.roles if not names.is_mask_name(role)}
        return max(len(masks & images), len(masks & {names.structure(image) for image in images}))


def levels(tree: Tree) -> Iterator[list[CaseFolder]]:
    """The folders at each depth that may be one case each, the most telling depth first, the folder itself last."""
    at = {depth: _at_depth(tree, depth) for depth in range(_DEEPEST, -1, -1)}
    ways = ((_is_level_of_cases, range(_DEEPEST, 0, -1)), (_alike, range(_DEEPEST, 0, -1)), (_is_level_of_cases, (0,)))
    for may_be, depths in ways:
        for files in (at[depth] for depth in depths if at[depth] and may_be(at[depth])):
            if not any(tree.has(f"{folder}/dataset.json".lstrip("/")) for folder in files):
                folders = _with_roles(files)
                if len(folders) > 1 or _is_case_alone(folders[0]):
                    yield folders


def _at_depth(tree: Tree, depth: int) -> dict[str, list[str]]:
    """Images by the folder at this depth that they lie in, at whatever depth below."""
    found: dict[str, list[str]] = {}
    for file in tree.images:
        parts = file.split("/")
        if len(parts) > depth:
            found.setdefault("/".join(parts[:depth]), []).append(file)
    return found


def _is_level_of_cases(files: Mapping[str, Sequence[str]]) -> bool:
    """Whether some folder has images and masks, and few have only masks."""
    kinds = [_kinds(folder, members) for folder, members in files.items()]
    complete = sum(kind == {True, False} for kind in kinds)
    only_masks = sum(kind == {True} for kind in kinds)
    return complete > 0 and only_masks <= complete


def _kinds(folder: str, files: Sequence[str]) -> set[bool]:
    """Whether a folder holds masks (True), images (False) or both; all are masks in a folder that is called so."""
    kinds = {names.is_mask_name(f"{_inner(folder, file)}/{channel_files.stem(file)}") for file in files}
    return {True} if len(kinds) == 1 and names.is_mask_name(folder) else kinds


def _inner(folder: str, file: str) -> str:
    """The folders between a case's and the file, joined; empty if it lies in the case's own."""
    return file.removeprefix(f"{folder}/").rpartition("/")[0]


def _last(role: str) -> str:
    return role.rpartition("/")[2]


def _alike(files: Mapping[str, Sequence[str]]) -> bool:
    """Several folders whose own files have the same two or more names, none of which says what it is."""
    inner = [{channel_files.stem(file) for file in members} for members in files.values()]
    said = any(_kinds(folder, members) != {False} for folder, members in files.items())
    return len(files) > 1 and not said and len(set.intersection(*inner)) > 1


def _is_case_alone(folder: CaseFolder) -> bool:
    """A single folder has no other to share its roles with: it must speak for itself."""
    images = [role for role in folder.roles if not names.is_mask_name(role)]
    masks = [role for role in folder.roles if names.is_mask_name(role)]
    telling = folder.path or all("/" in mask or not names.structure(mask) for mask in masks)
    return bool(telling) and folder.own_pairs < 2 and all("/" not in role or role.endswith("/") for role in images)


# ----------------------------------------------------------------------------------------------------------- roles


def _with_roles(files: Mapping[str, Sequence[str]]) -> list[CaseFolder]:
    """Names of files inside their case: as they are, without the case's name, or without what all of a case share."""
    every = sum(map(len, files.values()))
    candidates = []
    for way in (_as_they_are, _without_folder, _without_common):
        candidates.append([_case_folder(folder, members, way) for folder, members in files.items()])
        if _shared(candidates[-1])[0] == every:
            break
    return max(candidates, key=_shared)


def _case_folder(folder: str, files: Sequence[str], way: Callable[[str, Stems], Stems]) -> CaseFolder:
    stems = way(folder, {file: channel_files.stem(file) for file in files})
    roles: dict[str, str] = {}
    for file in files:
        inner = _inner(folder, file)
        roles.setdefault(f"{inner}/{stems[file]}" if inner else stems[file], file)
    return CaseFolder(folder, roles)


def _as_they_are(folder: str, stems: Stems) -> Stems:
    return stems


def _without_folder(folder: str, stems: Stems) -> Stems:
    """Without the name of the case's folder, or of those around it, at beginning or end."""
    for name in sorted(set(folder.split("/")), key=len, reverse=True):
        pattern = re.compile(rf"^{re.escape(name)}(?=[{_SEPARATORS}]|$)|(?<=[{_SEPARATORS}]){re.escape(name)}$", re.I)
        stems = {file: pattern.sub("", stem).strip(_SEPARATORS) for file, stem in stems.items()}
    return stems


def _without_common(folder: str, stems: Stems) -> Stems:
    """Without the beginning, up to a separator, that all files of the case share."""
    start = os.path.commonprefix(list(stems.values()))
    cut = max(start.rfind(separator) for separator in _SEPARATORS) + 1
    return {file: stem[cut:] for file, stem in stems.items()} if len(stems) > 1 else stems


def _shared(folders: Sequence[CaseFolder]) -> tuple[int, bool]:
    """How many files have roles that at least half of the folders share; for one folder, whether its name is gone."""
    counts = Counter(role for folder in folders for role in folder.roles)
    shared = sum(count for count in counts.values() if 2 * count >= len(folders) and count > 1)
    return shared, len(folders) == 1 and not any(folders[0].name in role for role in folders[0].roles)
