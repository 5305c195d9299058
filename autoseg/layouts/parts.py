"""The four folders that Decathlon and nnU-Net share: ``imagesTr``, ``labelsTr``, ``imagesTs``, ``labelsTs``."""

from typing import Literal

from autoseg.contracts import Case
from autoseg.layouts import channel_files
from autoseg.layouts.tree import Tree

Part = Literal["Tr", "Ts"]


def images_by_case(tree: Tree, part: Part, ending: str = "") -> dict[str, tuple[str, ...]]:
    """The channel files of each case of the training (Tr) or test (Ts) part; only files that end with ``ending``."""
    training = _named(tree, "imagesTr", ending)
    whole_names = bool(training.keys() & labels(tree, "Tr").keys())  # case_0001 is then a case, not a second channel
    files = _named(tree, f"images{part}", ending)
    return channel_files.single(files) if whole_names else channel_files.group(files)


def labels(tree: Tree, part: Part) -> dict[str, str]:
    """Label files of a part by case name."""
    return _named(tree, f"labels{part}")


def case(name: str, files: tuple[str, ...], label: str | None, part: Part) -> Case:
    """A case; one of the test part that has a label is a hold-out given by the source."""
    return Case(case=name, subject=name, images=files, label=label, given_holdout=part == "Ts" and label is not None)


def _named(tree: Tree, folder: str, ending: str = "") -> dict[str, str]:
    return channel_files.named((file for file in tree.images_in(folder) if file.endswith(ending)), folder)
