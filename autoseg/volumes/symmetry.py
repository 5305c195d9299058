"""Structures on both sides of the body, found where nobody named them left and right: two that mirror each other.

Two structures are partners if, in most cases, they are of like volume, lie left and right of the body's middle at like
distance, and at like height and depth. A network that learned from mirrored images would confuse exactly these.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

Position = tuple[float, float, float]

_MOST = 0.8  # of the cases that show both
_ENOUGH_CASES = 3
_LIKE_VOLUME = 0.5  # the smaller one has at least this share of the larger one's volume
_LEVEL = 0.35  # height and depth differ at most this share of the distance between the two
_MIDDLE = 0.1  # their middle lies at most this share of the body's width beside the body's middle


@dataclass(frozen=True)
class Placed:
    """A structure in one case: its volume, and its centre in mm along (z, y, x)."""

    volume_mm3: float
    centre_mm: Position


@dataclass(frozen=True)
class Body:
    """One case: the left and right end of what the image shows in mm, and each structure or None where it is absent."""

    left_mm: float
    right_mm: float
    structures: tuple[Placed | None, ...]


def partners(bodies: Sequence[Body]) -> dict[int, int]:
    """Pairs of structures that mirror each other, by position in ``Body.structures``, each pair in both directions.

    >>> def body(shift):
    ...     sides = (Placed(1000.0, (50.0, 40.0, x + shift)) for x in (30.0, 71.0))
    ...     return Body(0.0, 100.0, (*sides, Placed(900.0, (20.0, 40.0, 50.0))))
    >>> partners([body(shift) for shift in (0.0, 1.0, -2.0)])
    {0: 1, 1: 0}
    """
    count = len(bodies[0].structures) if bodies else 0
    found: dict[int, int] = {}
    ranked = sorted((score, pair) for pair in combinations(range(count), 2) if (score := _asymmetry(bodies, *pair)) < 1)
    for _, (first, second) in ranked:  # the most symmetric pairs first; each structure has one partner
        if first not in found and second not in found:
            found |= {first: second, second: first}
    return found


def _asymmetry(bodies: Sequence[Body], first: int, second: int) -> float:
    """Mean deviation from symmetry, in units of what is allowed; infinite for no partners."""
    both = [
        (body, a, b)
        for body in bodies
        if (a := body.structures[first]) is not None and (b := body.structures[second]) is not None
    ]
    scores = [_deviation(body, a, b) for body, a, b in both]
    fitting = [score for score in scores if score < 1]
    sides = {a.centre_mm[2] < b.centre_mm[2] for _, a, b in both}
    if len(both) < _ENOUGH_CASES or len(fitting) < _MOST * len(both) or len(sides) > 1:
        return float("inf")
    return sum(fitting) / len(fitting)


def _deviation(body: Body, first: Placed, second: Placed) -> float:
    """The worst of volume, level and middle, each in units of what is allowed."""
    apart = abs(first.centre_mm[2] - second.centre_mm[2])
    width = abs(body.right_mm - body.left_mm)
    if apart == 0 or width == 0:
        return float("inf")
    smaller, larger = sorted((first.volume_mm3, second.volume_mm3))
    unlike = (1 - smaller / larger) / (1 - _LIKE_VOLUME)
    level = max(abs(first.centre_mm[axis] - second.centre_mm[axis]) for axis in (0, 1)) / apart / _LEVEL
    middle = (first.centre_mm[2] + second.centre_mm[2] - body.left_mm - body.right_mm) / 2
    return max(unlike, level, abs(middle) / width / _MIDDLE)
