"""DICOM trees: patients, studies and series nested in any way, with DICOM-SEG or RTSTRUCT as labels.

Names of files and folders decide nothing but what a case is called; headers tell which files make a series and which
series a label was drawn on:

1. a series whose images, or which itself, the label refers to;
2. else one in the label's frame of reference, study or patient, in this order, and in the nearest folder.

Several labels of one series complement each other if they name different structures. Of those that name the same one,
the first counts: by the share of its references that are there, then the nearest folder, the newest, the most
structures. A series without a label is a case to predict, unless another series of its study has one (the same
anatomy would be counted twice), or no labelled series has its modality. What is not used is left over, with a reason.
"""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from autoseg import formats
from autoseg.contracts import Case, Label, LabelSet, StructureFile
from autoseg.errors import LayoutError, UsageError
from autoseg.layouts.found import Found
from autoseg.layouts.tree import Tree

if TYPE_CHECKING:
    from autoseg.formats.dicom.catalogue import Entry

_PREFERRED = ("CT", "MR")  # where nothing else tells, contours were drawn on these
_GREY = {"CT", "MR", "PT", "NM", "CR", "DX", "MG"}
_LONGEST_PART = 24  # of a folder name in a case's name
_UID = re.compile(r"^[\d.]{20,}$")


@dataclass(frozen=True)
class Series:
    """Files that make one volume.

    Attributes:
        files: Relative to the root, sorted; the first stands for all.
        name: From the folders it lies in.
        header: Of the first file.
        uids: SOP Instance UIDs of all files.
        planes: Slices in all files.
    """

    files: tuple[str, ...]
    name: str
    header: "Entry"
    uids: frozenset[str]
    planes: int

    @property
    def folder(self) -> str:
        """Where it lies."""
        return PurePosixPath(self.files[0]).parent.as_posix()

    @property
    def subject(self) -> str:
        """The patient, or the study where the files name no patient."""
        key = self.header.patient or hashlib.sha256(self.header.study.encode()).hexdigest()[:8]
        return f"patient-{key}"


def recognise(tree: Tree) -> Found | None:
    """Read the folder as a DICOM tree; None if most images in it are of another kind.

    Raises:
        LayoutError: There are labels but no images.
    """
    entries = _entries(tree)
    if not entries:
        return None
    images, unused = _images(tree, entries)
    labels = [entry for entry in entries if entry.kind == "structures"]
    if not images:
        raise LayoutError(f"{tree.root}: {_without_images(entries)}")
    chosen, notes = _labels_of(tree, images, labels, unused)
    cases = _cases(tree, images, chosen, unused)
    patients = len({case.subject for case in cases})
    return Found(
        layout="dicom",
        channels=_channels(images, cases),
        labels=_label_set(chosen),
        cases=cases,
        left_over=tuple(sorted(unused)),
        reasons=dict(sorted(unused.items())),
        grouping=f"{patients} subjects by PatientID",
        notes=(*notes, *_mixed(images, chosen)),
    )


def series_to_predict(tree: Tree) -> tuple[Case, ...]:
    """Every image series of a tree as a case, labels aside; localisers and single images beside volumes are none.

    Raises:
        LayoutError: There is no image series.
    """
    entries = _entries(tree)
    if not entries:
        return ()
    images, _ = _images(tree, entries)
    if not images:
        raise LayoutError(f"{tree.root}: {_without_images(entries)}")
    return tuple(Case(case=each.name, subject=each.subject, images=(each.files[0],)) for each in images)


def series_of(path: Path) -> tuple[Case, ...]:
    """The series that a file belongs to, as a case named after its folder; the path is relative to that folder.

    Raises:
        UsageError: The file holds no image.
    """
    from autoseg.formats.dicom.catalogue import entry

    header = entry(path)
    if header.kind != "image":
        raise UsageError(f"{path}: holds no image ({header.problem or header.modality}); expected one of a series")
    name = _folder_name(Tree(path.parent, ()), path.parent)
    return (Case(case=name, subject=name, images=(path.name,)),)


# ---------------------------------------------------------------------------------------------------------- series


def _entries(tree: Tree) -> list["Entry"]:
    """All DICOM files; none, without opening one, if by their names most files are images of another kind."""
    candidates = [file for file in tree.files if formats.may_be_dicom(tree.root / file)]
    files = [file for file in candidates if formats.is_dicom(tree.root / file)] if _most(candidates, tree) else []
    if not _most(files, tree):
        return []
    from autoseg.formats.dicom.catalogue import entry

    return [entry(tree.root / file) for file in files]


def _most(files: Sequence[str], tree: Tree) -> bool:
    return len(files) >= max(1, len(tree.images))


def _images(tree: Tree, entries: Sequence["Entry"]) -> tuple[list[Series], dict[str, str]]:
    """The volumes of a tree, sorted by name; and files that are none, with the reason."""
    unused = {
        _relative(tree, entry): entry.problem.removeprefix(f"{entry.file}: ") or f"no image ({entry.modality or '?'})"
        for entry in entries
        if entry.kind in ("other", "unreadable")
    }
    groups: dict[tuple[object, ...], list[Entry]] = {}
    for entry in (entry for entry in entries if entry.kind == "image"):
        alone = entry.file if not entry.placed or not entry.series else None
        groups.setdefault((entry.file.parent, entry.series, alone, entry.plane), []).append(entry)
    for key, reason in _localisers(groups).items():
        unused |= {_relative(tree, entry): reason for entry in groups.pop(key)}
    return _named(tree, list(groups.values())), unused


def _localisers(groups: Mapping[tuple[object, ...], Sequence["Entry"]]) -> dict[tuple[object, ...], str]:
    """Groups of images that only help to find the others."""
    largest: Counter[tuple[object, str]] = Counter()
    placed = {members[0].study for members in groups.values() if members[0].placed and not members[0].localiser}
    for (folder, series, *_), members in groups.items():
        largest[folder, str(series)] = max(largest[folder, str(series)], _planes(members))
    reasons = {}
    for key, members in groups.items():
        first = members[0]
        if first.localiser:
            reasons[key] = "a localiser"
        elif not first.placed and first.study in placed:
            reasons[key] = "has no position in the patient (a screen capture?)"
        elif _planes(members) < largest[key[0], str(key[1])] and first.placed:
            reasons[key] = "of other size or direction than most images of its series"
    return reasons


def _named(tree: Tree, groups: Sequence[Sequence["Entry"]]) -> list[Series]:
    made = []
    per_folder = Counter(members[0].file.parent for members in groups)
    numbers = Counter((members[0].file.parent, members[0].series_number) for members in groups)
    for members in groups:
        first = min(members, key=lambda entry: entry.file)
        name = _folder_name(tree, first.file.parent)
        if per_folder[first.file.parent] > 1:
            told = first.series_number is not None and numbers[first.file.parent, first.series_number] == 1
            name += f"_{first.series_number}" if told else f"_{_short(first.series + first.uid)}"
        made.append(
            Series(
                files=tuple(sorted(_relative(tree, entry) for entry in members)),
                name=name,
                header=first,
                uids=frozenset(entry.uid for entry in members),
                planes=_planes(members),
            )
        )
    return sorted(made, key=lambda series: series.name)


def _folder_name(tree: Tree, folder: Path) -> str:
    """The folders from the root to here, as one word that can be a file name; long ones and UIDs are shortened."""
    parts = folder.relative_to(tree.root).parts or (tree.root.resolve().name or "series",)
    words = (re.sub(r"[^\w.+-]+", "-", part).strip("-.") or "x" for part in parts)
    return "_".join(_short(word) if _UID.match(word) or len(word) > _LONGEST_PART else word for word in words)


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _planes(members: Iterable["Entry"]) -> int:
    return sum(entry.planes for entry in members)


def _relative(tree: Tree, entry: "Entry") -> str:
    return entry.file.relative_to(tree.root).as_posix()


def _without_images(entries: Sequence["Entry"]) -> str:
    kinds = Counter(entry.modality or entry.kind for entry in entries)
    listed = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    labels = any(entry.kind == "structures" for entry in entries)
    todo = "add the images that the label was drawn on" if labels else "add the images"
    return f"there is {listed} but no image series; expected the slices of at least one series (CT, MR, ...); {todo}"


# ---------------------------------------------------------------------------------------------------------- labels


def _labels_of(
    tree: Tree, images: Sequence[Series], labels: Sequence["Entry"], unused: dict[str, str]
) -> tuple[dict[str, list["Entry"]], list[str]]:
    """Label files of each series that has any; those that are not needed go to ``unused``."""
    drawn_on: dict[str, list[Entry]] = {}
    for label in labels:
        image = min(images, key=lambda series: _distance(label, series))
        if not any(_kinship(label, image)) and len(images) > 1:
            unused[_relative(tree, label)] = "no series of the folder shares its images, space, study or patient"
            continue
        drawn_on.setdefault(image.name, []).append(label)
    by_name = {series.name: series for series in images}
    chosen = {name: _complementing(tree, by_name[name], members, unused) for name, members in drawn_on.items()}
    notes = [
        f"{_relative(tree, label)} refers to no series that is here; taken to belong to {by_name[name].folder}/"
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
        unused[_relative(tree, label)] = f"names {', '.join(twice[:3])} as {_relative(tree, rival)} does, which is used"
    return chosen


def _share_found(label: "Entry", image: Series) -> float:
    """Of the images that a label refers to, the part that is there."""
    return len(label.refers_to_images & image.uids) / max(1, len(label.refers_to_images))


def _reversed(date: str) -> tuple[int, ...]:
    """A key that sorts later dates first."""
    return tuple(-ord(character) for character in date)


def _cases(
    tree: Tree, images: Sequence[Series], chosen: Mapping[str, Sequence["Entry"]], unused: dict[str, str]
) -> tuple[Case, ...]:
    return tuple(_case(tree, image, chosen.get(image.name, ())) for image in _wanted(images, chosen, unused))


def _wanted(
    images: Sequence[Series], chosen: Mapping[str, Sequence["Entry"]], unused: dict[str, str]
) -> Iterator[Series]:
    """Series with a label, and those without that can be predicted by what is learned from them."""
    labelled = {image.name: image for image in images if image.name in chosen}
    modalities = {image.header.modality for image in labelled.values()}
    for image in images:
        partner = next((other for other in labelled.values() if _same_study(image, other)), None)
        if image.name in labelled or not labelled:
            yield image
        elif partner is not None:
            unused[_all_of(image)] = f"another series of the same study; the label was drawn on {partner.folder}/"
        elif image.header.modality not in modalities:
            unused[_all_of(image)] = f"is {image.header.modality}; labels were drawn on {', '.join(sorted(modalities))}"
        else:
            yield image


def _same_study(one: Series, other: Series) -> bool:
    in_one_space = not one.header.frame_of_reference.isdisjoint(other.header.frame_of_reference)
    return in_one_space or (bool(one.header.study) and one.header.study == other.header.study)


def _all_of(image: Series) -> str:
    return image.files[0] if len(image.files) == 1 else f"{image.folder}/ ({len(image.files)} files)"


def _case(tree: Tree, image: Series, labels: Sequence["Entry"]) -> Case:
    """One label file as it is; of several, each structure with the file that holds it."""
    structures = [StructureFile(name=name, file=_relative(tree, label)) for label in labels for name in label.names]
    return Case(
        case=image.name,
        subject=image.subject,
        images=(image.files[0],),
        label=_relative(tree, labels[0]) if len(labels) == 1 else None,
        structures=tuple(structures) if len(labels) > 1 else (),
    )


def _label_set(chosen: Mapping[str, Sequence["Entry"]]) -> LabelSet | None:
    """Structures by name, in the order in which they are met; values are ours, as DICOM has names only."""
    names = dict.fromkeys(name for _, labels in sorted(chosen.items()) for label in labels for name in label.names)
    if not names:
        return None
    return LabelSet(labels=tuple(Label(name=name, value=value) for value, name in enumerate(names, start=1)))


def _channels(images: Sequence[Series], cases: Sequence[Case]) -> tuple[str, ...] | None:
    """The modality, where it is one that has no colours and is the same in all cases."""
    used = {case.case for case in cases}
    modalities = {image.header.modality for image in images if image.name in used}
    return tuple(modalities) if len(modalities) == 1 and modalities <= _GREY else None


def _mixed(images: Sequence[Series], chosen: Mapping[str, Sequence["Entry"]]) -> list[str]:
    counts = Counter(image.header.modality for image in images if image.name in chosen)
    if len(counts) < 2:
        return []
    listed = ", ".join(f"{count} {modality}" for modality, count in sorted(counts.items()))
    return [
        f"labels were drawn on series of several modalities ({listed}), and each is a case; point at one to use only it"
    ]
