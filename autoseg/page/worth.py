"""What each choice of a selection is worth, in words: what was chosen, how much it matters, what it brings."""

from collections.abc import Sequence
from dataclasses import dataclass

from autoseg.contracts import Importance, Selection
from autoseg.page.wording import listing
from autoseg.selection.choice import members_in_words, rules_in_words
from autoseg.selection.store import Pipeline

_SHOWN = 12
_NAMES = {
    "members": "which networks, with which weights",
    "scale": "mean of probabilities or of logits",
    "temperature": "sharpening before the mean",
    "mirror": "averaging over mirrored copies",
    "bias": "offset",
    "nested": "regions kept inside the region around them",
    "joint_largest": "only the largest component of all foreground",
    "postprocessing": "post-processing",
}


@dataclass(frozen=True)
class WorthRow:
    """One choice.

    Attributes:
        name: What is chosen.
        chosen: What the search prefers.
        share: Of the differences between candidates, explained by this choice alone; None: no trial varies it.
        gain: Mean Dice that is lost without it, everything else kept; None: the default is preferred.
    """

    name: str
    chosen: str
    share: float | None
    gain: float | None


@dataclass(frozen=True)
class Worth:
    """All choices.

    Attributes:
        rows: Those that matter, the largest gain first.
        interplay: Share that no choice explains alone; None: no trials.
        untouched: Names of other choices that stay at their default.
        impossible: Choices that could not be made here, and why.
    """

    rows: tuple[WorthRow, ...]
    interplay: float | None
    untouched: tuple[str, ...]
    impossible: tuple[str, ...]


def worth(selection: Selection) -> Worth | None:
    """Put it into words; None where nothing was searched."""
    preferred = selection.preferred
    if preferred is None or not selection.importance:
        return None
    pipeline = Pipeline.of(preferred)
    rows = [
        WorthRow(_name(one), _chosen(one, pipeline), one.variance_share, _gain(one, preferred.oof_mean_dice))
        for one in selection.importance
        if one.possible
    ]
    told = [row for row in rows if row.gain is not None or row.share is not None]
    ranked = sorted(told, key=lambda row: (row.gain is None, -(row.gain or 0.0), -(row.share or 0.0)))
    shares = [row.share for row in rows if row.share is not None]
    return Worth(
        rows=tuple(ranked[:_SHOWN]),
        interplay=max(0.0, 1 - sum(shares)) if shares else None,
        untouched=tuple(row.name for row in rows if row not in told or row in ranked[_SHOWN:]),
        impossible=tuple(f"{_name(one)} ({_why(one)})" for one in selection.importance if not one.possible),
    )


def _name(one: Importance) -> str:
    return f"{_NAMES[one.choice]} of {listing(one.targets)}" if one.targets else _NAMES[one.choice]


def _why(one: Importance) -> str:
    return "no mirrored copies were predicted" if one.choice == "mirror" else "only one configuration was trained"


def _gain(one: Importance, preferred: float) -> float | None:
    return None if one.default_oof_mean_dice is None else preferred - one.default_oof_mean_dice


def _chosen(one: Importance, pipeline: Pipeline) -> str:
    """What a pipeline has of this choice."""
    match one.choice:
        case "members":
            return members_in_words(pipeline.members)
        case "scale":
            return pipeline.blend.scale
        case "temperature":
            return "none" if pipeline.blend.temperature == 1.0 else f"temperature {pipeline.blend.temperature:g}"
        case "bias":
            return _each([f"{bias.logit:+.2f}" for bias in pipeline.decision.biases if bias.target in one.targets])
        case "postprocessing":
            steps = [step for step in pipeline.postprocessing if step.target in one.targets]
            return _each([part for step in steps for part in rules_in_words(step)])
        case "mirror":
            return _yes(pipeline.mirror)
        case "nested":
            return _yes(pipeline.decision.nested_regions)
        case "joint_largest":
            return _yes(pipeline.decision.joint_largest)


def _each(parts: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(parts)) or "none"


def _yes(chosen: bool) -> str:
    return "yes" if chosen else "no"
