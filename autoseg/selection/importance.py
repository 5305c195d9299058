"""What each choice of a pipeline is worth, seen in two ways that complement each other.

*Over the trials*: the share of the variance of their scores that a choice explains by itself, whatever the others are
(functional ANOVA on a random forest; Hutter, Hoos and Leyton-Brown, ICML 2014). It says what can go wrong as much as
what helps, over all that was possible. What is left to 1 is interplay. Post-processing is no part of a trial.

*In the pipeline that the search prefers*: its score with this one choice set back to its default, and everything else
kept. It says what each element brings to what was chosen. Two that can stand in for each other seem worthless alone.

Both are measured on the cases that chose.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import optuna

from autoseg.contracts import CaseChange, Importance
from autoseg.events import Notify
from autoseg.selection.crossfit import Measured
from autoseg.selection.evidence import Table
from autoseg.selection.finalists import Choice
from autoseg.selection.journal import Line
from autoseg.selection.search import Scored
from autoseg.selection.space import Element, Recipe, Space, canonical
from autoseg.volumes.components import Cleaning

_TREES = 32  # of the forest; four times as many change the shares no more than another seed does
_LEAST_SPREAD = 1e-6  # of the trials' scores; what differs less is rounding, and no tree can split it


def worth(
    measured: Measured, trials: Sequence[Line], preferred: Scored, default: Recipe, seed: int, notify: Notify
) -> tuple[Importance, ...]:
    """What every choice is worth, in the order in which a pipeline makes them.

    Args:
        measured: The cases; gets the pieces of recipes that are not there yet.
        trials: Of the search on all cases.
        preferred: What the search prefers.
        default: The best single configuration as it is.
        seed: Of the forest.
        notify: Told of each case.
    """
    space, evidence = measured.evidence.space, measured.evidence
    every = np.arange(len(evidence.cases))
    shares = variance_shares(space, trials, seed)
    elements = (*space.elements(), *_cleaning(space))
    at_default = {one: _at_default(one, preferred.choice, default, space) for one in elements}
    odd = {one: choice for one, choice in at_default.items() if choice != preferred.choice}
    measured.measure((choice.recipe for choice in odd.values()), notify)

    def without(choice: Choice) -> float:
        return evidence.mean(measured.finalists[choice.recipe].dice(choice), every)

    return tuple(
        Importance(
            choice=one.name,
            targets=one.targets,
            possible=one.possible,
            variance_share=_sum([shares[name] for name in one.parameters if name in shares]),
            default_oof_mean_dice=without(odd[one]) if one in odd else None,
        )
        for one in elements
    )


def variance_shares(space: Space, trials: Sequence[Line], seed: int) -> dict[str, float]:
    """Share of the variance of the trials' scores that each parameter explains alone; empty where all are equal."""
    values = [line.value for line in trials]
    if max(values, default=0.0) - min(values, default=0.0) < _LEAST_SPREAD:
        return {}
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=seed))
    for line in trials:
        study.enqueue_trial(line.parameters)
        trial = study.ask()
        space.suggest(trial)
        study.tell(trial, line.value)
    shares: dict[str, float] = optuna.importance.FanovaImportanceEvaluator(n_trees=_TREES, seed=seed).evaluate(study)
    return shares


def changes(measured: Measured, choice: Choice) -> tuple[CaseChange, ...]:
    """The cases whose masks differ from what the blend of the choice's members decides by itself."""
    recipe = replace(choice.recipe, biases=(), nested=False)
    plain = Choice(recipe, False, (Cleaning(),) * len(choice.rules))
    if plain == choice:
        return ()
    every = np.arange(len(measured.evidence.cases))
    pairs = zip(_rows(measured.dice(plain, every)), _rows(measured.dice(choice, every)), strict=True)
    return tuple(
        CaseChange(case=case, before=before, after=after)
        for case, (before, after) in zip(measured.evidence.cases, pairs, strict=True)
        if before != after
    )


def _cleaning(space: Space) -> Iterator[Element]:
    """The choices that are made after the trials; see ``finalists``."""
    if len(space.labels.targets) > 1:
        yield Element("joint_largest")
    for target in space.labels.targets:
        yield Element("postprocessing", (target,))


def _at_default(element: Element, choice: Choice, default: Recipe, space: Space) -> Choice:
    """A choice with one element as the default has it."""
    recipe, targets = choice.recipe, space.labels.targets
    match element.name:
        case "joint_largest":
            return replace(choice, joint=False)
        case "postprocessing":
            pairs = zip(targets, choice.rules, strict=True)
            rules = tuple(Cleaning() if name in element.targets else rule for name, rule in pairs)
            return replace(choice, rules=rules)
        case "bias":
            biases = zip(targets, recipe.biases, strict=bool(recipe.biases))
            recipe = replace(recipe, biases=tuple(0 if name in element.targets else bias for name, bias in biases))
        case "members":
            recipe = replace(recipe, weights=default.weights)
        case "scale":
            recipe = replace(recipe, scale=default.scale)
        case "temperature":
            recipe = replace(recipe, temperature=default.temperature)
        case "mirror":
            recipe = replace(recipe, mirror=default.mirror)
        case "nested":
            recipe = replace(recipe, nested=default.nested)
    return replace(choice, recipe=canonical(recipe))


def _sum(shares: Sequence[float]) -> float | None:
    return float(sum(shares)) if shares else None


def _rows(table: Table) -> list[tuple[float | None, ...]]:
    return [tuple(None if np.isnan(value) else value for value in row) for row in table.tolist()]
