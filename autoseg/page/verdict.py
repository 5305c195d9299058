"""A traffic light in plain words: how good a model honestly is, and how sure one can be of that.

The light follows the lower end of the interval of the honest mean Dice, so few cases or scattered results cost it
colour. Thresholds are conventions of this report, printed beside the light; no Dice value makes a model safe.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from autoseg.contracts import Interval, Scores
from autoseg.page import wording
from autoseg.page.card import FAILED_DICE, HonestKind, case_dice

GOOD, FAIR, POOR = 0.85, 0.65, 0.40
_ENOUGH_SUBJECTS = 10
_WIDE = 0.10
_WEAK_LABEL = 0.70
_MANY_FAILED = 0.10

Level = Literal["good", "fair", "weak", "unknown"]
LEGEND = (
    f"Good from {GOOD} at the lower end of the interval, usable with checks from {FAIR}, weak below; poor if the "
    f"mean itself is below {POOR}; at most “usable "
    f"with checks” with fewer than {_ENOUGH_SUBJECTS} scored subjects, an interval wider than {_WIDE}, a label below "
    f"{_WEAK_LABEL}, or more than {_MANY_FAILED:.0%} of cases below {FAILED_DICE}. These are conventions of this "
    "report, not clinical limits."
)
_TITLES: dict[Level, str] = {
    "good": "Good: agrees closely with the reference",
    "fair": "Usable with checks: look at every result before relying on it",
    "weak": "Weak: do not use without checking and correcting each case",
    "unknown": "Unknown: do not rely on this model until it has been tested",
}


_CONTINUED = (
    "Training went on from another model: if that has seen any of these cases, the score is too good, and only new "
    "cases can tell."
)


@dataclass(frozen=True)
class Verdict:
    """A light and the reasons a reader should know.

    Attributes:
        level: ``good``, ``fair``, ``weak`` or ``unknown``.
        title: The verdict as one phrase.
        remarks: Sentences, most important first.
    """

    level: Level
    title: str
    remarks: tuple[str, ...]


def judge(
    estimate: Interval,
    kind: HonestKind,
    scores: Scores | None,
    distance_unit: str = "mm",
    *,
    continued: bool = False,
) -> Verdict:
    """Judge a model.

    Args:
        estimate: The honest mean Dice.
        kind: Where it comes from.
        scores: Per-case and per-label scores to qualify it with; None if no case was scored.
        distance_unit: What surface distances are measured in.
        continued: Training went on from another model.
    """
    if kind == "none" or estimate.value is None:
        remark = "Nobody knows how good it is: score it on labelled cases of your own with “autoseg evaluate”."
        return Verdict("unknown", _TITLES["unknown"], (remark,))
    doubts = tuple(_doubts(estimate, scores))
    lower = estimate.value if estimate.low is None else estimate.low
    level: Level = "good" if lower >= GOOD else "fair" if lower >= FAIR else "weak"
    if level == "good" and doubts:
        level = "fair"
    title = "Poor: not usable as it is" if estimate.value < POOR else _TITLES[level]
    caution = (_CONTINUED,) if continued else ()
    return Verdict(level, title, (*caution, *_explained(estimate, scores, distance_unit), *doubts))


def headline(estimate: Interval, kind: HonestKind, cases: int, *, continued: bool = False) -> str:
    """The result in one sentence.

    Args:
        estimate: The honest mean Dice.
        kind: Where it comes from.
        cases: Number of cases it was measured on.
        continued: Training went on from another model.
    """
    if kind == "none" or estimate.value is None:
        return "No honest score: too few labelled cases to test the model on"
    value = wording.score(estimate.value)
    span = "" if estimate.low is None else f" (95% CI {wording.interval(estimate)})"
    unless = ", unless the model that training went on from did" if continued else ""
    if kind == "holdout":
        return f"Mean Dice {value}{span} on {wording.plural(cases, 'hold-out case')} that no choice saw{unless}"
    return (
        f"Mean Dice {value}{span} in nested cross-validation on {wording.plural(cases, 'case')}: "
        f"each scored by models and choices that did not see it{unless}"
    )


def _explained(estimate: Interval, scores: Scores | None, unit: str) -> Iterator[str]:
    """What the number means, for someone who does not think in Dice."""
    if estimate.value is not None:
        yield (
            f"A Dice of {estimate.value:.2f} means that the predicted and the reference outline share "
            f"{100 * estimate.value:.0f} % of their average volume; 1 is perfect, 0 is no overlap."
        )
    if scores is not None and scores.mean_nsd.value is not None:
        yield (
            f"{100 * scores.mean_nsd.value:.0f} % of the outline lies within {scores.tolerance_mm:.3g} {unit} "
            "of the reference (NSD)."
        )
    failed, scored = (0, 0) if scores is None else _failed(scores)
    if 0 < failed <= _MANY_FAILED * scored:
        yield f"{failed} of {wording.plural(scored, 'case')} stayed below a Dice of {FAILED_DICE}."


def _doubts(estimate: Interval, scores: Scores | None) -> Iterator[str]:
    """Everything that forbids a green light."""
    subjects = estimate.n if scores is None else len({case.subject for case in scores.cases})
    if subjects < _ENOUGH_SUBJECTS:
        yield f"Measured on {wording.plural(subjects, 'subject')} only: the next ones may differ a lot."
    if estimate.low is not None and estimate.high is not None and estimate.high - estimate.low > _WIDE:
        yield f"The true mean may lie anywhere between {estimate.low:.2f} and {estimate.high:.2f}: a wide interval."
    if scores is None:
        return
    low = sorted((t.dice.value, t.target) for t in scores.targets if t.dice.value is not None)
    weak = [f"{name} ({value:.2f})" for value, name in low if value < _WEAK_LABEL]
    if weak:
        yield f"Weak on {wording.listing(weak, most=3)}."
    failed, scored = _failed(scores)
    if failed > _MANY_FAILED * scored:
        yield f"{failed} of {scored} scored cases stayed below a Dice of {FAILED_DICE}: they must be caught by eye."


def _failed(scores: Scores) -> tuple[int, int]:
    """Cases below ``FAILED_DICE``, and all cases with a score."""
    dice = [value for case in scores.cases if (value := case_dice(case)) is not None]
    return sum(value < FAILED_DICE for value in dice), len(dice)
