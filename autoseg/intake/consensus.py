"""What the cases of a data set must agree on: number of channels, labels, and enough of them being usable.

Each step takes the examined cases and returns them with what was agreed; ``settle`` runs them in order. Nothing here
opens a file. What has to change in stored volumes is returned as ``Change``.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from autoseg.contracts import CaseScan, LabelSet, TargetScan
from autoseg.errors import DataError, LabelError
from autoseg.intake.auditing import RGB, Finding
from autoseg.intake.duplicates import sharing_subjects
from autoseg.intake.examination import Examined
from autoseg.intake.quarantine import quarantined, require_usable
from autoseg.labelling import class_of, infer, named

_STRAY_SHARE = 1e-4


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

    @property
    def usable(self) -> tuple[Examined, ...]:
        """Cases without a problem."""
        return tuple(item for item in self.examined if item.scan is not None)


def settle(
    examined: Sequence[Examined],
    channels: tuple[str, ...] | None,
    labels: LabelSet | None,
    label_names: Mapping[int, str] | None = None,
) -> Settled:
    """Bring all cases to one number of channels and one label set.

    Args:
        examined: All cases.
        channels: Declared names; None: nothing was declared.
        labels: Declared labels; None: the values that occur are the labels.
        label_names: What values are called, where the labels are inferred.

    Raises:
        DataError: More than a fifth of the cases is unusable, none has a label, or all labels are empty.
        LabelError: The values in the files cannot be the labels of one task.
    """
    items = [_without_stray_values(item, examined) if labels is None else item for item in examined]
    items, number = _same_channels(items, None if channels is None else len(channels))
    require_usable(items)
    agreed = labels or named(_inferred(items), label_names or {})
    changes = [_change(item, number, agreed) for item in items if item.scan is not None]
    items = sharing_subjects([_adopt(item, number, agreed) for item in items])
    _require_foreground(items)
    return Settled(
        examined=tuple(items),
        channels=channels or _channel_names(items, number),
        labels=agreed,
        changes=tuple(change for change in changes if change != Change(change.case)),
    )


def _without_stray_values(item: Examined, examined: Sequence[Examined]) -> Examined:
    """Quarantine a pixel mask with values that are specks wherever they occur: traces of lossy or blurred export."""
    if item.scan is None or item.scan.spacing_known:
        return item
    pixels = sum(count for _, count in item.counts)
    stray = [
        (value, count)
        for value, count in item.counts
        if count < _STRAY_SHARE * pixels and _largest_share(value, examined) < _STRAY_SHARE
    ]
    if not stray:
        return item
    listed = ", ".join(f"{value} ({count} pixels)" for value, count in stray[:5])
    return quarantined(
        item,
        f"the mask has stray values: {listed} of {pixels} pixels; it looks edited with smoothing or saved with loss; "
        "correct the mask, or declare the labels in a dataset.json",
    )


def _largest_share(value: int, examined: Sequence[Examined]) -> float:
    shares = [dict(item.counts).get(value, 0) / sum(dict(item.counts).values()) for item in examined if item.counts]
    return max(shares, default=0.0)


def _same_channels(items: list[Examined], declared: int | None) -> tuple[list[Examined], int]:
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
        item, f"has {len(item.scan.overall)} channels; expected {wanted} as in the other cases; add or remove channels"
    )


def _inferred(items: Sequence[Examined]) -> LabelSet:
    values = {value for item in items if not item.problem for value, _ in item.counts}
    if values and 0 not in values:
        raise LabelError(
            f"no mask contains the value 0, only {sorted(values)[:10]}; so the background is unknown; declare the "
            'labels in a dataset.json, e.g. {"labels": {"background": 1, "organ": 2}}'
        )
    return infer(values)


def _change(item: Examined, channels: int, labels: LabelSet) -> Change:
    """What must change in the stored volumes of a case."""
    repeat = 1 if item.scan is None else channels // len(item.scan.overall)
    if item.labels is None or item.labels == labels or not item.case.labelled:
        return Change(item.case.case, repeat)
    new = class_of(labels)
    stored = sorted((index, value) for value, index in class_of(item.labels).items())
    classes = tuple(new[value] for _, value in stored)
    return Change(item.case.case, repeat, None if classes == tuple(range(len(classes))) else classes)


def _adopt(item: Examined, channels: int, labels: LabelSet) -> Examined:
    """The case as if it had been examined with the agreed channels and labels in mind."""
    if item.scan is None:
        return item
    repeat = channels // len(item.scan.overall)
    scan = item.scan.model_copy(
        update={"overall": item.scan.overall * repeat, "foreground": item.scan.foreground * repeat}
    )
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
