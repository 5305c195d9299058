"""Masks that lie in the same folder as their images: one folder for all, or many with some cases in each.

    a.png  a_mask.png
    patient001/  patient001_frame01.nii.gz  patient001_frame01_gt.nii.gz  patient001_4d.nii.gz

In many folders, an image without a mask is to be predicted if it is called like those that have one, but for its
numbers; ``patient001_4d`` is of another kind.
"""

from collections.abc import Mapping

from autoseg import formats
from autoseg.contracts import StructureFile
from autoseg.layouts import channel_files, masks_apart, names
from autoseg.layouts.appearance import looks_like_mask
from autoseg.layouts.found import Found
from autoseg.layouts.matching import Matched, match
from autoseg.layouts.reading import Reading, described, united
from autoseg.layouts.tree import Tree

_BY_WORD = "masks are told from images by a word in the file name"
_FEWEST = 2  # cases with masks, for contents to be taken as evidence
_SAMPLE = 3  # files looked into when names say nothing


def flat(tree: Tree) -> list[Reading]:
    """One folder with images and masks in it; empty if it is not."""
    files = channel_files.named(tree.images_in("."))
    masks = {name: file for name, file in files.items() if names.is_mask_name(name)}
    matched = match({name: file for name, file in files.items() if name not in masks}, masks)
    if matched.labelled:
        return [Reading(matched, _BY_WORD)]
    return _by_suffix(tree) or _by_added_word(tree, files)


def recognise(tree: Tree) -> Found | None:
    """Many folders, in each of which masks are called like the images that they lie beside; None if it is not so."""
    in_folder = {folder: _here(tree, folder) for folder in tree.folders_with_images}
    used = {folder: reading for folder, reading in in_folder.items() if reading.matched.labelled}
    shapes = {_shape(case) for reading in used.values() for case in reading.matched.labelled}
    kept = {folder: _of_shape(reading, shapes) for folder, reading in used.items()}
    count = sum(len(reading.matched.images) + len(reading.matched.masks) for reading in kept.values())
    most = 2 * count > len(tree.images)  # else the folder is about something else
    return described("beside", [united(kept)], tree) if most and kept else None


def _here(tree: Tree, folder: str) -> Reading:
    files = channel_files.named(tree.images_in(folder), folder)
    mask_of = {names.structure(name): file for name, file in sorted(files.items()) if names.is_mask_name(name)}
    mask_of.pop("", None)
    images: dict[str, tuple[str, ...]] = {name: (file,) for name, file in files.items() if not names.is_mask_name(name)}
    called = {image: names.structure(image) for image in images}
    return Reading(Matched(images, {image: mask_of[key] for image, key in called.items() if key in mask_of}), _BY_WORD)


def _of_shape(reading: Reading, shapes: set[str]) -> Reading:
    """Without the images that have no mask and are not called like any that has one: they are of another kind."""
    matched = reading.matched
    kept = {case: files for case, files in matched.images.items() if _shape(case) in shapes}
    why = "has no mask, and is not called like the images that have one"
    reasons = {file: why for case, files in matched.images.items() if case not in kept for file in files}
    return Reading(Matched(kept, matched.masks), reading.how, reasons=reasons)


def _shape(name: str) -> str:
    """A name with its numbers replaced.

    >>> _shape("patient001_frame01"), _shape("patient001_4d")
    ('patient#_frame#', 'patient#_#d')
    """
    return names.NUMBER.sub("#", name)


def _by_suffix(tree: Tree) -> list[Reading]:
    """``a.jpg`` and ``a.png``: where every image has a twin of another suffix, and those look like masks."""
    by_suffix: dict[str, dict[str, str]] = {}
    for file in tree.images_in("."):
        by_suffix.setdefault(formats.suffix(tree.root / file), {})[channel_files.stem(file)] = file
    if len(by_suffix) != 2:
        return []
    (one, ones), (two, twos) = sorted(by_suffix.items())
    for suffix, images, masks in ((two, ones, twos), (one, twos, ones)):
        joined = sorted(images.keys() & masks.keys())
        if len(joined) == len(masks) > 1 and _masks_only(tree, images, masks, joined):
            how = f"the {suffix} files look like masks, and are called like the others"
            return [Reading(Matched(channel_files.single(images), masks), how)]
    return []


def _by_added_word(tree: Tree, files: Mapping[str, str]) -> list[Reading]:
    """``a.jpg`` and ``a_1stHO.png``: where many files are called like another one and a word, and look like masks."""
    words = channel_files.by_last_word(files, files)
    shared = channel_files.shared_words(words.values())
    complete = [name for name in words if all(word in words[name] for word in shared)]
    if not shared or len(complete) < _FEWEST:
        return []
    images = {name: file for name, file in files.items() if not any(file in found.values() for found in words.values())}
    for word in shared:
        if not _masks_only(tree, images, {name: words[name][word] for name in complete}, complete):
            return []
    used, why = masks_apart.to_use(shared)
    how = f"files called like another and {', '.join(used)} look like masks"
    reasons = {file: why for found in words.values() for word, file in found.items() if word not in used}
    single = {name: found[used[0]] for name, found in words.items() if used[0] in found} if len(used) == 1 else {}
    structures = {
        name: tuple(StructureFile(name=word, file=found[word]) for word in used if word in found)
        for name, found in words.items()
        if len(used) > 1
    }
    return [Reading(Matched(channel_files.single(images), single, structures), how, reasons=reasons)]


def _masks_only(tree: Tree, images: Mapping[str, str], masks: Mapping[str, str], joined: list[str]) -> bool:
    sample = joined[:: -(-len(joined) // _SAMPLE)]
    return all(looks_like_mask(tree.root / masks[name]) for name in sample) and not all(
        looks_like_mask(tree.root / images[name]) for name in sample
    )
