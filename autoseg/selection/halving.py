"""Successive halving over variants of a plan: all are trained a little, the best third three times as long, and so on.

Jamieson and Talwalkar, Non-stochastic Best Arm Identification and Hyperparameter Optimization, AISTATS 2016. The plan
itself is tried too and goes through every rung, because whatever wins must win against it. The number of variants is
decided beforehand from predicted cost, and rungs count steps: a search that is killed and goes on is the same search.

The first variants are enumerated. The others are proposed by a TPE sampler (Bergstra et al., NeurIPS 2011) from how
those before them did on the first rung. Each proposal is made by a new sampler, seeded by the search's seed and the
trial's number, and so depends on nothing but these and the trials before it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import optuna

from autoseg.contracts import Scores
from autoseg.selection.trials import sampler
from planners.contracts import Variation
from planners.variation import AS_PLANNED, Value

REDUCTION = 3
RUNGS = (1 / REDUCTION**2, 1 / REDUCTION, 1.0)
"""Shares of a whole trial's training; each is a training of its own, with the learning rate brought down to its end."""
_STARTUP = 6
"""Trials before the sampler learns from them; what is enumerated counts."""
_ATTEMPTS = 50
"""Proposals in a row that were tried already, after which the space counts as exhausted."""

Judge = Callable[[int, Variation, int], Scores | str]
"""Number, variation and rung of a trial to its scores; or the cause of its failure, where it is the variation's."""


@dataclass(frozen=True)
class Tried:
    """A trial: its scores on each rung that it came to, and why it failed; empty: it did not."""

    number: int
    variation: Variation
    scores: tuple[Scores, ...] = ()
    cause: str = ""

    @property
    def value(self) -> float | None:
        """Mean Dice on the highest rung; None: it failed, or no case defines one."""
        return None if self.cause or not self.scores else self.scores[-1].mean_dice.value


def jobs(variants: int) -> tuple[int, ...]:
    """Trainings on each rung, that of the plan among them.

    >>> jobs(9), jobs(2)
    ((10, 4, 2), (3, 2, 2))
    """
    return tuple(1 + max(1, variants // REDUCTION**rung) for rung in range(len(RUNGS)))


def whole_trainings(variants: int) -> float:
    """What a search costs, in whole trials.

    >>> round(whole_trainings(9), 2)
    4.44
    """
    return sum(share * count for share, count in zip(RUNGS, jobs(variants), strict=True))


def search(
    choices: Mapping[str, Sequence[Value]], first: Sequence[Variation], judge: Judge, variants: int, seed: int
) -> tuple[Tried, ...]:
    """Try the plan and variants of it.

    Args:
        choices: What each field of a variation may be.
        first: Variations to begin with.
        judge: Makes, or remembers, a trial's training on a rung.
        variants: How many are tried, beside the plan.
        seed: Of the proposals.

    Returns:
        All trials, the plan's own first. Fewer than ``variants`` where no more can be told apart.
    """
    tried = _first_rung(choices, first, judge, variants, seed)
    for rung, count in enumerate(jobs(variants)[1:], start=1):
        kept = [trial for trial in tried[1:] if trial.value is not None and len(trial.scores) == rung]
        best = sorted(kept, key=lambda trial: (-(trial.value or 0.0), trial.number))[: count - 1]
        for trial in (tried[0], *best) if best else ():
            tried[trial.number] = _further(trial, judge, rung)
    return tuple(tried)


def _first_rung(
    choices: Mapping[str, Sequence[Value]], first: Sequence[Variation], judge: Judge, variants: int, seed: int
) -> list[Tried]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    start = [AS_PLANNED, *(one for one in first if _possible(one, choices))]
    known: dict[Variation, Tried] = {}
    repeated = 0
    while len(known) <= variants and repeated < _ATTEMPTS:
        study.sampler = sampler(seed, len(study.trials), _STARTUP)
        if len(known) < len(start):
            study.enqueue_trial({name: getattr(start[len(known)], name) for name in choices})
        proposal = study.ask()
        variation = Variation(**{name: proposal.suggest_categorical(name, of) for name, of in choices.items()})
        repeated = repeated + 1 if variation in known else 0
        if not repeated:
            known[variation] = _further(Tried(len(known), variation), judge, 0)
        value = known[variation].value
        study.tell(proposal, value, state=None if value is not None else optuna.trial.TrialState.FAIL)
    return list(known.values())


def _further(trial: Tried, judge: Judge, rung: int) -> Tried:
    found = judge(trial.number, trial.variation, rung)
    return replace(trial, cause=found) if isinstance(found, str) else replace(trial, scores=(*trial.scores, found))


def _possible(variation: Variation, choices: Mapping[str, Sequence[Value]]) -> bool:
    return all(value == getattr(AS_PLANNED, name) or value in choices.get(name, ()) for name, value in variation)
