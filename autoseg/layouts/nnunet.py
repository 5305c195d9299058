"""nnU-Net raw folders (v2): one file per channel, labels named in ``dataset.json``; any folder name will do.

    dataset.json   {"channel_names": {"0": "CT"}, "labels": {"background": 0, "tumour": 1}, "file_ending": ".nii.gz"}
                   may list the files: "dataset": {"liver_01": {"images": ["ct/1.nii.gz"], "label": "seg/1.nii.gz"}}
    imagesTr/      liver_01_0000.nii.gz   liver_01_0001.nii.gz   ...
    labelsTr/      liver_01.nii.gz
    imagesTs/      cases without label;  with labelsTs/ beside it they are the hold-out

Format: https://github.com/MIC-DKFZ/nnUNet, documentation/dataset_format.md.
"""

from pathlib import Path

from autoseg.contracts import Case
from autoseg.errors import DataError
from autoseg.layouts import declaration, parts
from autoseg.layouts.found import Found
from autoseg.layouts.tree import Tree


def recognise(tree: Tree) -> Found | None:
    """Read the folder as nnU-Net's; None if it is not.

    Raises:
        DataError: ``dataset.json`` is broken.
        RefusedError: It names a file outside the folder.
    """
    path = tree.root / "dataset.json"
    content = declaration.read(path)
    if content is None or "channel_names" not in content:
        return None
    ending = content.get("file_ending", "")
    if not isinstance(ending, str):
        raise DataError(f"{path}: at $.file_ending: expected text such as '.nii.gz', found {ending!r}")
    training = _listed(tree, content["dataset"], path) if "dataset" in content else _cases(tree, ending, "Tr")
    return Found(
        layout="nnunet",
        channels=declaration.channels(content["channel_names"], "$.channel_names", path),
        labels=declaration.label_set(content, path),
        cases=training + _cases(tree, ending, "Ts"),
        notes=declaration.remarks(content, path, len(training)),
    )


def _cases(tree: Tree, ending: str, part: parts.Part) -> tuple[Case, ...]:
    images = parts.images_by_case(tree, part, ending)
    labels = parts.labels(tree, part)
    return tuple(parts.case(name, files, labels.get(name), part) for name, files in images.items())


def _listed(tree: Tree, listed: object, path: Path) -> tuple[Case, ...]:
    """Cases of the explicit file table, ``{"liver_01": {"images": [...], "label": ...}}``."""
    if not isinstance(listed, dict):
        raise DataError(f"{path}: at $.dataset: expected an object of cases, found {type(listed).__name__}")
    return tuple(_entry(tree, str(name), entry, path) for name, entry in sorted(listed.items()))


def _entry(tree: Tree, name: str, entry: object, path: Path) -> Case:
    where = f"$.dataset.{name}"
    images = entry.get("images") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(images, list) or not images:
        raise DataError(f'{path}: at {where}: expected {{"images": [...], "label": ...}}, found {str(entry)[:80]}')
    files = [declaration.inside(file, f"{where}.images[{k}]", path) for k, file in enumerate(images)]
    label = entry.get("label")
    found = None if label is None else tree.spelled(declaration.inside(label, f"{where}.label", path))
    checked = declaration.case_name(name, f"{path}: at {where}")
    return parts.case(checked, tuple(tree.spelled(file) for file in files), found, "Tr")
