"""How long a step of real training takes: reading, augmentation, network, update and the average of the weights."""

import itertools
import time

import torch

from autoseg.learn import memory
from autoseg.learn.cases import PatchSource
from autoseg.learn.loader import Batches
from autoseg.learn.schedule import learning_rate
from autoseg.learn.state import fresh
from autoseg.learn.step import Update
from planners.contracts import Configuration

WARM_UP = 3
"""First steps, in which libraries choose their kernels; not counted."""
TURN = 4
"""Steps that one of two takes before the other's turn: few, so that other work on the machine hinders both alike; more
than are read ahead, so that each waits for its own reading."""
FEWEST_TURNS = 5
"""Of each, however long they take: on a busy machine few steps tell little."""
TRIES = 2
"""Of which the faster counts."""
CPU = torch.device("cpu")


def step_s(configuration: Configuration, source: PatchSource, seconds: float) -> float:
    """Seconds per step on this machine as it is now, timed twice for so many seconds; the better time counts."""
    with memory.recycling(), _Stepping(configuration, source) as stepping:
        return min(_mean_s(stepping, seconds) for _ in range(TRIES))


def ratio(configuration: Configuration, base: Configuration, source: PatchSource, seconds: float) -> float:
    """How many times as long a step takes as one of another configuration; both in turns, for so many seconds in all.

    Other work on the machine slows both, and the ratio stays.
    """
    with memory.recycling(), _Stepping(configuration, source) as mine, _Stepping(base, source) as other:
        mine_s = other_s = 0.0
        for turn in itertools.count():
            if turn >= FEWEST_TURNS and mine_s + other_s >= seconds:
                break
            mine_s += mine.steps(TURN)
            other_s += other.steps(TURN)
    return mine_s / other_s


class _Stepping:
    """The training loop's steps, taken by hand at the very beginning of a job. Use in a ``with`` block."""

    def __init__(self, configuration: Configuration, source: PatchSource) -> None:
        plan = configuration.training
        self._rate, self._decay = learning_rate(plan, 0.0), plan.ema_decay
        self._state = fresh(configuration.network, plan, CPU, seed=0)
        self._update = Update(configuration.network, plan, source.members)
        self._batches = Batches(source, plan, CPU, seed=0, step=0)

    def __enter__(self) -> "_Stepping":
        self._batches.__enter__()
        self.steps(WARM_UP)
        return self

    def __exit__(self, *_: object) -> None:
        self._batches.__exit__()

    def steps(self, count: int) -> float:
        """Take so many; the seconds that it took."""
        started = time.perf_counter()
        for _ in range(count):
            outcome = self._update(self._state, *self._batches.next(), self._rate)
            self._state.note(outcome, self._rate, self._decay)
        return time.perf_counter() - started


def _mean_s(stepping: _Stepping, seconds: float) -> float:
    passed_s, count = 0.0, 0
    while passed_s < seconds:
        passed_s += stepping.steps(1)
        count += 1
    return passed_s / count
