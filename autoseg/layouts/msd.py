"""Medical Segmentation Decathlon folders: one file per case, all channels in it, cases listed in ``dataset.json``.

    dataset.json   {"modality": {"0": "MRI"}, "labels": {"0": "background", "1": "anterior"},
                    "training": [{"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}, ...], "test": [...]}
    imagesTr/      a.nii.gz    (x, y, z) or, with several channels, (x, y, z, channel)
    labelsTr/      a.nii.gz
    imagesTs/      cases without label;  with labelsTs/ beside it they are the hold-out

The list is what counts; where it is missing, the folders are. nnU-Net v1 wrote the same JSON over files with channel
numbers, so ``a_0000.nii.gz`` is accepted for a listed ``a.nii.gz``. Source: Antonelli et al., The Medical Segmentation
Decathlon, Nature Communications 13, 4128 (2022).
"""

from pathlib import Path

from autoseg.contracts import Case
from autoseg.errors import DataError
from autoseg.layouts import channel_files, declaration, parts
from autoseg.layouts.found import Found
from autoseg.layouts.tree import Tree


def recognise(tree: Tree) -> Found | None:
    """Read the folder as a Decathlon task; None if it is not.

    Raises:
        DataError: ``dataset.json`` is broken.
        RefusedError: It names a file outside the folder.
    """
    path = tree.root / "dataset.json"
    content = declaration.read(path)
    if content is None or "channel_names" in content or not {"training", "modality"} & content.keys():
        return None
    modality = content.get("modality")
    validation = _listed(content.get("validation", []), "$.validation", path)  # some tasks list more cases so
    training = _listed(content.get("training", []), "$.training", path)
    test = _listed(content.get("test", []), "$.test", path)
    cases = _training(tree, training)
    return Found(
        layout="msd",
        channels=None if modality is None else declaration.channels(modality, "$.modality", path),
        labels=declaration.label_set(content, path),
        cases=cases + _listed_cases(tree, validation) + _test(tree, test),
        notes=declaration.remarks(content, path, len(cases)),
    )


def _listed(entries: object, where: str, path: Path) -> list[tuple[str, str | None]]:
    """Image and label of each entry of a list."""
    if not isinstance(entries, list):
        raise DataError(f"{path}: at {where}: expected a list of cases, found {type(entries).__name__}")
    return [_entry(entry, f"{where}[{position}]", path) for position, entry in enumerate(entries)]


def _entry(entry: object, where: str, path: Path) -> tuple[str, str | None]:
    if isinstance(entry, str):
        return declaration.inside(entry, where, path), None
    if not isinstance(entry, dict) or "image" not in entry:
        raise DataError(f'{path}: at {where}: expected {{"image": ..., "label": ...}}, found {entry!r}')
    label = entry.get("label")
    image = declaration.inside(entry["image"], f"{where}.image", path)
    return image, None if label is None else declaration.inside(label, f"{where}.label", path)


def _training(tree: Tree, listed: list[tuple[str, str | None]]) -> tuple[Case, ...]:
    on_disk, labels = parts.images_by_case(tree, "Tr"), parts.labels(tree, "Tr")
    if not listed:
        return tuple(parts.case(name, files, labels.get(name), "Tr") for name, files in on_disk.items())
    return _listed_cases(tree, listed)


def _listed_cases(tree: Tree, listed: list[tuple[str, str | None]]) -> tuple[Case, ...]:
    on_disk = parts.images_by_case(tree, "Tr") if listed else {}
    return tuple(_case(tree, image, label, on_disk, "Tr") for image, label in listed)


def _test(tree: Tree, listed: list[tuple[str, str | None]]) -> tuple[Case, ...]:
    on_disk, labels = parts.images_by_case(tree, "Ts"), parts.labels(tree, "Ts")
    labelled = [(image, label or labels.get(channel_files.stem(image))) for image, label in listed]
    cases = [_case(tree, image, label, on_disk, "Ts") for image, label in labelled]
    rest = on_disk.keys() - {case.case for case in cases}
    return (*cases, *(parts.case(name, on_disk[name], labels.get(name), "Ts") for name in sorted(rest)))


def _case(tree: Tree, image: str, label: str | None, on_disk: dict[str, tuple[str, ...]], part: parts.Part) -> Case:
    name = channel_files.stem(image)
    spelled = None if label is None else tree.spelled(label)
    if not tree.has(image) and name in on_disk:
        return parts.case(name, on_disk[name], spelled, part)
    return parts.case(name, (tree.spelled(image),), spelled, part)
