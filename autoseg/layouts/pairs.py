"""Pairs: images and masks without any description. Everything is read off names and, where they say nothing, contents.

    images/ + masks/        sibling folders of any names (img + labels, scans + segmentations, ...); also one pair per
                            part of a split (imagesTr, labelsTr, imagesTs, or train/images, train/masks, test/images)
    a.png a_mask.png        masks beside their images, told by a word in the name, or by suffix and contents
    t1/ t2/ masks/          one folder per channel;  masks/liver/ masks/spleen/  one folder per structure

*Which folder holds the masks* is decided by its name, and where names say nothing by looking into some files: masks
have few, whole values. *Which mask belongs to which image* is decided by ``matching``. Where two folders could be the
images, or two the masks, and nothing tells them apart, each choice is a reading, to be asked for as
``pairs:IMAGES,MASKS``. A ``dataset.json`` of unknown kind is used for its labels only.
"""

from autoseg.layouts import beside, siblings
from autoseg.layouts.found import Found
from autoseg.layouts.names import part_of
from autoseg.layouts.reading import Reading, described, united
from autoseg.layouts.tree import Tree


def recognise(tree: Tree) -> Found | None:
    """Find pairs of images and masks; None if there are none.

    Raises:
        LayoutError: There are pairs, but either side could be the masks.
    """
    readings = beside.flat(tree) or siblings.readings(tree) or _parts(tree)
    return described("pairs", readings, tree)


def _parts(tree: Tree) -> list[Reading]:
    """``train/``, ``val/`` and ``test/``, each with images and masks of its own; a part may lack the masks."""
    parts = {folder: tree.below(folder) for folder in tree.folders if part_of(folder) is not None}
    found = {folder: beside.flat(part) or siblings.readings(part) for folder, part in parts.items()}
    bare = {folder: siblings.images_only(part) for folder, part in parts.items() if not found[folder]}
    every = {folder: readings for folder, readings in found.items() if readings}
    every |= {folder: [reading] for folder, reading in bare.items() if reading is not None}
    if len(every) < 2 or not any(found.values()):
        return []
    return [
        united({folder: (readings[choice:] or readings)[0].inside(folder) for folder, readings in every.items()})
        for choice in range(max(map(len, every.values())))
    ]
