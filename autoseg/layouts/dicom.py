"""DICOM trees: patients, studies and series nested in any way, with DICOM-SEG or RTSTRUCT as labels, or mask files.

Names of files and folders decide nothing but what a case is called; headers tell which files make a series
(``dicom_series``) and which series a label was drawn on (``dicom_labels``). Where there is no such label, masks in
files of other formats are looked for, which only name and place can tell (``dicom_masks``). Every series with a label
is a case. One without is a case to predict, unless another series of its study has a label (the same anatomy would
count twice), or no labelled series has its modality. What is not used is left over, with a reason.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from autoseg.contracts import Case, Label, LabelSet
from autoseg.errors import LayoutError, UsageError
from autoseg.layouts import label_names
from autoseg.layouts.dicom_labels import Drawn, as_drawn, labels_of
from autoseg.layouts.dicom_masks import masks_of
from autoseg.layouts.dicom_phases import Chosen, choose, drawn_apart, each_alone, named
from autoseg.layouts.dicom_series import Series, entries_of, folder_name, volumes, without_images
from autoseg.layouts.found import Found
from autoseg.layouts.tree import Tree

if TYPE_CHECKING:
    from autoseg.formats.dicom.catalogue import Entry

_GREY = {"CT", "MR", "PT", "NM", "CR", "DX", "MG"}  # modalities without colours


def recognise(tree: Tree) -> Found | None:
    """Read the folder as a DICOM tree; None if most images in it are of another kind.

    Raises:
        LayoutError: There are labels but no images.
    """
    entries = entries_of(tree)
    if not entries:
        return None
    images, unused = volumes(tree, entries)
    labels = [entry for entry in entries if entry.kind == "structures"]
    if not images:
        raise LayoutError(f"{tree.root}: {without_images(entries)}")
    images = drawn_apart(images, labels)
    chosen, notes = labels_of(tree, images, labels, unused)
    drawn = {name: as_drawn(tree, members) for name, members in chosen.items()} or masks_of(tree, images, unused)
    wanted = list(_wanted(images, drawn, unused))
    volume = choose(wanted, drawn, chosen, unused)
    cases = tuple(_case(image, drawn.get(image.name, Drawn()), volume) for image in wanted)
    patients = len({case.subject for case in cases})
    return Found(
        layout="dicom",
        channels=volume.channels or _channels(wanted),
        labels=_label_set(chosen),
        label_names={} if chosen else label_names.find(tree),
        cases=cases,
        left_over=tuple(sorted(unused)),
        reasons=dict(sorted(unused.items())),
        grouping=f"{patients} subjects by PatientID",
        notes=(*notes, *volume.notes, *_mixed(images, drawn)),
    )


def series_to_predict(tree: Tree, channels: Sequence[str]) -> tuple[Case, ...]:
    """Every image series of a tree as a case, labels aside; localisers and single images beside volumes are none.

    Of a series of several volumes, those that are called like the channels make one case; else each is a case.

    Raises:
        LayoutError: There is no image series.
    """
    entries = entries_of(tree)
    if not entries:
        return ()
    images, _ = volumes(tree, entries)
    if not images:
        raise LayoutError(f"{tree.root}: {without_images(entries)}")
    return tuple(case for image in images for case in _to_predict(image, channels))


def _to_predict(image: Series, channels: Sequence[str]) -> tuple[Case, ...]:
    if files := named(image, channels):
        return (Case(case=image.name, subject=image.subject, images=files),)
    return tuple(Case(case=each.name, subject=each.subject, images=(each.files[0],)) for each in each_alone(image))


def series_of(path: Path) -> tuple[Case, ...]:
    """The series that a file belongs to, as a case named after its folder; the path is relative to that folder.

    Of a series of several volumes it is the one that the file is part of.

    Raises:
        UsageError: The file holds no image.
    """
    from autoseg.formats.dicom.catalogue import entry

    header = entry(path)
    if header.kind != "image":
        raise UsageError(f"{path}: holds no image ({header.problem or header.modality}); expected one of a series")
    name = folder_name(Tree(path.parent, ()), path.parent)
    return (Case(case=name, subject=name, images=(path.name,)),)


def _wanted(images: Sequence[Series], drawn: Mapping[str, Drawn], unused: dict[str, str]) -> Iterator[Series]:
    """Series with a label, and those without that can be predicted by what is learned from them."""
    labelled = {image.name: image for image in images if image.name in drawn}
    modalities = {image.header.modality for image in labelled.values()}
    for image in images:
        partner = next((other for other in labelled.values() if _same_study(image, other)), None)
        if image.name in labelled or not labelled:
            yield image
        elif partner is not None:
            unused[image.described] = f"another series of the same study; the label was drawn on {partner.folder}/"
        elif image.header.modality not in modalities:
            unused[image.described] = f"is {image.header.modality}; labels were drawn on {_listed(modalities)}"
        else:
            yield image


def _listed(words: set[str]) -> str:
    return ", ".join(sorted(words))


def _same_study(one: Series, other: Series) -> bool:
    in_one_space = not one.header.frame_of_reference.isdisjoint(other.header.frame_of_reference)
    return in_one_space or (bool(one.header.study) and one.header.study == other.header.study)


def _case(image: Series, drawn: Drawn, chosen: Chosen) -> Case:
    return Case(
        case=image.name,
        subject=image.subject,
        images=chosen.images[image.name],
        label=drawn.label,
        structures=drawn.structures,
        reference=chosen.reference.get(image.name, 0),
    )


def _label_set(chosen: Mapping[str, Sequence["Entry"]]) -> LabelSet | None:
    """Structures by name, in the order in which they are met; values are ours, as DICOM has names only."""
    names = dict.fromkeys(name for _, labels in sorted(chosen.items()) for label in labels for name in label.names)
    if not names:
        return None
    return LabelSet(labels=tuple(Label(name=name, value=value) for value, name in enumerate(names, start=1)))


def _channels(images: Sequence[Series]) -> tuple[str, ...] | None:
    """The modality, where it is one that has no colours and is the same in all cases."""
    modalities = {image.header.modality for image in images}
    if len(modalities) == 1 and modalities <= _GREY:
        return tuple(modalities)
    return ("image",) if any(image.phases for image in images) else None


def _mixed(images: Sequence[Series], drawn: Mapping[str, Drawn]) -> list[str]:
    counts = Counter(image.header.modality for image in images if image.name in drawn)
    if len(counts) < 2:
        return []
    listed = ", ".join(f"{count} {modality}" for modality, count in sorted(counts.items()))
    return [
        f"labels were drawn on series of several modalities ({listed}), and each is a case; point at one to use only it"
    ]
