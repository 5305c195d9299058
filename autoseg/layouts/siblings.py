"""Folders side by side, one with images and one with masks: which is which, and what further folders mean."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import permutations, product
from pathlib import PurePosixPath

from autoseg.contracts import StructureFile
from autoseg.errors import LayoutError
from autoseg.layouts import channel_files, masks_apart, names
from autoseg.layouts.appearance import looks_like_mask
from autoseg.layouts.matching import Matched, match
from autoseg.layouts.reading import Reading, united
from autoseg.layouts.tree import Tree

_MOST_FOLDERS = 12  # with more, they are a folder per case rather than images and masks
_SAMPLE = 5  # files looked into when a folder's name says nothing
_PARTS = (None, "train", "val", "test")

Files = Mapping[str, Mapping[str, str]]
"""Named image files by folder."""
Pair = tuple[str, str]
"""A folder of images and a folder of masks."""


def readings(tree: Tree) -> list[Reading]:
    """The best reading of a folder's subfolders as images and masks, then those that are as plausible; maybe none.

    Raises:
        LayoutError: There are pairs, but either side could be the masks.
    """
    files = _files(tree)
    pairings = _pairings(tree, files)
    by_part = {
        part: _ranked(files, {pair: pairings[pair] for pair in pairings if _part(pair) == part}) for part in _PARTS
    }
    by_part = {part: found for part, found in by_part.items() if found}
    if not by_part:
        return []
    best = {part or "main": found[0] for part, found in by_part.items()} | _to_predict(files, pairings)
    others = [best | {part or "main": other} for part, found in by_part.items() for other in found[1:]]
    return [united(chosen) for chosen in (best, *others)]


def images_only(tree: Tree) -> Reading | None:
    """A folder without masks: its images, or those of its only folder for images, are to be predicted."""
    folder = next((folder for folder in tree.folders if names.is_image_name(folder)), ".")
    images = channel_files.named(tree.images_in(folder), "" if folder == "." else folder)
    matched = Matched(channel_files.single(images))
    return Reading(matched, "there are no masks, so its images are to be predicted") if images else None


# ---------------------------------------------------------------------------------------------- images and masks


def _files(tree: Tree) -> Files:
    """Images in each folder and its subfolders, unless those are for images and masks: it is a data set then."""
    below: dict[str, list[str]] = {}
    for file in tree.images:
        if "/" in file:
            below.setdefault(file.partition("/")[0], []).append(file)
    return {
        folder: channel_files.named(images, folder)
        for folder, images in below.items()
        if not _is_data_set(folder, images)
    }


def _is_data_set(folder: str, images: Iterable[str]) -> bool:
    inner = {part for file in images for part in file.split("/")[1:-1]}
    says_otherwise = names.is_image_name if names.is_mask_name(folder) else names.is_mask_name
    return any(says_otherwise(part) for part in inner)


def _pairings(tree: Tree, files: Files) -> dict[Pair, Reading]:
    """All pairings of an image and a mask folder in which at least one image has a mask."""
    masks = [folder for folder in files if names.is_mask_name(folder)]
    others = [folder for folder in files if folder not in masks]
    found = _joined(files, product(others, masks)) or _with_subfolders(files, product(others, masks))
    if not found and not masks and len(files) <= _MOST_FOLDERS:
        found = _by_content(tree, _joined(files, permutations(files, 2)))
    return found


def _joined(files: Files, pairs: Iterable[Pair]) -> dict[Pair, Reading]:
    read = {(images, masks): _reading(match(files[images], files[masks]), images, masks) for images, masks in pairs}
    return {pair: reading for pair, reading in read.items() if reading.matched.labelled}


def _reading(matched: Matched, images: str, masks: str) -> Reading:
    return Reading(matched, f"images from {images}/, masks from {masks}/", f"pairs:{images},{masks}")


def _with_subfolders(files: Files, pairs: Iterable[Pair]) -> dict[Pair, Reading]:
    """Where nothing else joins: subfolders of the masks are structures or readers, those of the images channels."""
    found = {}
    for images, masks in pairs:
        structures = _by_subfolder(files[masks], masks)
        channels = _by_subfolder(files[images], images)
        if len(structures) > 1:
            found[images, masks] = _structures(files[images], structures, images, masks)
        elif len(channels) > 1:
            found[images, masks] = _channels(channels, files[masks], images, masks)
    return {pair: reading for pair, reading in found.items() if reading.matched.labelled}


def _by_subfolder(files: Mapping[str, str], folder: str) -> Files:
    """The files of each direct subfolder, by their names without it."""
    by_folder: dict[str, list[str]] = {}
    for file in files.values():
        parts = PurePosixPath(file).relative_to(folder).parts
        if len(parts) > 1:
            by_folder.setdefault(parts[0], []).append(file)
    return {inner: channel_files.named(members, f"{folder}/{inner}") for inner, members in by_folder.items()}


def _by_content(tree: Tree, pairings: Mapping[Pair, Reading]) -> dict[Pair, Reading]:
    """Those pairings of which the mask side, and only it, looks like masks."""
    fitting = {}
    for (images, masks), reading in pairings.items():
        matched = reading.matched
        joined = sorted(matched.masks)
        sample = joined[:: max(1, -(-len(joined) // _SAMPLE))]
        if not sample or not all(looks_like_mask(tree.root / matched.masks[name]) for name in sample):
            continue
        if all(looks_like_mask(tree.root / matched.images[name][0]) for name in sample):
            raise LayoutError(
                f"{tree.root}: {images}/ and {masks}/ both look like masks; rename them to images/ and masks/"
            )
        fitting[images, masks] = replace(reading, how=f"{reading.how} (told by their contents)")
    return fitting


# --------------------------------------------------------------------------------------------- further folders


def _part(pair: Pair) -> str | None:
    """The part of a split that a pairing is about; ``imagesTr`` with ``labelsTs`` is about none that counts."""
    images, masks = (names.part_of(folder) for folder in pair)
    return images if masks in (images, None) else "mixed"


def _to_predict(files: Files, pairings: Mapping[Pair, Reading]) -> dict[str, Reading]:
    """Folders of images for a part of a split that have no masks: ``imagesTs``, ``test``."""
    paired = {_part(pair) for pair in pairings}
    bare = [folder for folder in files if names.part_of(folder) not in (None, *paired)]
    return {
        folder: Reading(_unlabelled(files[folder]), f"{folder}/ has no masks and is to be predicted")
        for folder in bare
        if not names.is_mask_name(folder)
    }


def _unlabelled(files: Mapping[str, str]) -> Matched:
    return Matched(channel_files.group(files) if channel_files.numbered(files) else channel_files.single(files))


def _ranked(files: Files, pairings: Mapping[Pair, Reading]) -> list[Reading]:
    """The best pairing first, then those that nothing but taste sets apart from it."""
    if not pairings:
        return []
    counts = {pair: len(reading.matched.labelled) for pair, reading in pairings.items()}
    worth = {pair: (-counts[pair], _faintness(pair), len("".join(pair)), pair) for pair in pairings}
    images, masks = best = min(worth, key=lambda pair: worth[pair])
    rivals = [pair for pair in sorted(pairings, key=lambda pair: worth[pair]) if worth[pair][:2] == worth[best][:2]]
    masks_too = [pair[1] for pair in rivals if pair[0] == images]
    images_too = [pair[0] for pair in pairings if pair[1] == masks and 2 * counts[pair] >= counts[best]]
    if len(images_too) > 1 and all(names.is_channel_name(folder) for folder in images_too):
        return [_channels({folder: files[folder] for folder in sorted(images_too)}, files[masks], "", masks)]
    if len(masks_too) > 1 and all(names.is_rater_name(folder) for folder in masks_too):
        return [_by_one_reader(pairings, images, masks_too)]
    found = [pairings[pair] for pair in rivals]
    if len(masks_too) > 1 and len(masks_apart.to_use(masks_too)[0]) > 1:
        found.append(_structures(files[images], {folder: files[folder] for folder in masks_too}, images, ""))
    if len(rivals) > 1 and len(masks_too) == 1:
        found.append(_channels({folder: files[folder] for folder in sorted(images_too)}, files[masks], "", masks))
    return found


def _faintness(pair: Pair) -> tuple[bool, bool]:
    images, masks = pair
    return not names.is_image_name(images), names.is_faint_mask_name(masks)


def _by_one_reader(pairings: Mapping[Pair, Reading], images: str, readers: list[str]) -> Reading:
    (used, *_), why = masks_apart.to_use(readers)
    return replace(pairings[images, used], reasons={reader: why for reader in readers if reader != used})


def _channels(channels: Files, masks: Mapping[str, str], images: str, mask_folder: str) -> Reading:
    """Images of one case are those that share a mask, or a name."""
    case_of_mask: dict[str, str] = {}
    found: dict[str, dict[str, str]] = {}
    for channel, files in channels.items():
        matched = match(files, masks)
        for name, (file, *_) in matched.images.items():
            mask = matched.masks.get(name)
            case = name if mask is None else case_of_mask.setdefault(mask, name)
            found.setdefault(case, {})[channel] = file
    cases = {case: tuple(members[each] for each in channels if each in members) for case, members in found.items()}
    labels = {case: mask for mask, case in case_of_mask.items()}
    where = " + ".join(f"{images}/{channel}".lstrip("/") for channel in channels)
    return Reading(
        Matched(cases, labels, {}, tuple(channels)),
        f"one channel per folder: {where}; masks from {mask_folder}/",
        f"pairs:{'+'.join(channels)},{mask_folder}",
    )


def _structures(images: Mapping[str, str], structures: Files, image_folder: str, mask_folder: str) -> Reading:
    """Masks of one case are those that join the same image, each folder with a structure; or with a reader's work."""
    used, why = masks_apart.to_use(list(structures))
    matched = {structure: match(images, structures[structure]) for structure in used}
    name = f"pairs:{image_folder},{'+'.join(used)}"
    if len(used) == 1:
        start = f"{mask_folder}/" if mask_folder else ""
        reasons = {f"{start}{other}": why for other in structures if other not in used}
        how = f"images from {image_folder}/, masks from {start}{used[0]}/"
        return Reading(matched[used[0]], how, name, reasons)
    cases = matched[used[0]].images
    found = {
        case: tuple(
            StructureFile(name=names.structure(structure) or structure, file=matched[structure].masks[case])
            for structure in used
            if case in matched[structure].masks
        )
        for case in cases
    }
    found = {case: files for case, files in found.items() if files}
    where = " + ".join(f"{mask_folder}/{structure}".lstrip("/") for structure in used)
    return Reading(Matched(cases, {}, found), f"images from {image_folder}/, one structure per folder: {where}", name)
