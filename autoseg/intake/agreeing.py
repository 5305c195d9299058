"""What the masks of all cases together say about labels that nobody declared: which values, which background, strays.

One mask alone cannot tell: a class may be a few specks in one case and an organ in the next. So each case is examined
as far as it goes alone; then all counts are looked at together, and the few cases that read differently in the light
of the others are examined again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from autoseg.contracts import Coding, LabelSet
from autoseg.errors import LabelError
from autoseg.intake import values
from autoseg.intake.classing import Agreed
from autoseg.intake.examination import Examined
from autoseg.intake.quarantine import quarantined
from autoseg.intake.values import Sorted, Tally
from autoseg.labelling import infer, spelled

_LISTED = 3
_MASKS = "as one value per voxel"
_STRUCTURES = "as masks that may overlap"


@dataclass(frozen=True)
class Together:
    """What all cases said.

    Attributes:
        examined: All cases, those that do not go with the others quarantined.
        agreed: The labels; None: they are declared, or masks may overlap.
        again: Names of cases that must be examined again with ``agreed`` in mind.
        notes: Remarks on the whole data set.
    """

    examined: tuple[Examined, ...]
    agreed: Agreed | None = None
    again: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


def agree(examined: Sequence[Examined], declared: LabelSet | None, *, names: Mapping[int, str], snap: bool) -> Together:
    """Settle what the values in the masks mean.

    Args:
        examined: All cases.
        declared: Declared labels; None: the values that occur are the labels.
        names: What values are called in a file beside the masks.
        snap: All strays become labels, however many there are.

    Raises:
        LabelError: Image and label are swapped in all cases, or nothing tells which value is the background.
    """
    _require_not_swapped(examined)
    items = _of_one_kind(examined)
    drawn = [item for item in items if _has_values(item)]
    if declared is not None or not drawn:
        return Together(tuple(items), notes=tuple(_undeclared(items)))
    coding: Coding = "rgb" if any(item.coding == "rgb" for item in drawn) else "values"
    found = values.sort_out([_coded(item, coding) for item in drawn], coding, snap=snap)
    items = [_judged(item, found, coding, snap) if _has_values(item) else item for item in items]
    masks = [_coded(item, coding) for item in items if _has_values(item)]
    if not masks:
        return Together(tuple(items))
    found = values.sort_out(masks, coding, snap=snap)
    ground = _background(masks, found, coding)
    agreed = Agreed(infer(found.labels, ground, coding, {**_names(items), **names}), found.nearest)
    again = frozenset(item.case.case for item in items if _has_values(item) and _differs(item, agreed))
    told = [_told(item, found, coding, again) for item in items]
    return Together(tuple(told), agreed, again, tuple(_notes(masks, agreed)))


def _undeclared(items: Sequence[Examined]) -> Iterable[str]:
    """Each value that occurs and is not declared, with the cases it occurs in."""
    cases: dict[int, list[str]] = {}
    for item in items:
        for value in item.undeclared:
            cases.setdefault(value, []).append(item.case.case)
    for value, names in sorted(cases.items()):
        listed = ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
        plural = "s" if len(names) > 1 else ""
        yield f"value {value} is not declared, yet occurs in {len(names)} case{plural}: {listed}"


def _require_not_swapped(examined: Sequence[Examined]) -> None:
    labelled = [item for item in examined if item.case.labelled]
    if labelled and all(item.swapped for item in labelled):
        raise LabelError(
            f"image and label are swapped in all {len(labelled)} cases, e.g. {labelled[0].case.case}: image "
            f"{labelled[0].case.images[0]} holds the mask; exchange the folders' names, or correct the declaration"
        )


def _of_one_kind(examined: Sequence[Examined]) -> list[Examined]:
    """Quarantine the fewer: cases of overlapping masks among cases of values, or the other way."""
    kinds = [item.combinations is not None for item in examined if item.scan is not None and item.case.labelled]
    if not kinds or len(set(kinds)) == 1:
        return list(examined)
    structures = 2 * sum(kinds) >= len(kinds)
    here, there = (_MASKS, _STRUCTURES) if structures else (_STRUCTURES, _MASKS)
    problem = f"its label is stored {here}, those of most other cases {there}; store all alike"
    return [
        quarantined(item, problem)
        if item.scan is not None and item.case.labelled and (item.combinations is not None) != structures
        else item
        for item in examined
    ]


def _has_values(item: Examined) -> bool:
    return item.scan is not None and item.case.labelled and item.combinations is None


def _coded(item: Examined, coding: Coding) -> tuple[Tally, ...]:
    """Its values as the data set codes them: grey levels among colours are colours too."""
    if item.coding == coding:
        return item.tallies
    return tuple(replace(tally, value=tally.value * 0x010101) for tally in item.tallies)


def _judged(item: Examined, found: Sorted, coding: Coding, snap: bool) -> Examined:
    problem, _ = values.judge(_coded(item, coding), found, coding, snap=snap)
    return quarantined(item, problem) if problem else item


def _told(item: Examined, found: Sorted, coding: Coding, again: frozenset[str]) -> Examined:
    """With the strays that were taken for labels among its findings; a second look will tell them itself."""
    if not _has_values(item) or item.case.case in again:
        return item
    finding = values.judge(item.tallies, found, coding, snap=True)[1]
    return item if finding is None else replace(item, findings=(*item.findings, finding))


def _background(masks: Sequence[Sequence[Tally]], found: Sorted, coding: Coding) -> int:
    ground = values.background(masks, found.labels)
    if ground is not None:
        return ground
    listed = ", ".join(spelled(value, coding) for value in found.labels[:10])
    raise LabelError(
        f"no mask contains the value 0, only {listed}; and none of them lies around all others, so the background is "
        'unknown; declare the labels in a dataset.json, e.g. {"labels": {"background": 1, "organ": 2}}'
    )


def _differs(item: Examined, agreed: Agreed) -> bool:
    """Whether the case alone read its values otherwise than all cases together."""
    strays = {tally.value: agreed.nearest[tally.value] for tally in item.tallies if tally.value in agreed.nearest}
    return (item.coding, 0, dict(item.nearest)) != (agreed.labels.coding, agreed.labels.background_value, strays)


def _names(items: Sequence[Examined]) -> dict[int, str]:
    """What files call their values, if all that do agree, and no two values share a name."""
    found: dict[int, str] = {}
    for item in items:
        if any(found.setdefault(value, name) != name for value, name in item.names.items()):
            return {}
    return found if len(set(found.values())) == len(found) else {}


def _notes(masks: Sequence[Sequence[Tally]], agreed: Agreed) -> Iterable[str]:
    labels = agreed.labels
    ground = labels.background_value
    if ground != 0:
        shown = spelled(ground, labels.coding)
        yield f"no mask contains the value 0; {shown} lies around everything else and is taken for the background"
    elif around := [v for v in (label.value for label in labels.labels) if values.surrounds(v, masks)]:
        shown = spelled(around[0], labels.coding)
        yield (
            f"0 is taken for the background, though {shown} fills almost all borders of the masks; are they inverted? "
            "If so, declare the labels"
        )
    if labels.coding == "rgb":
        names = ", ".join(f"{spelled(label.value, 'rgb')} {label.name}" for label in labels.labels)
        yield f"the masks hold colours: {spelled(ground, 'rgb')} background, {names}"
    if agreed.nearest:
        yield f"{len(agreed.nearest)} stray values in masks were taken for the nearest label; see the cases"
