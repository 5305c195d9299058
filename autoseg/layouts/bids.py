"""BIDS: raw images below ``sub-*``, masks beside them or below ``derivatives/``.

    sub-01/[ses-02/]anat/sub-01[_ses-02]_T1w.nii.gz
    derivatives/<pipeline>/sub-01/[ses-02/]anat/sub-01[_ses-02]_dseg.nii.gz
                                                ..._label-lesion_mask.nii.gz, ..._T2w_seg.nii.gz

A case is a session of a subject. A mask that is called after one image, ``sub-01_T2w_seg`` after ``sub-01_T2w``,
belongs to that image alone, and then every such image is a case. Otherwise the contrasts of the masks' data type
(``anat``, ...) that at least half of the sessions have are channels. Several masks that differ in ``label-`` are
structures; a ``dseg`` goes before ``mask``, a mask of the brain is the last choice. Several pipelines with masks are
readings of the folder. Names of labels are taken from a ``*_dseg.tsv``.
Standard: https://bids-specification.readthedocs.io.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from autoseg.contracts import Case, StructureFile
from autoseg.layouts import channel_files, label_names
from autoseg.layouts.bids_names import BidsFile, parse
from autoseg.layouts.found import Found
from autoseg.layouts.tree import Tree

Session = tuple[str, str]
"""Subject and session."""


def recognise(tree: Tree) -> Found | None:
    """Read the folder as BIDS; None if it is not, or has no masks."""
    files = [made for file in tree.images if (made := parse(file)) is not None]
    pipelines = sorted({file.pipeline for file in files if file.is_mask})
    readings = [found for name in pipelines if (found := _reading(tree, files, name)) is not None]
    readings.sort(key=lambda found: -sum(case.labelled for case in found.cases))
    return replace(readings[0], rivals=tuple(readings[1:])) if readings else None


def _reading(tree: Tree, files: Sequence[BidsFile], pipeline: str) -> Found | None:
    masks = _best_kind([file for file in files if file.is_mask and file.pipeline == pipeline])
    types = {mask.datatype for mask in masks}
    images = [file for file in files if not file.is_mask and ("" in types or file.datatype in types)]
    images = [file for file in images if not file.pipeline] or [file for file in images if file.pipeline == pipeline]
    of_image = _called_after(images, masks)
    if of_image:
        return _found(tree, pipeline, None, *_case_per_image(images, of_image))
    return _case_per_session(tree, pipeline, images, masks)


def _best_kind(masks: list[BidsFile]) -> list[BidsFile]:
    """The most telling kind of mask: labels before lesions before brains."""
    ranks = {mask: mask.rank for mask in masks}
    return [mask for mask in masks if ranks[mask] == min(ranks.values())]


def _called_after(images: Sequence[BidsFile], masks: Sequence[BidsFile]) -> dict[str, list[BidsFile]]:
    """Masks by the image whose whole name theirs begins with; empty if most masks are called otherwise."""
    by_stem = {image.stem: image.file for image in images}
    found: dict[str, list[BidsFile]] = {}
    for mask in masks:
        parts = mask.stem.split("_")
        heads = ["_".join(parts[:count]) for count in range(len(parts) - 1, 0, -1)]
        head = next((head for head in heads if head in by_stem), None)
        if head is not None:
            found.setdefault(by_stem[head], []).append(mask)
    return found if 2 * sum(map(len, found.values())) > len(masks) else {}


# ----------------------------------------------------------------------------------------------------------- cases


def _case_per_image(images: Sequence[BidsFile], of_image: Mapping[str, list[BidsFile]]) -> tuple[list[Case], list[str]]:
    contrasts = {image.contrast for image in images if image.file in of_image}
    used = [image for image in images if image.contrast in contrasts]
    cases = [_with_label(image.stem, image.subject, (image.file,), of_image.get(image.file, [])) for image in used]
    return cases, [f"each {', '.join(sorted(contrasts))} is a case of its own, as the masks are called after them"]


def _case_per_session(tree: Tree, pipeline: str, images: Sequence[BidsFile], masks: Sequence[BidsFile]) -> Found | None:
    exactly = _by_session(images, [image.contrast for image in images])
    roughly = _by_session(images, [image.suffix for image in images])
    by_session = max(exactly, roughly, key=_complete)
    channels = channel_files.shared_words(by_session.values())
    drawn: dict[Session, list[BidsFile]] = {}
    for mask in masks:
        drawn.setdefault(mask.session, []).append(mask)
    if not channels or not drawn.keys() & by_session.keys():
        return None
    cases, notes = [], [f"channels {', '.join(channels)}"]
    for session, found in by_session.items():
        name = "_".join(filter(None, session))
        missing = [channel for channel in channels if channel not in found]
        notes += [f"{name} lacks {', '.join(missing)}"] if missing and len(missing) < len(channels) else []
        files = tuple(found[channel] for channel in channels if channel in found)
        if files:
            cases.append(_with_label(name, session[0], files, drawn.get(session, [])))
    return _found(tree, pipeline, channels if len(channels) > 1 else None, cases, notes)


def _by_session(images: Sequence[BidsFile], contrasts: Sequence[str]) -> dict[Session, dict[str, str]]:
    found: dict[Session, dict[str, str]] = {}
    for image, contrast in sorted(zip(images, contrasts, strict=True), key=lambda pair: pair[0].stem):
        found.setdefault(image.session, {}).setdefault(contrast, image.file)
    return found


def _complete(by_session: Mapping[Session, Mapping[str, str]]) -> int:
    """Sessions that have all channels."""
    channels = set(channel_files.shared_words(by_session.values()))
    return sum(channels <= found.keys() for found in by_session.values())


def _with_label(name: str, subject: str, images: tuple[str, ...], masks: Sequence[BidsFile]) -> Case:
    """One mask is the label; several that differ in what they say they show are structures; else the first counts."""
    shown = Counter(mask.shows for mask in masks)
    first = sorted(masks, key=lambda mask: mask.stem)[:1]
    if len(masks) > 1 and len(shown) == len(masks):
        structures = tuple(
            StructureFile(name=mask.shows, file=mask.file) for mask in sorted(masks, key=lambda mask: mask.shows)
        )
        return Case(case=name, subject=subject, images=images, structures=structures)
    return Case(case=name, subject=subject, images=images, label=first[0].file if first else None)


def _found(
    tree: Tree, pipeline: str, channels: tuple[str, ...] | None, cases: Sequence[Case], notes: Sequence[str]
) -> Found:
    where = f"masks from derivatives/{pipeline}/" if pipeline else "masks beside the images"
    subjects = len({case.subject for case in cases})
    return Found(
        layout="bids",
        channels=channels,
        labels=None,
        label_names=_label_names(tree, pipeline),
        cases=tuple(cases),
        grouping=f"{subjects} subjects of {len(cases)} cases by their sub- names" if subjects < len(cases) else "",
        notes=(where, *notes),
        reading=f"bids:{pipeline}" if pipeline else "bids:raw",
    )


def _label_names(tree: Tree, pipeline: str) -> dict[int, str]:
    """Names by value from the ``*_dseg.tsv`` of a pipeline, or of the folder, if all such tables agree."""
    tables = [file for file in tree.files if file.endswith("dseg.tsv")]
    near = [file for file in tables if pipeline and file.startswith(f"derivatives/{pipeline}/")]
    found = [label_names.of_table(tree, file) for file in near or tables]
    return found[0] if found and all(each == found[0] for each in found) else {}
