"""Pairs: a bare folder of images and masks without any description. Everything is read off names and contents.

    images/ + masks/      two sibling folders of any names (img + labels, scans + segmentations, ...), or
    a.png a_mask.png      one flat folder, masks marked by a word in the name

*Which folder holds the masks* is decided by its name, and where names say nothing by looking into some files: masks
have few, whole values. *Which mask belongs to which image* is decided by the name without suffix; or by the name
without words such as ``img`` and ``mask``; or by the name without the beginning and end that all files of a folder
share. The way that joins the most wins, the simplest among equals. Channels may lie in files of their own (``X_0000``,
``X_0001``). A ``dataset.json`` of unknown kind is used for its labels only.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import permutations, product
from pathlib import PurePosixPath

from autoseg.contracts import Case
from autoseg.errors import LayoutError
from autoseg.layouts import channel_files, declaration, names
from autoseg.layouts.appearance import looks_like_mask
from autoseg.layouts.found import Found
from autoseg.layouts.tree import Tree

_MOST_FOLDERS = 12  # with more, they are a folder per case rather than images and masks
_SAMPLE = 5  # files looked into when a folder's name says nothing
_WAYS = (names.as_they_are, names.without_roles, names.without_common)


@dataclass(frozen=True)
class _Pairing:
    """The channel files of each case, and the masks found for some of the cases."""

    images: dict[str, tuple[str, ...]]
    masks: dict[str, str]
    how: str = ""


def recognise(tree: Tree) -> Found | None:
    """Find pairs of images and masks; None if there are none.

    Raises:
        LayoutError: There are pairs, but either side could be the masks.
    """
    pairing = _flat(tree) or _siblings(tree)
    if pairing is None:
        return None
    cases = tuple(
        Case(case=name, subject=name, images=files, label=pairing.masks.get(name))
        for name, files in pairing.images.items()
    )
    path = tree.root / "dataset.json"
    labels = declaration.label_set(declaration.read(path) or {}, path)
    return Found(layout="pairs", channels=None, labels=labels, cases=cases, notes=(pairing.how,))


def _flat(tree: Tree) -> _Pairing | None:
    files = channel_files.named(tree.images_in("."))
    masks = {name: file for name, file in files.items() if names.is_mask_name(name)}
    images = {name: file for name, file in files.items() if name not in masks}
    pairing = _join(images, masks, "masks are told from images by a word in the file name")
    return pairing if pairing.masks else None


def _siblings(tree: Tree) -> _Pairing | None:
    below = {folder: _images_below(tree, folder) for folder in tree.folders}
    files = {folder: channel_files.named(images, folder) for folder, images in below.items() if images}
    masks = [folder for folder in files if names.is_mask_name(folder)]
    others = [folder for folder in files if folder not in masks]
    candidates = _joined(files, product(others, masks))
    if not candidates and len(files) <= _MOST_FOLDERS:
        candidates = _by_content(tree, _joined(files, permutations(files, 2)))
    ranked = sorted(candidates, key=lambda pair: (-len(candidates[pair].masks), len("".join(pair)), pair))
    return candidates[ranked[0]] if ranked else None


def _images_below(tree: Tree, folder: str) -> tuple[str, ...]:
    """Images in a folder and its subfolders; none, if one of those is for masks: it is a data set of its own then."""
    files = tuple(file for file in tree.images if file.startswith(f"{folder}/"))
    inner = {part for file in files for part in PurePosixPath(file).parts[1:-1]}
    return () if any(names.is_mask_name(part) for part in inner) else files


def _joined(
    files: Mapping[str, Mapping[str, str]], folders: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], _Pairing]:
    """Pairings of an image and a mask folder in which at least one image has a mask."""
    pairings = {
        (images, masks): _join(files[images], files[masks], f"images from {images}/, masks from {masks}/")
        for images, masks in folders
    }
    return {pair: pairing for pair, pairing in pairings.items() if pairing.masks}


def _by_content(tree: Tree, pairings: Mapping[tuple[str, str], _Pairing]) -> dict[tuple[str, str], _Pairing]:
    """Those pairings of which the mask side, and only it, looks like masks."""
    fitting = {}
    for (images, masks), pairing in pairings.items():
        joined = sorted(pairing.masks)
        sample = joined[:: -(-len(joined) // _SAMPLE)]
        if not all(looks_like_mask(tree.root / pairing.masks[name]) for name in sample):
            continue
        if all(looks_like_mask(tree.root / pairing.images[name][0]) for name in sample):
            raise LayoutError(
                f"{tree.root}: {images}/ and {masks}/ both look like masks; rename them to images/ and masks/"
            )
        fitting[images, masks] = pairing
    return fitting


def _join(images: Mapping[str, str], masks: Mapping[str, str], how: str) -> _Pairing:
    """The way of naming that gives most images a mask."""
    groupings = [channel_files.single(images)]
    if channel_files.numbered(images):
        groupings.append(channel_files.group(images))
    candidates = [
        _Pairing(grouping, {name: masks[mask] for name, mask in _match(grouping, masks, way)}, how)
        for way in range(len(_WAYS))
        for grouping in groupings
    ]
    return max(candidates, key=lambda pairing: len(pairing.masks))


def _match(images: Iterable[str], masks: Iterable[str], way: int) -> list[tuple[str, str]]:
    """Names of images and masks that become equal. Names that become equal among themselves decide nothing."""
    mask_of = _unique(_WAYS[way](masks))
    image_of = _unique(_WAYS[way](images))
    return [(image_of[key], mask_of[key]) for key in sorted(image_of.keys() & mask_of.keys())]


def _unique(renamed: Mapping[str, str]) -> dict[str, str]:
    by_key: dict[str, list[str]] = {}
    for name, key in renamed.items():
        by_key.setdefault(key, []).append(name)
    return {key: members[0] for key, members in by_key.items() if key and len(members) == 1}
