"""What to say of a folder that no layout recognises: what is there, why it says nothing, and what would."""

from autoseg.layouts import names
from autoseg.layouts.tree import Tree, describe

_WAYS = """any of these can be read:
  images/NAME.nii.gz and masks/NAME.nii.gz, in folders of any such names
  NAME.nii.gz and NAME_seg.nii.gz side by side
  NAME/image.nii.gz and NAME/mask.nii.gz, a folder per case
  whatever files are called: a table cases.csv in this folder with the columns image,label and a row per case"""


def message(tree: Tree, nearest: str | None) -> str:
    """Why nothing can be learned from a folder, and the ways to change that.

    Args:
        tree: The folder.
        nearest: A data set further down; None: there is none.
    """
    there = f"{tree.root}: no images with masks to learn from; found: {describe(tree)}"
    if nearest is not None:
        return f"{there}; did you mean {nearest}?"
    return "\n".join([f"{there}. {_why(tree)}", _WAYS])


def _why(tree: Tree) -> str:
    masks = [file for file in tree.images if any(map(names.is_mask_name, file.split("/")))]
    images = [file for file in tree.images if file not in set(masks)]
    if not tree.images:
        return "No file is of a format that can be read"
    if not masks:
        return f"No file or folder among {len(images)} images is called mask, label or seg, or looks like one"
    if not images:
        return f"All {len(masks)} images are called masks, e.g. {masks[0]}; where are their images?"
    return (
        f"{len(masks)} of {len(tree.images)} are called masks, but none like an image: e.g. {masks[0]} and {images[0]}"
    )
