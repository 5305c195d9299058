"""Series of several volumes, such as echoes or time points: which of them are the image of a case.

Where all labelled cases have the same volumes, told by the same values of the same tags, each volume is a channel. Else
the image is the one that the label was drawn on, if its references name one. A case for which nothing says that is
listed with another number of files than the others have channels, so that it is quarantined and not guessed.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from autoseg.layouts.dicom_series import Phase, Series

if TYPE_CHECKING:
    from autoseg.formats.dicom.catalogue import Entry

_MOST_CHANNELS = 16


@dataclass(frozen=True)
class Chosen:
    """The image files of each series, by its name.

    Attributes:
        images: One file per channel.
        reference: The channel that the label was drawn on.
        channels: Names of the volumes, where each is a channel.
        notes: What was understood, and what cannot be.
    """

    images: dict[str, tuple[str, ...]]
    reference: dict[str, int]
    channels: tuple[str, ...] | None
    notes: tuple[str, ...]


def drawn_apart(images: Sequence[Series], labels: Sequence["Entry"]) -> list[Series]:
    """Series of which different volumes have labels of their own: each of the volumes as a series."""
    made: list[Series] = []
    for image in images:
        drawn_on = {phase.name for label in labels if (phase := _referred(image, [label]))}
        made += [_alone(image, phase) for phase in image.phases] if len(drawn_on) > 1 else [image]
    return sorted(made, key=lambda series: series.name)


def choose(
    images: Sequence[Series],
    labelled: Collection[str],
    chosen: Mapping[str, Sequence["Entry"]],
    unused: dict[str, str],
) -> Chosen:
    """Say which volumes are the images of each case; others go to ``unused``.

    Args:
        images: The series that are cases.
        labelled: Names of those with a label; empty: all must agree.
        chosen: Labels in DICOM, by the name of their series.
        unused: Reasons by file.
    """
    referred = {image.name: _referred(image, chosen.get(image.name, ())) for image in images}
    channels = _shared(images, labelled, referred)
    files: dict[str, tuple[str, ...]] = {}
    reference: dict[str, int] = {}
    notes = [f"series hold several volumes ({', '.join(channels)}); each is a channel"] if channels else []
    for image in images:
        phase = referred[image.name]
        if channels and image.phases:
            files[image.name] = named(image, channels) or image.phases[0].files[:1]  # too few, so that it fails
            reference[image.name] = channels.index(phase.name) if phase else 0
        elif image.phases and phase:
            files[image.name] = (phase.files[0],)
            unused |= {each.files[0]: _instead(each, phase) for each in image.phases if each != phase}
        elif image.phases:
            files[image.name] = tuple(each.files[0] for each in image.phases)
            notes.append(_undecided(image))
        else:
            files[image.name] = (image.files[0],)
    return Chosen(files, reference, channels, tuple(notes))


def each_alone(image: Series) -> list[Series]:
    """The volumes of a series as series of their own; the series itself if it is one volume."""
    return [_alone(image, phase) for phase in image.phases] or [image]


def named(image: Series, channels: Sequence[str]) -> tuple[str, ...]:
    """A file of each volume that is called like a channel; empty if one is missing."""
    file_of = {phase.name: phase.files[0] for phase in image.phases}
    return tuple(file_of[channel] for channel in channels) if set(channels) <= set(file_of) else ()


def _shared(
    images: Sequence[Series], labelled: Collection[str], referred: Mapping[str, Phase | None]
) -> tuple[str, ...] | None:
    """Names of volumes that all cases with a label have, if all labels were drawn on the same one or on no one."""
    deciding = [image for image in images if image.name in labelled] or list(images)
    names = {tuple(phase.name for phase in image.phases) for image in deciding}
    drawn_on = {phase.name if phase else None for image in deciding for phase in (referred[image.name],)}
    first = next(iter(names), ())
    return first if len(names) == len(drawn_on) == 1 and 1 < len(first) <= _MOST_CHANNELS else None


def _referred(image: Series, labels: Sequence["Entry"]) -> Phase | None:
    """The only volume of a series whose images labels refer to."""
    uids = frozenset[str]().union(*(label.refers_to_images for label in labels))
    found = [phase for phase in image.phases if not uids.isdisjoint(phase.uids)]
    return found[0] if len(found) == 1 else None


def _alone(image: Series, phase: Phase) -> Series:
    return replace(
        image,
        files=phase.files,
        name=f"{image.name}_{phase.name}",
        uids=phase.uids,
        planes=len(phase.files),
        alone=False,
        phases=(),
    )


def _instead(phase: Phase, used: Phase) -> str:
    return f"{phase.name}, another volume of a series whose label was drawn on {used.name} ({len(phase.files)} files)"


def _undecided(image: Series) -> str:
    listed = ", ".join(f"{phase.name} ({len(phase.files)} slices)" for phase in image.phases[:6])
    more = f" and {len(image.phases) - 6} more" if len(image.phases) > 6 else ""
    return (
        f"{image.described} holds {len(image.phases)} volumes: {listed}{more}. Other cases have not the "
        "same, and no label says which it was drawn on; keep that one, or give all cases the same volumes"
    )
