"""A choice of ensemble and post-processing, and how it is put into words."""

from collections.abc import Sequence
from dataclasses import dataclass

from autoseg.contracts import Member, Postprocessing
from autoseg.selection.ensembles import Candidate, Evidence
from autoseg.selection.search import Outcome
from autoseg.volumes.components import Cleaning
from autoseg.volumes.statistics import Estimate


@dataclass(frozen=True)
class Pipeline:
    """What could ship: an ensemble and its post-processing."""

    members: tuple[Member, ...]
    postprocessing: tuple[Postprocessing, ...]


def pipeline_of(evidence: Evidence, candidate: Candidate) -> Pipeline:
    """A candidate of the search as what would ship; rules that do nothing are left out."""
    rules = zip(evidence.targets, candidate.cleaning, strict=True)
    return Pipeline(
        members=evidence.mixes[candidate.mix],
        postprocessing=tuple(
            Postprocessing(target=target, **rule._asdict()) for target, rule in rules if rule != Cleaning()
        ),
    )


def explain(outcome: Outcome, default: Pipeline, chosen: Pipeline, gain: Estimate, *, better: bool) -> str:
    """The choice in one plain paragraph."""
    start = (
        f"Out of fold, the simplest candidate, {describe(default)}, reaches a mean Dice of "
        f"{outcome.default.mean_dice:.4f}. "
    )
    if chosen == default:
        return start + (
            f"None of the {len(outcome.tried)} candidates tried is better by more than one standard error, so it ships."
        )
    found = (
        f"Of {len(outcome.tried)} candidates tried, the search prefers {describe(chosen)}, at "
        f"{outcome.chosen.mean_dice:.4f} on the cases it was chosen on. "
    )
    if gain.value is None or gain.low is None or gain.high is None:
        return start + found + "There are too few folds or subjects to confirm that on others, so the simplest ships."
    measured = (
        f"Chosen on other folds than it is scored on, it gains {gain.value:+.4f} (95 % interval {gain.low:+.4f} to "
        f"{gain.high:+.4f}) over the simplest candidate, "
    )
    verdict = "so it ships." if better else "which is not clearly above zero, so the simplest ships."
    return start + found + measured + verdict


def describe(pipeline: Pipeline) -> str:
    """A pipeline in words, e.g. ``0.5 x 2d + 0.5 x 3d_fullres with no post-processing``."""
    members = " + ".join(
        member.configuration if len(pipeline.members) == 1 else f"{member.weight:.2g} x {member.configuration}"
        for member in pipeline.members
    )
    return f"{members} with {'; '.join(_steps(pipeline.postprocessing)) or 'no post-processing'}"


def _steps(postprocessing: Sequence[Postprocessing]) -> list[str]:
    described = []
    for step in postprocessing:
        parts = ["the largest component only"] if step.keep_largest else []
        parts += [f"components under {step.minimum_mm3:g} mm3 removed"] if step.minimum_mm3 > 0 else []
        parts += ["holes filled"] if step.fill_holes else []
        described.append(f"{step.target}: {', '.join(parts)}")
    return described
