"""The trials of a search: an enumerated start, then proposals of a TPE sampler (Bergstra et al., NeurIPS 2011).

A space that is small enough is tried as a whole. Else the search ends after ``TRIALS``, or before, once ``PATIENCE``
trials in a row have brought nothing.

Each proposal is made by a new sampler, seeded by the search's seed and the trial's number, from the trials before it in
their order. So it depends on nothing else: a search that was killed after any trial and goes on gives the same trials.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import optuna

from autoseg.selection.journal import Journal
from autoseg.selection.space import Recipe, Space

TRIALS = 300
"""Of each search at most, the enumerated start among them."""
PATIENCE = 100
"""A search ends when the best of so many trials in a row is not above the best before by ``LEAST_GAIN``."""
LEAST_GAIN = 1e-5
_STARTUP = 24
"""Trials before the sampler learns from them; what is enumerated counts."""


@dataclass(frozen=True)
class Tried:
    """A recipe and its mean Dice over the cases it was judged on, without post-processing."""

    recipe: Recipe
    mean_dice: float


@dataclass(frozen=True)
class Effort:
    """How long a search goes on."""

    trials: int = TRIALS
    patience: int = PATIENCE


def run(
    space: Space,
    objective: Callable[[Recipe], float],
    journal: Journal,
    name: str,
    seed: int,
    effort: Effort = Effort(),
) -> tuple[Tried, ...]:
    """Make, or finish, a search's trials.

    Args:
        space: What to choose from.
        objective: Mean Dice of a recipe; the more the better.
        journal: Has the trials that were made already, and gets the new ones.
        name: Of the search in the journal.
        seed: Of the proposals.
        effort: When to end.

    Returns:
        All trials in their order; a recipe may occur again.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    whole = len(space.configurations) == 1 and space.size <= effort.trials
    start = [space.parameters(recipe) for recipe in (space.every() if whole else space.first())]
    known = {trial.number: trial for trial in journal.of(name)}
    tried: list[Tried] = []
    while len(tried) < (len(start) if whole else effort.trials) and not _stuck(tried, len(start), effort):
        number = len(tried)
        study.sampler = sampler(seed, number)
        if number in known:
            study.enqueue_trial(known[number].parameters)
        elif number < len(start):
            study.enqueue_trial(start[number])
        trial = study.ask()
        recipe = space.suggest(trial)
        value = known[number].value if number in known else objective(recipe)
        study.tell(trial, value)
        if number not in known:
            journal.add(name, number, trial.params, value)
        tried.append(Tried(recipe, value))
    return tuple(tried)


def _stuck(tried: list[Tried], start: int, effort: Effort) -> bool:
    """Whether the latest trials brought nothing; what is enumerated is tried in any case."""
    before = len(tried) - effort.patience
    if before < max(1, start):
        return False
    best = max(each.mean_dice for each in tried[:before])
    return max(each.mean_dice for each in tried[before:]) < best + LEAST_GAIN


def sampler(seed: int, number: int, startup: int = _STARTUP) -> optuna.samplers.BaseSampler:
    """The sampler of one trial; it learns from the trials before once there are ``startup`` of them."""
    digest = hashlib.sha256(f"{seed} {number}".encode()).digest()
    return optuna.samplers.TPESampler(seed=int.from_bytes(digest[:4], "big"), n_startup_trials=startup)
