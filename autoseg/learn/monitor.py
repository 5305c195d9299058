"""Watching training with whole volumes, and ending it early once they show that nothing is gained any more.

A few cases of the training part are left out of training and predicted as a whole, by the averaged weights, every now
and then. Patches that training happens to draw say little of whole images, and the fold's own validation cases must not
have a say in when to stop. Once the monitor cases stand still the job is not cut off, which would leave the learning
rate high: the rest of its schedule is run through in a fraction of the time.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

EVERY = 0.04
"""Share of the job between two looks."""
EARLIEST = 0.3
"""Share of the job before which nothing is ended."""
WINDOW = 4
"""Looks whose mean is compared with that of as many before them."""
WORTHWHILE = 0.002
"""Dice that must still be gained from one window to the next."""
CONFIDENCE = 1.28
"""Standard errors that the gain must lie below that: nine in ten sure that waiting does not pay."""
ENDING = 0.15
"""Of the work done so far, that the rest of the schedule is run through in."""

Score = Callable[[nn.Module], tuple[float, ...]]
"""Mean Dice of each monitor case, as predicted by a network."""


@dataclass(frozen=True)
class Look:
    """What the averaged weights scored.

    Attributes:
        step: When.
        dice: Mean over the targets of each monitor case.
    """

    step: int
    dice: tuple[float, ...]


def due(looks: Sequence[Look], share: float) -> bool:
    """Whether it is time for another look.

    >>> due([], 0.03), due([], 0.04), due([Look(1, (0.5,))], 0.05)
    (False, True, False)
    """
    return share < 1.0 and share >= EVERY * (len(looks) + 1)


def stands_still(looks: Sequence[Look], share: float) -> bool:
    """Whether the monitor cases gained less than is worth the time, with some certainty.

    Gains are paired by case, so that hard and easy cases do not hide them.

    >>> stands_still([Look(step, (0.8, 0.9, 0.7)) for step in range(8)], 0.5)
    True
    >>> stands_still([Look(step, (0.8 + 0.01 * step, 0.9, 0.7)) for step in range(8)], 0.5)
    False
    """
    if share < EARLIEST or len(looks) < 2 * WINDOW:
        return False
    dice = np.array([look.dice for look in looks[-2 * WINDOW :]])
    gains = dice[WINDOW:].mean(axis=0) - dice[:WINDOW].mean(axis=0)
    error = float(gains.std(ddof=1)) / math.sqrt(len(gains)) if len(gains) > 1 else math.inf
    return float(gains.mean()) + CONFIDENCE * error < WORTHWHILE


def hastened(share: float, ending: float | None) -> float:
    """Share of the schedule that is done at a share of the work, once the ending began at ``ending``.

    >>> hastened(0.5, None), hastened(0.5, 0.5), hastened(0.6, 0.5)
    (0.5, 0.5, 1.0)
    """
    if ending is None:
        return share
    return min(1.0, ending + (share - ending) * (1.0 - ending) / min(ENDING * ending, 1.0 - ending))
