"""The time of a plan search: what it takes of the hours, and how many variants fit into that."""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

from autoseg.contracts import Settings
from autoseg.selection import halving
from planners import schedule
from planners.contracts import Budget, Configuration
from planners.errors import InfeasibleBudget

SHARE = 0.3
"""Of the hours, that a search may take; the run is planned with what is left."""
MARGIN = 0.85
"""Of the search's time, that its predicted cost may fill: it counts steps, and no clock stops it."""
STANDS_FOR = 9
"""Times the fewest steps that teach anything, that a whole trial has at least, unless a fold's training has fewer."""
INFERENCE_MARGIN = 1.5
"""Predicted inference times are multiplied by this."""


def of_search(settings: Settings) -> float | None:
    """Hours that a search may take; None: no hours were given."""
    return None if settings.hours is None else SHARE * settings.hours


def left_to_plan(budget: Budget, settings: Settings) -> Budget:
    """The budget that the run is planned with: without the hours of a search, where one was asked for."""
    if not settings.search or budget.hours is None:
        return budget
    return budget.model_copy(update={"hours": round((1 - SHARE) * budget.hours, 6)})


@contextlib.contextmanager
def sharing_hours(settings: Settings) -> Iterator[None]:
    """Have hours that are too short for planning named with what a search takes of them.

    Raises:
        InfeasibleBudget: As planning raised it.
    """
    try:
        yield
    except InfeasibleBudget as error:
        if not settings.search or error.smallest_hours is None:
            raise
        hours = math.ceil(100 * error.smallest_hours / (1 - SHARE)) / 100
        raise InfeasibleBudget(
            f"{error}; these are the hours that --search leaves to the run, {1 - SHARE:.0%} of all: give at least "
            f"{hours:g} hours in all, or leave --search out",
            smallest_hours=hours,
        ) from error


@dataclass(frozen=True)
class Extent:
    """How far a search goes.

    Attributes:
        variants: That are tried.
        trial_s: Predicted seconds of a whole trial's training.
        all_s: Predicted seconds of the search.
    """

    variants: int
    trial_s: float
    all_s: float

    @property
    def rungs(self) -> tuple[halving.Rung, ...]:
        """The ladder that the variants climb."""
        return halving.ladder(self.variants)


def extent(asked: int, one: Configuration, cases: int, hours: float | None) -> Extent:
    """As many variants as fit, each with as much training as it would get in a fold, or what is left of it.

    Args:
        asked: Variants, at most.
        one: The configuration that is tried.
        cases: That judge.
        hours: Of the search; None: as many as it takes.
    """
    for count in range(asked, 0, -1):
        trainings, predictions_s = halving.whole_trainings(count), _predictions_s(count, one, cases)
        trial_s = one.cost.fold_training_s
        if hours is not None:
            trial_s = min(trial_s, (MARGIN * 3600 * hours - predictions_s) / trainings)
        if trial_s >= _least_s(count, one):
            return Extent(count, trial_s, trainings * trial_s + predictions_s)
    return Extent(0, 0.0, 0.0)


def fewest_hours(one: Configuration, cases: int) -> float:
    """Hours of a whole run, in which a search could try a single variant of this configuration; hundredths."""
    seconds = halving.whole_trainings(1) * _least_s(1, one) + _predictions_s(1, one, cases)
    return math.ceil(100 * seconds / (3600 * MARGIN * SHARE)) / 100


def _least_s(variants: int, one: Configuration) -> float:
    """Seconds of a whole trial, which the first rung is a share of: a fold's training, or enough to stand for it."""
    teaches_s = schedule.FEWEST_STEPS * one.cost.step_s
    return max(teaches_s / halving.ladder(variants)[0].share, min(one.cost.fold_training_s, STANDS_FOR * teaches_s))


def _predictions_s(variants: int, one: Configuration, cases: int) -> float:
    trainings = sum(rung.trainings for rung in halving.ladder(variants))
    return INFERENCE_MARGIN * one.cost.case_inference_s * cases * trainings
