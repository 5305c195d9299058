"""What decision and post-processing change: in how many cases, for better or worse, and how the worst of them look."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from autoseg.contracts import CaseChange, LabelSet, Selection
from autoseg.errors import AutosegError
from autoseg.page.before_after import Comparison, Difference, difference, side_by_side
from autoseg.page.camera import Modality, Panel
from autoseg.selection.choice import steps_in_words
from autoseg.selection.store import Pipeline

_SHOWN = 3


@dataclass(frozen=True)
class ChangedCase:
    """One case, with its pictures or the reason why there are none."""

    change: CaseChange
    panels: tuple[Panel, ...] = ()
    difference: Difference | None = None
    problem: str = ""


@dataclass(frozen=True)
class Changes:
    """All cases together.

    Attributes:
        ships: What is told of is what ships; else the search's choice, which does not.
        steps: What happens after the blend, in words; empty: nothing does.
        better, worse, even: Changed cases by their Dice, summed over targets.
        unchanged: Scored cases whose masks stay.
        shown: The cases with the lowest Dice, before or after.
    """

    ships: bool
    steps: tuple[str, ...]
    better: int
    worse: int
    even: int
    unchanged: int
    shown: tuple[ChangedCase, ...]


def changes(
    selection: Selection, labels: LabelSet, modality: Modality, load: Callable[[str], Comparison] | None
) -> Changes | None:
    """Tell what the preferred pipeline changes; None where nothing was searched.

    Args:
        selection: The choice.
        labels: Of the data.
        modality: For the pictures.
        load: A case's class maps by its name; an ``AutosegError`` is told instead of a picture. None: no pictures.
    """
    if selection.preferred is None:
        return None
    preferred = Pipeline.of(selection.preferred)
    gains = [_gain(change) for change in selection.changes]
    worst = sorted(selection.changes, key=_lowest)[:_SHOWN]
    return Changes(
        ships=preferred == Pipeline.of(selection),
        steps=tuple(steps_in_words(preferred)),
        better=sum(gain > 0 for gain in gains),
        worse=sum(gain < 0 for gain in gains),
        even=sum(gain == 0 for gain in gains),
        unchanged=len(selection.oof.cases) - len(gains),
        shown=() if load is None else tuple(_pictured(change, labels, modality, load) for change in worst),
    )


def _pictured(
    change: CaseChange, labels: LabelSet, modality: Modality, load: Callable[[str], Comparison]
) -> ChangedCase:
    try:
        case = load(change.case)
    except AutosegError as error:
        return ChangedCase(change, problem=str(error))
    return ChangedCase(change, side_by_side(case, labels, modality), difference(case, labels))


def _gain(change: CaseChange) -> float:
    return float(np.sum(_agreement(change.after)) - np.sum(_agreement(change.before)))


def _lowest(change: CaseChange) -> float:
    return min(float(np.mean(_agreement(change.before))), float(np.mean(_agreement(change.after))))


def _agreement(dice: Sequence[float | None]) -> list[float]:
    """A target absent from both masks has no Dice, but nothing is wrong with it: here it counts as 1."""
    return [1.0 if value is None else value for value in dice]
