"""How alike intensity distributions are, whatever their units, and whether one belongs to a population of them.

A *curve* has the values at 1 %, 3 %, ... 99 % of the voxels, so that neither a hot pixel nor the image's size counts.
Standardized, it has mean 0 and standard deviation 1: scanners that scale their images differently give the same curve.
The distance of two curves is the mean distance between their points (Wasserstein's first distance of the two
distributions); between standardized curves it is 0 for the same shape and rarely above 1.

A population may be of several kinds, such as dark and bright pictures, so a new curve is compared with the example that
it resembles most. Hounsfield units mean something by themselves: there, values outside the range seen count instead.
The limits were set on brain MRI, body CT and stained cells, so that of cases left out in turn hardly any is doubted.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Curve = npt.NDArray[np.float64]

POINTS = 50
MOST_EXAMPLES = 8
MOST_COMPARED = 1000
"""Of a larger population, every second, third, ... curve speaks for the others."""
HU_OFFSET = 1024.0
_RANKS = (np.arange(POINTS) + 0.5) / POINTS
_SMALLEST_LIMIT, _LIMIT_OF_ONE = 0.08, 0.6  # distances below the first are noise; few curves show little of the spread
_ROOM = 1.25
_HU_LIMIT, _HU_LIMIT_OF_ONE = 100.0, 800.0
_TURNED_FROM = 0.05  # more alike than this, a histogram and its mirror image are one
_TURNED_BETTER = 0.5
_NEW_SHARE = 0.5


@dataclass(frozen=True)
class Population:
    """What curves of one channel look like.

    Attributes:
        low, high: Smallest and largest value at each rank, in the units of the files.
        middle: Median of the standardized curves.
        examples: Standardized curves of every kind that was seen, (N, 50).
        limit: A standardized curve further than this from every example is unlike all that was seen.
        count: Number of curves.
        hounsfield: The unit is calibrated.
    """

    low: Curve
    high: Curve
    middle: Curve
    examples: Curve
    limit: float
    count: int
    hounsfield: bool


def curve(quantiles: Sequence[float] | Curve) -> Curve:
    """The curve (50,) of evenly spaced quantiles, minimum first and maximum last.

    >>> curve(range(101))[[0, -1]].tolist()
    [1.0, 99.0]
    """
    values = np.asarray(quantiles, np.float64)
    return np.interp(_RANKS, np.linspace(0, 1, len(values)), values)


def standardized(values: Curve) -> Curve:
    """The same curves (..., 50) with mean 0 and standard deviation 1; all zeros where one is flat.

    >>> bool(np.allclose(standardized(3 * curve(range(9)) + 7), standardized(curve(range(9)))))
    True
    """
    centred = values - values.mean(axis=-1, keepdims=True)
    spread = values.std(axis=-1, keepdims=True)
    flat = spread <= 1e-12 * np.maximum(1.0, np.abs(values).max(axis=-1, keepdims=True))
    return np.where(flat, 0.0, centred / np.where(flat, 1.0, spread))


def population(curves: Sequence[Curve], *, hounsfield: bool) -> Population:
    """Learn from at least one curve; examples are chosen so that every curve has one near it."""
    every = np.stack(curves)
    shapes = standardized(every[:: -(-len(every) // MOST_COMPARED)])
    nearest = _nearest_others(shapes)
    chosen = _spread_out(shapes)
    uncovered = max(float(np.abs(chosen - shape).mean(axis=1).min()) for shape in shapes)
    spread = max(uncovered, float(np.quantile(nearest, 0.95)))
    return _of(every, shapes, chosen, _ROOM * spread, hounsfield)


def others(curves: Sequence[Curve], *, hounsfield: bool) -> Iterator[Population]:
    """For each of several curves, the population of all the others; what is odd among them is no example of itself."""
    every = np.stack(curves)
    shapes = standardized(every)
    nearest = _nearest_others(shapes)
    middle = float(np.median(nearest))
    limit = middle + 6 * 1.4826 * float(np.median(np.abs(nearest - middle)))
    for number in range(len(every)):
        keep = np.arange(len(every)) != number
        yield _of(every[keep], shapes[keep], shapes[keep], limit, hounsfield)


def doubt(values: Curve, known: Population) -> str:
    """Why a curve in the units of the files does not belong to a population, with numbers; empty: it does.

    >>> one, *rest = (curve(np.sort(np.random.default_rng(seed).gamma(2, size=999))) for seed in range(10))
    >>> known = population(rest, hounsfield=False)
    >>> doubt(40 * one, known), doubt(-one[::-1], known)[:20]
    ('', 'values seem inverted')
    """
    return _doubt_of_units(values, known) if known.hounsfield else _doubt_of_shape(values, known)


def swapped(curves: Sequence[Curve], known: Sequence[Population]) -> tuple[int, int] | None:
    """The two channels of an image that resemble each other's population far more than their own; None: no two do."""
    misfit = [[_misfit(values, other) for other in known] for values in curves]
    pairs = [(i, j) for j in range(len(curves)) for i in range(j)]
    for i, j in pairs:
        own, exchanged = misfit[i][i] + misfit[j][j], misfit[i][j] + misfit[j][i]
        if own > 1 and exchanged < own / 2:
            return i, j
    return None


def _misfit(values: Curve, known: Population) -> float:
    """How far a curve lies from a population in shape, in multiples of what is usual, and in range."""
    span = float(known.high.max() - known.low.min()) or 1.0
    return _distance(standardized(values), known) / known.limit + _excess(values, known) / span


def _doubt_of_units(values: Curve, known: Population) -> str:
    excess, limit = _excess(values, known), _hu_limit(known)
    if excess <= limit:
        return ""
    turned, explained = -values[::-1], min(limit, excess / 2)
    straight, over = _distance(standardized(values), known), _distance(standardized(turned), known)
    if over < straight and min(_excess(turned, known), _excess(values[0] + values[-1] + turned, known)) < explained:
        return f"values seem inverted: {excess:.0f} HU outside the range seen on average, turned over within it"
    for offset in (HU_OFFSET, -HU_OFFSET):
        if _excess(values - offset, known) < explained:
            where = "above" if offset > 0 else "below"
            return f"values lie about {HU_OFFSET:.0f} HU {where} the range seen, as if their offset were not applied"
    return (
        f"values from {values[0]:.4g} to {values[-1]:.4g} (1 % to 99 %) are {excess:.0f} HU outside the range seen on "
        f"average, {known.low[0]:.4g} to {known.high[-1]:.4g}"
    )


def _doubt_of_shape(values: Curve, known: Population) -> str:
    shape = standardized(values)
    turned, distance = -shape[::-1], _distance(shape, known)
    usual, over = (float(np.abs(known.middle - one).mean()) for one in (shape, turned))
    suspicious = usual > _TURNED_FROM and distance > _NEW_SHARE * known.limit
    if suspicious and over < _TURNED_BETTER * usual and _distance(turned, known) < distance:
        return f"values seem inverted: their histogram is {usual:.2f} from the usual one, turned over {over:.2f}"
    if distance > known.limit:
        usually = f"at most {known.limit:.2f} is usual"
        return f"the histogram is unlike any seen: {distance:.2f} from the most similar one, {usually}"
    return ""


def _excess(values: Curve, known: Population) -> float:
    """How far values lie outside the range seen at their rank, on average."""
    return float((np.maximum(known.low - values, 0) + np.maximum(values - known.high, 0)).mean())


def _distance(shape: Curve, known: Population) -> float:
    return float(np.abs(known.examples - shape).mean(axis=1).min())


def _hu_limit(known: Population) -> float:
    return _HU_LIMIT + _HU_LIMIT_OF_ONE / known.count


def _of(every: Curve, shapes: Curve, examples: Curve, limit: float, hounsfield: bool) -> Population:
    least = _SMALLEST_LIMIT + _LIMIT_OF_ONE / len(every)
    return Population(
        low=every.min(axis=0),
        high=every.max(axis=0),
        middle=np.median(shapes, axis=0),
        examples=examples,
        limit=max(least, limit),
        count=len(every),
        hounsfield=hounsfield,
    )


def _nearest_others(shapes: Curve) -> Curve:
    """Distance of each curve to the most similar other one; 0 where there is no other."""
    found = np.zeros(len(shapes))
    for number, shape in enumerate(shapes if len(shapes) > 1 else ()):
        distances = np.abs(shapes - shape).mean(axis=1)
        distances[number] = np.inf
        found[number] = distances.min()
    return found


def _spread_out(shapes: Curve) -> Curve:
    """Up to eight curves of which one is near every other: each time, the one that is furthest from those chosen."""
    centre = np.median(shapes, axis=0)
    distances = np.abs(shapes - centre).mean(axis=1)
    chosen = [int(distances.argmin())]
    distances = np.abs(shapes - shapes[chosen[0]]).mean(axis=1)
    while len(chosen) < MOST_EXAMPLES and distances.max() > _SMALLEST_LIMIT / 4:
        chosen.append(int(distances.argmax()))
        distances = np.minimum(distances, np.abs(shapes - shapes[chosen[-1]]).mean(axis=1))
    return shapes[chosen]
