"""Successive halving over variants of a plan: all are trained a little, the best of them longer, the best in full.

Jamieson and Talwalkar, Non-stochastic Best Arm Identification and Hyperparameter Optimization, AISTATS 2016. The plan
itself is tried too and goes through every rung, because whatever wins must win against it. The number of variants is
decided beforehand from predicted cost, and rungs count steps: a search that is killed and goes on is the same search.

The first variants are enumerated. The others are proposed by a TPE sampler (Bergstra et al., NeurIPS 2011) from how
those before them did on the first rung. Each proposal is made by a new sampler, seeded by the search's seed and the
trial's number, and so depends on nothing but these and the trials before it.

What cannot be tried, or is what was tried already under another name, costs nothing and takes no place. Where the
sampler proposes nothing new for a while, the rest of the space is gone through in a seeded order; so fewer variants
than were asked for are tried only where there are no more.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple, Protocol

import numpy as np
import optuna

from autoseg.contracts import Scores
from autoseg.selection.trials import sampler
from planners.contracts import Variation
from planners.variation import AS_PLANNED, Value

algorithm_version = 3

REDUCTION = 3
_SHARES = (1 / REDUCTION**2, 1 / REDUCTION, 1.0)
_STARTUP = 6
"""Trials before the sampler learns from them; what is enumerated counts."""
_ATTEMPTS = 50
"""Proposals in a row that brought nothing to try, after which the rest of the space is gone through."""


class Judge(Protocol):
    """Trains and scores variants, or remembers how they did."""

    def refuses(self, variation: Variation) -> str:
        """Why a variation is not tried: there is no such plan, or it is one that came before; empty: it is tried."""

    def judge(self, number: int, variation: Variation, rung: int) -> Scores | str:
        """Scores of a trial on a rung; or the cause of its failure, where it is the variation's."""


@dataclass(frozen=True)
class Tried:
    """A trial: its scores on each rung that it came to, and why it failed or was refused; empty: neither."""

    number: int
    variation: Variation
    scores: tuple[Scores, ...] = ()
    cause: str = ""
    refused: bool = False

    @property
    def value(self) -> float | None:
        """Mean Dice on the highest rung; None: it failed, or no case defines one."""
        return None if self.cause or not self.scores else self.scores[-1].mean_dice.value


class Rung(NamedTuple):
    """A step of the ladder.

    Attributes:
        share: Of a whole trial's training; each is one of its own, with the learning rate brought down to its end.
        trainings: How many there are, that of the plan among them.
    """

    share: float
    trainings: int


def ladder(variants: int) -> tuple[Rung, ...]:
    """The rungs for so many variants, those left out after which as many would go on as came.

    >>> [(round(rung.share, 2), rung.trainings) for rung in ladder(9)]
    [(0.11, 10), (0.33, 4), (1.0, 2)]
    >>> [(round(rung.share, 2), rung.trainings) for rung in ladder(4)]
    [(0.11, 5), (1.0, 2)]
    >>> ladder(1)
    (Rung(share=1.0, trainings=2),)
    """
    rungs = [Rung(share, 1 + max(1, variants // REDUCTION**k)) for k, share in enumerate(_SHARES)]
    going_on = (*(rung.trainings for rung in rungs[1:]), 0)
    return tuple(rung for rung, left in zip(rungs, going_on, strict=True) if left < rung.trainings)


def whole_trainings(variants: int) -> float:
    """What a search costs, in whole trials.

    >>> round(whole_trainings(9), 2)
    4.44
    """
    return sum(rung.share * rung.trainings for rung in ladder(variants))


def search(
    choices: Mapping[str, Sequence[Value]], first: Sequence[Variation], judge: Judge, variants: int, seed: int
) -> tuple[Tried, ...]:
    """Try the plan and variants of it.

    Args:
        choices: What each field of a variation may be.
        first: Variations to begin with.
        judge: Makes, or remembers, a trial's training on a rung.
        variants: How many are tried, beside the plan; those that are refused are not counted.
        seed: Of the proposals.

    Returns:
        All trials, the plan's own first, and among them what was proposed and refused. Fewer than ``variants`` are
        tried only where the space has no more.
    """
    tried = _first_rung(choices, first, judge, variants, seed)
    for rung, (_, count) in enumerate(ladder(variants)[1:], start=1):
        kept = [trial for trial in tried[1:] if trial.value is not None and len(trial.scores) == rung]
        best = sorted(kept, key=lambda trial: (-(trial.value or 0.0), trial.number))[: count - 1]
        for trial in (tried[0], *best) if best else ():
            tried[trial.number] = _further(trial, judge, rung)
    return tuple(tried)


def _first_rung(
    choices: Mapping[str, Sequence[Value]], first: Sequence[Variation], judge: Judge, variants: int, seed: int
) -> list[Tried]:
    """The plan, then variants until there are enough that were not refused."""
    proposals = _Proposals(choices, [AS_PLANNED, *(one for one in first if _possible(one, choices))], seed)
    known: dict[Variation, Tried] = {}
    idle = 0
    while _begun(known) <= variants and idle < _ATTEMPTS:
        variation = proposals.ask()
        new = variation not in known
        if new:
            why, trial = judge.refuses(variation), Tried(len(known), variation)
            known[variation] = replace(trial, cause=why, refused=True) if why else _further(trial, judge, 0)
        idle = 0 if new and not known[variation].refused else idle + 1
        proposals.tell(known[variation].value)
    for variation in _rest(choices, seed):
        if _begun(known) > variants:
            break
        if variation not in known and not judge.refuses(variation):
            known[variation] = _further(Tried(len(known), variation), judge, 0)
    return list(known.values())


def _begun(known: Mapping[Variation, Tried]) -> int:
    """How many were not refused, the plan among them."""
    return sum(not trial.refused for trial in known.values())


class _Proposals:
    """What is enumerated, then what a sampler makes of the values that it is told."""

    def __init__(self, choices: Mapping[str, Sequence[Value]], start: Sequence[Variation], seed: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(direction="maximize")
        self._choices, self._start, self._seed = choices, start, seed
        self._asked: optuna.Trial | None = None

    def ask(self) -> Variation:
        """The next one; it may have come before."""
        number = len(self._study.trials)
        self._study.sampler = sampler(self._seed, number, _STARTUP)
        if number < len(self._start):
            self._study.enqueue_trial({name: getattr(self._start[number], name) for name in self._choices})
        self._asked = self._study.ask()
        return Variation(**{name: self._asked.suggest_categorical(name, of) for name, of in self._choices.items()})

    def tell(self, value: float | None) -> None:
        """How the one that was asked for last did; None: it failed or was refused."""
        self._study.tell(self._asked, value, state=None if value is not None else optuna.trial.TrialState.FAIL)


def _rest(choices: Mapping[str, Sequence[Value]], seed: int) -> Iterator[Variation]:
    """Every variation once, in a seeded order."""
    values = list(product(*choices.values()))
    for index in np.random.default_rng(seed).permutation(len(values)):
        yield Variation(**dict(zip(choices, values[index], strict=True)))


def _further(trial: Tried, judge: Judge, rung: int) -> Tried:
    found = judge.judge(trial.number, trial.variation, rung)
    return replace(trial, cause=found) if isinstance(found, str) else replace(trial, scores=(*trial.scores, found))


def _possible(variation: Variation, choices: Mapping[str, Sequence[Value]]) -> bool:
    return all(value == getattr(AS_PLANNED, name) or value in choices.get(name, ()) for name, value in variation)
