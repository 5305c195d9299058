"""Variants of the plan that were tried, and which one is trained."""

from typing import Literal

from autoseg.contracts.scores import Interval
from planners.contracts import Plan, Record, StageRecord, Variation


class Rung(Record):
    """A partial training of a trial, and how it did on the cases that judge."""

    steps: int
    seconds: float  # that training took
    oof_mean_dice: float | None  # null: no case defines one
    cases: int  # that define one


class PlanTrial(Record):
    """A variant of the plan; trial 0 is the plan of the rules itself."""

    number: int
    variation: Variation
    plan: str | None  # digest of the variant's plan; null: there is none, and `cause` says why
    rungs: tuple[Rung, ...]  # in their order; empty: it failed before it was judged
    state: Literal["complete", "pruned", "failed", "refused"]  # refused: no such plan, or it trains what another does
    cause: str = ""  # of the failure or the refusal


class PlanSearch(StageRecord):
    """What was tried instead of the plan of the rules, and which plan is trained."""

    asked: int  # variants
    fitting: int  # variants that the hours allow; so many were tried, or all there are
    hours: float | None  # of the run, that the search may take; null: no hours were given
    predicted_hours: float
    judged_on: tuple[str, ...]  # cases that chose: validation cases of one fold; empty: nothing was tried
    trials: tuple[PlanTrial, ...]
    chosen: int  # number of a trial
    oof_gain: Interval  # of the best variant over the plan of the rules on these cases, paired over subjects
    compared: int = 1  # variants among which that one was the best; the interval holds for all of them together
    because: str
    plan: Plan  # that is trained

    @property
    def variants(self) -> tuple[PlanTrial, ...]:
        """What was really tried, the plan of the rules left out."""
        return tuple(trial for trial in self.trials[1:] if trial.state != "refused")

    @property
    def refused(self) -> tuple[PlanTrial, ...]:
        """What was proposed and cost nothing."""
        return tuple(trial for trial in self.trials if trial.state == "refused")

    @property
    def seconds(self) -> float:
        """That trainings took."""
        return sum(rung.seconds for trial in self.trials for rung in trial.rungs)


class TrialFailure(StageRecord):
    """Why a partial training of a trial came to no end."""

    cause: str
