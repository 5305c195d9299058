"""How long a step of real training takes: reading, augmentation, network, update and the average of the weights."""

import time
from statistics import median

import torch

from autoseg.learn import device as devices
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


def step_s(configuration: Configuration, source: PatchSource, seconds: float, device: torch.device) -> float:
    """Seconds per step on this machine as it is now, timed twice for so many seconds; the better time counts."""
    with memory.recycling(), _Stepping(configuration, source, device) as stepping:
        return min(_mean_s(stepping, seconds) for _ in range(TRIES))


def ratio(
    configuration: Configuration, base: Configuration, source: PatchSource, seconds: float, device: torch.device
) -> float:
    """How many times as long a step takes as one of another configuration; both in turns, for so many seconds in all.

    The ratio is taken within each turn, so that a little other work on the machine slows both alike. Much of it does
    not: threads that wait for each other lose more in small steps than in large ones.
    """
    ratios, ends = [], time.monotonic() + seconds
    sides = (_Stepping(each, source, device) for each in (configuration, base))
    with memory.recycling(), next(sides) as mine, next(sides) as other:
        while len(ratios) < FEWEST_TURNS or time.monotonic() < ends:
            ratios.append(mine.steps(TURN) / other.steps(TURN))
    return median(ratios)


class _Stepping:
    """The training loop's steps, taken by hand at the very beginning of a job. Use in a ``with`` block."""

    def __init__(self, configuration: Configuration, source: PatchSource, device: torch.device) -> None:
        plan, self._device = configuration.training, device
        self._rate, self._decay = learning_rate(plan, 0.0), plan.ema_decay
        self._state = fresh(configuration.network, plan, device, seed=0)
        self._update = Update(configuration.network, plan, source.members)
        self._batches = Batches(source, plan, device, seed=0, step=0)

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
        devices.wait(self._device)
        return time.perf_counter() - started


def _mean_s(stepping: _Stepping, seconds: float) -> float:
    passed_s, count = 0.0, 0
    while passed_s < seconds:
        passed_s += stepping.steps(1)
        count += 1
    return passed_s / count
