"""Which series of a DICOM tree each label was drawn on, and which labels of a series are used.

A label belongs to a series whose images, or which itself, it refers to; else to one in its frame of reference, study or
patient, in this order, and in the nearest folder. Several labels of one series complement each other if they name
different structures. Of those that name the same one, the first counts: by the share of its references that are there,
then the nearest folder, the newest, the most structures.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autoseg.contracts import StructureFile
from autoseg.layouts.dicom_series import Series, relative
from autoseg.layouts.tree import Tree

if TYPE_CHECKING:
    from autoseg.formats.dicom.catalogue import Entry

_PREFERRED = ("CT", "MR")  # where nothing else tells, contours were drawn on these


@dataclass(frozen=True)
class Drawn:
    """What is drawn on a series: one label file, or each structure with the file that holds it."""

    label: str | None = None
    structures: tuple[StructureFile, ...] = ()


def as_drawn(tree: Tree, labels: Sequence["Entry"]) -> Drawn:
    """One label file as it is; of several, their structures."""
    if len(labels) == 1:
        return Drawn(label=relative(tree, labels[0]))
    return Drawn(structures=tuple(StructureFile(name=n, file=relative(tree, e)) for e in labels for n in e.names))


def labels_of(
    tree: Tree, images: Sequence[Series], labels: Sequence["Entry"], unused: dict[str, str]
) -> tuple[dict[str, list["Entry"]], list[str]]:
    """Label files of each series that has any; those that are not needed go to ``unused``."""
    drawn_on: dict[str, list[Entry]] = {}
    for label in labels:
        image = min(images, key=lambda series: _distance(label, series))
        if not any(_kinship(label, image)) and len(images) > 1:
            unused[relative(tree, label)] = "no series of the folder shares its images, space, study or patient"
            continue
        drawn_on.setdefault(image.name, []).append(label)
    by_name = {series.name: series for series in images}
    chosen = {name: _complementing(tree, by_name[name], members, unused) for name, members in drawn_on.items()}
    notes = [
        f"{relative(tree, label)} refers to no series that is here; taken to belong to {by_name[name].folder}/"
        for name, members in chosen.items()
        for label in members
        if not any(_kinship(label, by_name[name])[:2])
    ]
    return chosen, notes


def _distance(label: "Entry", series: Series) -> tuple[object, ...]:
    """The smaller, the more likely a label was drawn on a series."""
    strangeness = tuple(not shared for shared in _kinship(label, series))
    unusual = series.header.modality not in _PREFERRED
    return (strangeness, -_nearness(label, series), unusual, -series.planes, series.name)


def _kinship(label: "Entry", series: Series) -> tuple[bool, ...]:
    """What a label and a series share, the most telling first: images, series, space, study, patient."""
    image = series.header
    return (
        not label.refers_to_images.isdisjoint(series.uids),
        image.series in label.refers_to_series,
        not label.frame_of_reference.isdisjoint(image.frame_of_reference),
        bool(label.study) and label.study == image.study,
        bool(label.patient) and label.patient == image.patient,
    )


def _nearness(label: "Entry", series: Series) -> int:
    """Folders that the paths of a label and a series have in common."""
    return len(Path(os.path.commonpath([label.file.parent, series.header.file.parent])).parts)


def _complementing(tree: Tree, image: Series, labels: list["Entry"], unused: dict[str, str]) -> list["Entry"]:
    """The labels of one series that name different structures, the best first."""
    best_first = sorted(
        labels,
        key=lambda label: (
            -_share_found(label, image),
            -_nearness(label, image),
            _reversed(label.date),
            -len(label.names),
        ),
    )
    chosen: list[Entry] = []
    for label in best_first:
        rival = next((other for other in chosen if not set(other.names).isdisjoint(label.names)), None)
        if rival is None:
            chosen.append(label)
            continue
        twice = sorted(set(rival.names) & set(label.names))
        unused[relative(tree, label)] = f"names {', '.join(twice[:3])} as {relative(tree, rival)} does, which is used"
    return chosen


def _share_found(label: "Entry", image: Series) -> float:
    """Of the images that a label refers to, the part that is there."""
    return len(label.refers_to_images & image.uids) / max(1, len(label.refers_to_images))


def _reversed(date: str) -> tuple[int, ...]:
    """A key that sorts later dates first."""
    return tuple(-ord(character) for character in date)
