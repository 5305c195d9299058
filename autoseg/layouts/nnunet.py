"""nnU-Net raw folders (v2): one file per channel, labels named in ``dataset.json``; any folder name will do.

    dataset.json   {"channel_names": {"0": "CT"}, "labels": {"background": 0, "tumour": 1}, "file_ending": ".nii.gz"}
    imagesTr/      liver_01_0000.nii.gz   liver_01_0001.nii.gz   ...
    labelsTr/      liver_01.nii.gz
    imagesTs/      cases without label;  with labelsTs/ beside it they are the hold-out

Format: https://github.com/MIC-DKFZ/nnUNet, documentation/dataset_format.md.
"""

from autoseg.contracts import Case
from autoseg.errors import DataError
from autoseg.layouts import declaration, parts
from autoseg.layouts.found import Found
from autoseg.layouts.tree import Tree


def recognise(tree: Tree) -> Found | None:
    """Read the folder as nnU-Net's; None if it is not.

    Raises:
        DataError: ``dataset.json`` is broken.
    """
    path = tree.root / "dataset.json"
    content = declaration.read(path)
    if content is None or "channel_names" not in content:
        return None
    ending = content.get("file_ending", "")
    if not isinstance(ending, str):
        raise DataError(f"{path}: at $.file_ending: expected text such as '.nii.gz', found {ending!r}")
    return Found(
        layout="nnunet",
        channels=declaration.channels(content["channel_names"], "$.channel_names", path),
        labels=declaration.label_set(content, path),
        cases=_cases(tree, ending, "Tr") + _cases(tree, ending, "Ts"),
    )


def _cases(tree: Tree, ending: str, part: parts.Part) -> tuple[Case, ...]:
    images = parts.images_by_case(tree, part, ending)
    labels = parts.labels(tree, part)
    return tuple(parts.case(name, files, labels.get(name), part) for name, files in images.items())
