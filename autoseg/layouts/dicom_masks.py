"""Masks of DICOM series that lie in the tree as files of other formats, as programs to draw with write them.

    P1/ct/*.dcm    P1/mask.nii.gz              beside the series
    P1/ct/*.dcm    P1/seg/liver.nii.gz         one file per structure
    P1/ct/*.dcm    labels/P1.nii.gz            in a tree of their own, called after patient, folder or series UID

A mask belongs to the series whose folders, UID or PatientID occur in its path, the most of them where several do; among
series of one subject that its path does not tell apart, to the only one on whose grid it lies. Plain pictures carry no
position, so nothing would tell which slice they show: they are masks only of series of one image.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from autoseg import formats
from autoseg.contracts import StructureFile
from autoseg.errors import AutosegError
from autoseg.layouts import channel_files, masks_apart, names
from autoseg.layouts.appearance import looks_like_mask
from autoseg.layouts.dicom_labels import Drawn
from autoseg.layouts.dicom_series import Series
from autoseg.layouts.matching import match
from autoseg.layouts.tree import Tree

_NO_POSITION = "a mask without positions, so nothing tells which slices it belongs to; convert it to .nii.gz or .nrrd"
_SEVERAL = "a mask whose name and place fit several series: "
_SEPARATORS = "_. -"


@dataclass(frozen=True)
class _Mask:
    """A mask file, and what it is called beside the name of its series."""

    file: str
    role: str


def masks_of(tree: Tree, images: Sequence[Series], unused: dict[str, str]) -> dict[str, Drawn]:
    """What is drawn on each series that has mask files; those that fit none, or are not needed, go to ``unused``."""
    of_series = _matched(tree, images, unused)
    roles = dict.fromkeys(mask.role for masks in of_series.values() for mask in masks)
    used, why = tuple(roles), ""
    if any(len(masks) > 1 for masks in of_series.values()):
        used, why = masks_apart.to_use(tuple(roles))
    several = any(sum(mask.role in used for mask in masks) > 1 for masks in of_series.values())
    unused |= {mask.file: why for masks in of_series.values() for mask in masks if mask.role not in used}
    chosen = {name: [mask for mask in masks if mask.role in used] for name, masks in of_series.items()}
    return {name: _drawn(masks, several=several) for name, masks in chosen.items() if masks}


def _drawn(masks: Sequence[_Mask], *, several: bool) -> Drawn:
    """One label, or structures where any series has several."""
    if not several:
        return Drawn(label=masks[0].file)
    return Drawn(structures=tuple(StructureFile(name=_structure(mask.role), file=mask.file) for mask in masks))


def _structure(role: str) -> str:
    last = role.rpartition("/")[2]
    return names.structure(last) or last


def _matched(tree: Tree, images: Sequence[Series], unused: dict[str, str]) -> dict[str, list[_Mask]]:
    """The masks of each series, by its name."""
    words = _distinguishing(images)
    found: dict[str, list[_Mask]] = {}
    strangers = []
    for file in _looking_like_masks(tree, words):
        fitting = _fitting(tree, file, images, words)
        if len(fitting) != 1:
            strangers.append(file)
            unused |= {file: _SEVERAL + ", ".join(series.described for series in fitting[:3])} if fitting else {}
        elif channel_files.is_picture(file) and fitting[0].planes > 1:
            unused[file] = _NO_POSITION
        else:
            found.setdefault(fitting[0].name, []).append(_Mask(file, _role(file, _words(fitting[0]))))
    for name, file in _by_similar_names([series for series in images if series.name not in found], strangers).items():
        found[name] = [_Mask(file, "")]
        unused.pop(file, None)
    return {name: _with_own_roles(masks) for name, masks in found.items()}


def _with_own_roles(masks: Sequence[_Mask]) -> list[_Mask]:
    """Masks that are called alike are told apart by their folder."""
    counts = Counter(mask.role for mask in masks)
    return [
        _Mask(mask.file, f"{PurePosixPath(mask.file).parent.name}/{mask.role}") if counts[mask.role] > 1 else mask
        for mask in masks
    ]


# ------------------------------------------------------------------------------------------------ what is a mask


def _looking_like_masks(tree: Tree, words: Mapping[str, set[str]]) -> list[str]:
    """Files that are masks by a name in their path, or whose first of the same role holds few, whole values."""
    every = set().union(*words.values())
    seen: dict[tuple[str, str], bool] = {}
    return [file for file in tree.images if _says_mask(file) or _looks_so(tree, file, every, seen)]


def _says_mask(file: str) -> bool:
    return any(names.is_mask_name(part) for part in (*PurePosixPath(file).parts[:-1], channel_files.stem(file)))


def _looks_so(tree: Tree, file: str, words: set[str], seen: dict[tuple[str, str], bool]) -> bool:
    key = (PurePosixPath(file).suffix, _role(file, words))
    if key not in seen:
        seen[key] = looks_like_mask(tree.root / file)
    return seen[key]


# ------------------------------------------------------------------------------------------------ whose mask it is


def _words(series: Series) -> set[str]:
    """What a series may be called in the path of its mask: its folders, its UID, its patient, its only file."""
    own = {*PurePosixPath(series.folder).parts, series.header.series, series.subject}
    if len(series.files) == 1:
        own.add(re.sub(r"\.(?:dcm|dicom|ima|img)$", "", PurePosixPath(series.files[0]).name, flags=re.IGNORECASE))
    return own - {""}


def _distinguishing(images: Sequence[Series]) -> dict[str, set[str]]:
    """The words of each series that not all of them have."""
    words = {series.name: _words(series) for series in images}
    shared = set.intersection(*words.values()) if len(images) > 1 else set()
    return {name: own - shared for name, own in words.items()}


def _fitting(tree: Tree, file: str, images: Sequence[Series], words: Mapping[str, set[str]]) -> list[Series]:
    """The series that a mask may belong to: one if its path tells, or its grid does; several; or none."""
    if len(images) == 1:
        return list(images)
    weights = {series.name: _weight(file, words[series.name]) for series in images}
    best = max(weights.values())
    fitting = [series for series in images if weights[series.name] == best]
    if len(fitting) > 1 and len({series.subject for series in fitting}) == 1:
        return _on_its_grid(tree, file, fitting) or fitting
    return fitting if best > (0, 0) else []


def _weight(file: str, words: set[str]) -> tuple[int, int]:
    """Characters of the words that the path has as a whole, and inside its name; none if all just name a contrast."""
    path, stem = PurePosixPath(file), channel_files.stem(file)
    whole = {*path.parts[:-1], stem, names.structure(stem)}
    whole |= {_patient(name) for name in whole}
    exact = words & whole
    inside = {word for word in words - exact if _inside(word).search(stem)}
    if all(names.is_channel_name(word) for word in exact | inside):
        return 0, 0
    return sum(map(len, exact)), sum(map(len, inside))


def _patient(name: str) -> str:
    from autoseg.formats.dicom.catalogue import patient_key

    return f"patient-{patient_key(name)}"


def _inside(word: str) -> re.Pattern[str]:
    """A word with nothing but separators around it, so that P1 is not found in P10."""
    return re.compile(rf"(?:^|(?<=[{_SEPARATORS}])){re.escape(word)}(?=[{_SEPARATORS}]|$)", re.IGNORECASE)


def _role(file: str, words: set[str]) -> str:
    """What a mask is called apart from its series."""
    stem = channel_files.stem(file)
    for word in sorted(words, key=len, reverse=True):
        stem = _inside(word).sub("", stem)
    return stem.strip(_SEPARATORS)


def _on_its_grid(tree: Tree, file: str, fitting: Sequence[Series]) -> list[Series]:
    """The series whose grid the mask has; none if that cannot be said."""
    from autoseg.formats.dicom.stacks import stack
    from autoseg.volumes.geometry import compare

    try:
        grid = formats.read(tree.root / file, mask=True).grid
        grids = [stack(tree.root / series.files[0]).grid for series in fitting]
    except AutosegError:
        return []
    return [series for series, own in zip(fitting, grids, strict=True) if compare(own, grid).kind in ("same", "offset")]


def _by_similar_names(images: Sequence[Series], masks: Sequence[str]) -> dict[str, str]:
    """``CT_001/`` and ``SEG_001.nii.gz``: masks whose names become those of folders without what all have in common."""
    files = {channel_files.stem(file): file for file in masks}
    depths = max((len(PurePosixPath(series.folder).parts) for series in images), default=0)
    best: dict[str, str] = {}
    for depth in range(depths):
        called = {part: series.name for series in images if (part := _part(series, depth))}
        joined = match(called, files).masks if len(called) == len(images) else {}
        if len(joined) > len(best):
            best = {called[part]: file for part, file in joined.items()}
    return best


def _part(series: Series, depth: int) -> str:
    parts = Path(series.folder).parts
    return parts[depth] if depth < len(parts) else ""
