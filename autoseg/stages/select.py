"""Selection: the ensemble and the post-processing that the out-of-fold predictions support, and how good that is.

The search (``autoseg.selection.search``) chooses on all development cases; its score on them, ``oof``, is optimistic.
The honest number is nested: for each fold the same search chooses on the others and is scored on it. The default, the
best single configuration without post-processing, is chosen the same way. The search's choice ships only if it beats
the default nested, its whole interval above zero; otherwise the default ships. (Varma and Simon, BMC Bioinformatics
7:91, 2006, show how much choosing and scoring on the same cases flatters.) A target that occurs in no reference takes
no part in the choice.
"""

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from autoseg import records
from autoseg.contracts import (
    BiasStrength,
    Interval,
    Member,
    NestedTarget,
    Scores,
    Selection,
    Trial,
    Validation,
)
from autoseg.evaluation.scoring import summarize, to_interval
from autoseg.events import Notify, silent
from autoseg.selection import calibrating, importance, nnunet
from autoseg.selection import foresight as foreseeing
from autoseg.selection.choice import explain
from autoseg.selection.crossfit import EVERY_CASE, Found, Measured, crossfit
from autoseg.selection.evidence import Evidence, gather
from autoseg.selection.finalists import Choice, pipeline_of
from autoseg.selection.journal import Journal
from autoseg.selection.search import Scored
from autoseg.selection.space import BIAS_STEP, BIAS_STEPS
from autoseg.selection.store import Pipeline, Store
from autoseg.selection.trials import Effort
from autoseg.volumes import statistics
from planners.contracts import Plan

algorithm_version = 7

_STRENGTHS = (0.5, 1.0, 1.25, 1.5, 2.0)


def select(
    store: Store,
    plan: Plan,
    validation: Validation,
    trials: Path,
    *,
    seed: int,
    effort: Effort = Effort(),
    judged: Collection[str] = (),
    notify: Notify = silent,
) -> Selection:
    """Choose ensemble and post-processing, and measure the choice without flattery.

    Args:
        store: Cases, labels and the out-of-fold predictions.
        plan: Its configurations may become members.
        validation: Their out-of-fold scores.
        trials: File of the trials; those of an interrupted search on the same evidence are taken up.
        seed: Of the sampler and the bootstrap.
        effort: How long each search goes on.
        judged: Cases that the plan was chosen on: their scores are ``oof_*`` only, and nested numbers leave them out.
        notify: Told of each case and each search.

    Returns:
        The choice. ``nested_gain`` is always that of the search's choice over the default, also where it did not
        suffice and the default ships; ``nested_mean_dice`` is of what ships. Without validation cases the default
        ships untested and every score is null.

    Raises:
        DataError: An out-of-fold prediction is missing or damaged; the message names case and job.
    """
    validations: dict[str, Scores] = {entry.configuration: entry.oof for entry in validation.configurations}
    folds = [index for index, cases in enumerate(store.dataset.split.folds) if cases]
    if not folds or all(entry.oof.mean_dice.value is None for entry in validation.configurations):
        return _untested(plan, validations, "there are no validation cases that could be scored")
    evidence = gather(store, plan, notify)
    if not evidence.occurs.any():
        return _untested(plan, validations, "no target occurs in any validation case")
    journal = Journal(trials, _identity(evidence, validation, seed, effort))
    tolerance_mm = next(iter(validations.values())).tolerance_mm
    measured = Measured(store, evidence, tolerance_mm)
    found = crossfit(measured, journal, seed, notify, effort, judged=judged)
    preferred, default = found.outcome.chosen, found.outcome.default.choice.recipe
    worth = importance.worth(measured, journal.of(EVERY_CASE), preferred, default, seed, notify)
    changes = importance.changes(measured, preferred.choice)
    record = _trusted(store, _record(measured, validations, found, seed), seed, notify)
    return record.model_copy(update={"importance": worth, "changes": changes})


def _identity(evidence: Evidence, validation: Validation, seed: int, effort: Effort) -> str:
    """Digest of all that the trials' values depend on."""
    known = (algorithm_version, effort, seed, evidence.space, evidence.voxels.rows, records.digest(validation))
    return hashlib.sha256(repr(known).encode()).hexdigest()


def _record(measured: Measured, validations: Mapping[str, Scores], found: Found, seed: int) -> Selection:
    """What was found and how good it is, as a record."""
    evidence, outcome, ships = measured.evidence, found.outcome, found.ships.choice
    space, labels = evidence.space, evidence.space.labels
    trials = _trials(evidence, found)
    pipeline = pipeline_of(space, ships)
    every = np.arange(len(evidence.cases))
    oof = validations[pipeline.members[0].configuration]
    if found.better:
        oof = summarize(measured.scores(ships, every), labels, oof.tolerance_mm, seed)
    return Selection(
        members=pipeline.members,
        mirror=pipeline.mirror,
        blend=pipeline.blend,
        decision=pipeline.decision,
        postprocessing=pipeline.postprocessing,
        oof=oof,
        default_oof_mean_dice=outcome.default.mean_dice,
        nested_mean_dice=to_interval(found.mean),
        nested_gain=to_interval(found.gain),
        nested_gain_over_nnunet=to_interval(found.over_nnunet),
        nested_targets=_per_target(evidence, found, seed) if found.mean.value is not None else (),
        case_s=space.case_s(ships.recipe),
        trials=trials,
        nnunet=_trial(evidence, len(found.trials), outcome.nnunet, nnunet.NAME),
        preferred=trials[len(found.trials) + outcome.candidates.index(outcome.chosen)],
        bias_strengths=_bias_strengths(evidence, ships),
        because=explain(
            labels,
            len(found.trials),
            (pipeline_of(space, outcome.default.choice), outcome.default.mean_dice),
            (pipeline_of(space, outcome.chosen.choice), outcome.chosen.mean_dice),
            found.gain,
            better=found.better,
        )
        + _left_out(len(evidence.cases) - len(found.subjects)),
    )


def _trusted(store: Store, chosen: Selection, seed: int, notify: Notify) -> Selection:
    """With how far probabilities and masks of what ships can be trusted."""
    pipeline = Pipeline.of(chosen)
    calibration = calibrating.calibrate(store, pipeline, seed, notify)
    foresight = foreseeing.foresee(store, pipeline, chosen.oof.cases, calibration.temperature, seed, notify)
    return chosen.model_copy(update={"calibration": calibration, "foresight": foresight})


def _left_out(judged: int) -> str:
    """That the plan was chosen on some of the cases; nothing where it was not."""
    return f" The plan was searched for on {judged} of the cases, which nested numbers leave out." if judged else ""


def _per_target(evidence: Evidence, found: Found, seed: int) -> tuple[NestedTarget, ...]:
    """Each target's share of the nested scores."""

    def of(target: int) -> tuple[Interval, Interval]:
        nested, subjects = found.nested, found.subjects
        ships, chosen, default = (t[:, [target]] for t in (found.table, nested.chosen, nested.default))
        gain = statistics.paired_interval(chosen, default, subjects, seed)
        return to_interval(statistics.interval(ships, subjects, seed)), to_interval(gain)

    named = ((name, *of(target)) for target, name in enumerate(evidence.space.labels.targets))
    return tuple(NestedTarget(target=name, dice=dice, gain=gain) for name, dice, gain in named)


def _bias_strengths(evidence: Evidence, choice: Choice) -> tuple[BiasStrength, ...]:
    """What the recipe would score if its biases acted otherwise: flatter outputs make them act more strongly."""
    recipe, every = choice.recipe, np.arange(len(evidence.cases))
    strongest = max((abs(steps) for steps in recipe.biases), default=0)
    possible = [factor for factor in _STRENGTHS if 0 < strongest * factor <= BIAS_STEPS]
    tables = [(f, evidence.dice_with(recipe, [f * BIAS_STEP * steps for steps in recipe.biases])) for f in possible]
    return tuple(BiasStrength(factor=f, oof_mean_dice=evidence.mean(table, every)) for f, table in tables)


def _untested(plan: Plan, validations: Mapping[str, Scores], why: str) -> Selection:
    """The default where nothing could be measured: the configuration that sees most of the volume at once."""
    configuration = max(plan.configurations, key=lambda c: c.dimension)
    others = f" out of {len(plan.configurations)}" if len(plan.configurations) > 1 else ""
    unknown = to_interval(statistics.Estimate(None, None, None, 0))
    return Selection(
        members=(Member(configuration=configuration.name, weight=1.0),),
        postprocessing=(),
        oof=validations[configuration.name],
        default_oof_mean_dice=None,
        nested_mean_dice=unknown,
        nested_gain=unknown,
        trials=(),
        because=f"Nothing could be compared, because {why}. {configuration.name}{others} ships as it is, without "
        "post-processing, and its quality is unknown: check it on labelled cases before relying on it.",
    )


def _trials(evidence: Evidence, found: Found) -> tuple[Trial, ...]:
    """Every trial of the search on all cases, then its post-processed finalists."""
    nothing = found.outcome.default.choice.rules
    made = [Scored(Choice(tried.recipe, False, nothing), tried.mean_dice) for tried in found.trials]
    names = {found.outcome.default.choice: "best single configuration", found.outcome.nnunet.choice: nnunet.NAME}
    finals = [
        _trial(evidence, len(made) + n, s, names.get(s.choice, "")) for n, s in enumerate(found.outcome.candidates)
    ]
    return (*(_trial(evidence, number, scored, "") for number, scored in enumerate(made)), *finals)


def _trial(evidence: Evidence, number: int, scored: Scored, name: str) -> Trial:
    pipeline = pipeline_of(evidence.space, scored.choice)
    return Trial(
        number=number,
        members=pipeline.members,
        mirror=pipeline.mirror,
        blend=pipeline.blend,
        decision=pipeline.decision,
        postprocessing=pipeline.postprocessing,
        oof_mean_dice=scored.mean_dice,
        case_s=evidence.space.case_s(scored.choice.recipe),
        name=name,
    )
