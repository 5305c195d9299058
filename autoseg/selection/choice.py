"""What a selection decides, in numbers and in words."""

from collections.abc import Sequence

from autoseg.contracts import LabelSet, Member, Postprocessing
from autoseg.selection.store import Pipeline
from autoseg.volumes.statistics import Estimate


def explain(
    labels: LabelSet,
    tried: int,
    default: tuple[Pipeline, float],
    chosen: tuple[Pipeline, float],
    gain: Estimate,
    *,
    better: bool,
) -> str:
    """The choice in one plain paragraph.

    Args:
        labels: For the names of the targets.
        tried: Trials of the search.
        default: The simplest candidate and its mean Dice out of fold.
        chosen: The search's choice and the same.
        gain: Of the choice over the default, on cases that neither saw.
        better: Whether the choice ships.
    """
    start = f"Out of fold, the simplest candidate, {describe(default[0])}, reaches a mean Dice of {default[1]:.4f}. "
    if chosen[0] == default[0]:
        return start + f"In {tried} trials none was better by more than chance allows, so it ships."
    found = (
        f"After {tried} trials the search prefers {describe(chosen[0])}, at {chosen[1]:.4f} on the cases it was chosen "
        "on. "
    )
    if gain.value is None or gain.low is None or gain.high is None:
        return start + found + "There are too few folds or subjects to confirm that on others, so the simplest ships."
    measured = (
        f"Chosen on other folds than it is scored on, it gains {gain.value:+.4f} (95 % interval {gain.low:+.4f} to "
        f"{gain.high:+.4f}) over the simplest candidate, "
    )
    verdict = "so it ships." if better else "which is not clearly above zero, so the simplest ships."
    return start + found + measured + verdict + (_shift(chosen[0], labels) if better else "")


def describe(pipeline: Pipeline) -> str:
    """A pipeline in words, e.g. ``0.5 x 2d + 0.5 x 3d_fullres with no post-processing``."""
    return f"{blend_in_words(pipeline)} with {'; '.join(steps_in_words(pipeline)) or 'no post-processing'}"


def members_in_words(members: Sequence[Member]) -> str:
    """The networks with their weights, e.g. ``0.5 x 2d + 0.5 x 3d_fullres``."""
    alone = len(members) == 1
    return " + ".join(one.configuration if alone else f"{one.weight:.2g} x {one.configuration}" for one in members)


def blend_in_words(pipeline: Pipeline) -> str:
    """How the networks' outputs become one."""
    words = members_in_words(pipeline.members)
    words += " (mean of logits)" if pipeline.blend.scale == "logits" else ""
    words += f" (at temperature {pipeline.blend.temperature:g})" if pipeline.blend.temperature != 1.0 else ""
    return words + (", mirrored copies averaged," if pipeline.mirror else "")


def steps_in_words(pipeline: Pipeline) -> list[str]:
    """What happens after the blend, step by step; empty: nothing does."""
    decision = pipeline.decision
    described = [f"{bias.target}: offset {bias.logit:+g}" for bias in decision.biases]
    described += ["the largest component of all foreground only"] if decision.joint_largest else []
    described += [f"{step.target}: {', '.join(rules_in_words(step))}" for step in pipeline.postprocessing]
    return described + (["regions kept inside the region around them"] if decision.nested_regions else [])


def rules_in_words(step: Postprocessing) -> Sequence[str]:
    """What post-processing does to one target."""
    parts = [f"smoothed by {step.smooth_mm:g} mm"] if step.smooth_mm > 0 else []
    parts += ["the largest component only"] if step.keep_largest else []
    parts += [f"components under {step.minimum_mm3:g} mm3 removed"] if step.minimum_mm3 > 0 else []
    return parts + (["holes filled"] if step.fill_holes else [])


def _shift(pipeline: Pipeline, labels: LabelSet) -> str:
    """What fitting on single models means for the mean of several (measured in benchmarks/results/selection.md)."""
    said = ""
    if len(pipeline.members) > 1:
        said += (
            " Single fold models were compared; averaging those of all folds, as the model that ships does, steadies "
            "the simplest candidate as well, so that less of the gain may be left there."
        )
    if pipeline.decision.biases:
        what = "thresholds" if labels.kind == "regions" else "offsets"
        said += (
            f" Its {what} were fitted on outputs of single fold models; the mean of several is flatter, so that they "
            "act more strongly there. What that would change is listed beside the choice."
        )
    return said
