"""What the cases of a data set must agree on: number of channels, labels, and enough of them being usable.

Each step takes the examined cases and returns them with what was agreed; ``settle`` runs them in order. Nothing here
opens a file. What has to change in stored volumes is returned as ``Change``.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from autoseg.contracts import CaseScan, LabelSet, TargetScan
from autoseg.errors import DataError, LabelError
from autoseg.intake.auditing import RGB, Finding
from autoseg.intake.duplicates import sharing_subjects
from autoseg.intake.examination import Examined
from autoseg.intake.merging import Merged, merge
from autoseg.intake.profiles import flag_swapped
from autoseg.intake.quarantine import quarantined, require_usable
from autoseg.labelling import class_of


@dataclass(frozen=True)
class Change:
    """How a stored case differs from what the data set settled on.

    Attributes:
        case: Its name.
        repeat: The grey image is to be repeated this often along the channel axis.
        classes: New class index of each stored one; None: they are right already.
    """

    case: str
    repeat: int = 1
    classes: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Settled:
    """The agreed data set: ``examined`` has all cases, those with a ``problem`` are quarantined."""

    examined: tuple[Examined, ...]
    channels: tuple[str, ...]
    labels: LabelSet
    changes: tuple[Change, ...]
    notes: tuple[str, ...] = ()

    @property
    def usable(self) -> tuple[Examined, ...]:
        """Cases without a problem."""
        return tuple(item for item in self.examined if item.scan is not None)


def settle(examined: Sequence[Examined], channels: tuple[str, ...] | None, labels: LabelSet | None) -> Settled:
    """Bring all cases to one number of channels and one label set.

    Args:
        examined: All cases.
        channels: Declared names; None: nothing was declared.
        labels: Declared, or agreed upon by ``agreeing``; None: the structures that occur are the labels.

    Raises:
        DataError: More than a fifth of the cases is unusable, none has a label, or all labels are empty.
        LabelError: The values in the files cannot be the labels of one task.
    """
    items, number = same_channels(examined, None if channels is None else len(channels))
    require_usable(items)
    structures = [item for item in items if item.scan is not None and item.combinations is not None]
    merged = merge(structures, labels) if structures else None
    agreed = merged.labels if merged is not None else labels
    if agreed is None:
        raise LabelError(f"none of the {len(items)} cases has a label that can be used")
    changes = [_change(item, number, agreed, merged) for item in items if item.scan is not None]
    items = sharing_subjects([_adopt(item, number, agreed, merged) for item in items])
    names = channels or _channel_names(items, number)
    items = flag_swapped(items, names)
    _require_foreground(items)
    return Settled(
        examined=tuple(items),
        channels=names,
        labels=agreed,
        changes=tuple(change for change in changes if change != Change(change.case)),
        notes=() if merged is None else merged.notes,
    )


def same_channels(items: Sequence[Examined], declared: int | None) -> tuple[list[Examined], int]:
    """Agree on the number of channels; single grey images among colour images will be repeated, others quarantined."""
    present = Counter(len(item.scan.overall) for item in items if item.scan is not None)
    colours = any(item.channels == RGB for item in items)
    wanted = declared or (3 if colours else max(present, key=lambda n: (present[n], n), default=1))
    return [_with_channels(item, wanted, colours or declared == len(RGB)) for item in items], wanted


def _with_channels(item: Examined, wanted: int, colours: bool) -> Examined:
    if item.scan is None or len(item.scan.overall) == wanted:
        return item
    if colours and wanted == len(RGB) and len(item.scan.overall) == 1:
        repeated = Finding("a grey image among colour images", "its channel is repeated for red, green and blue")
        return replace(item, findings=(*item.findings, repeated))
    return quarantined(
        item,
        f"has {len(item.scan.overall)} channels; expected {wanted} as in the other cases; add or remove channels",
        label_is_sound=True,
    )


def _change(item: Examined, channels: int, labels: LabelSet, merged: Merged | None) -> Change:
    """What must change in the stored volumes of a case."""
    repeat = 1 if item.scan is None else channels // len(item.scan.overall)
    if item.combinations is not None and merged is not None:
        return Change(item.case.case, repeat, _unless_the_same(merged.classes(item)))
    if item.labels is None or item.labels == labels or not item.case.labelled:
        return Change(item.case.case, repeat)
    new = class_of(labels)
    stored = sorted((index, value) for value, index in class_of(item.labels).items())
    return Change(item.case.case, repeat, _unless_the_same(tuple(new[value] for _, value in stored)))


def _unless_the_same(classes: tuple[int, ...]) -> tuple[int, ...] | None:
    return None if classes == tuple(range(len(classes))) else classes


def _adopt(item: Examined, channels: int, labels: LabelSet, merged: Merged | None) -> Examined:
    """The case as if it had been examined with the agreed channels and labels in mind."""
    if item.scan is None:
        return item
    repeat = channels // len(item.scan.overall)
    scan = item.scan.model_copy(
        update={"overall": item.scan.overall * repeat, "foreground": item.scan.foreground * repeat}
    )
    if item.combinations is not None and merged is not None:
        return merged.adopt(replace(item, scan=scan))
    if item.case.labelled and item.labels is not None and item.labels != labels:
        scan = scan.model_copy(update={"targets": _renamed(scan, item.labels, labels)})
    return replace(item, scan=scan, labels=labels)


def _renamed(scan: CaseScan, own: LabelSet, agreed: LabelSet) -> tuple[TargetScan, ...]:
    measured = {label.value: target for label, target in zip(own.labels, scan.targets, strict=True)}
    absent = TargetScan(name="", voxels=0, components=0, component_voxels=())
    return tuple(measured.get(label.value, absent).model_copy(update={"name": label.name}) for label in agreed.labels)


def _require_foreground(items: Sequence[Examined]) -> None:
    labelled = [item.scan for item in items if item.scan is not None and item.case.labelled]
    if not any(target.voxels for scan in labelled for target in scan.targets):
        raise DataError(f"all {len(labelled)} labels are empty; there is nothing to learn; check the masks")


def _channel_names(items: Sequence[Examined], number: int) -> tuple[str, ...]:
    known = next((item.channels for item in items if len(item.channels) == number), ())
    return known if known and not known[0].isdigit() else tuple(f"channel_{position}" for position in range(number))
