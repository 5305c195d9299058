"""Which of many numbers stand apart from the others: robust, so that the odd ones do not hide themselves.

A number stands apart when it lies more than six robust standard deviations (from the median absolute deviation) from
the median, and by a margin that matters. With fewer than four others nothing is typical, and when more than a tenth
stand apart, they are a second kind of data rather than outliers.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from statistics import median

DEVIATIONS = 6.0
FEWEST_OTHERS = 4
LARGEST_SHARE = 0.1
_NORMAL = 1.4826  # median absolute deviation to standard deviation, for normally distributed values


@dataclass(frozen=True)
class Odd:
    """One number that stands apart, and the ``others`` that it was compared with, in ascending order."""

    value: float
    others: tuple[float, ...]

    @property
    def typical(self) -> float:
        """The median of the others."""
        return float(median(self.others))


def apart(values: Mapping[str, float], reference: Collection[str], margin: float) -> dict[str, Odd]:
    """Find what stands apart.

    Args:
        values: By name.
        reference: Names that say what is typical; others are compared with them, and count for nobody.
        margin: Least difference from the median that matters, in the unit of the values.

    >>> sorted(apart({"a": 1, "b": 1, "c": 1.1, "d": 1, "e": 9}, "abcde", margin=0.5))
    ['e']
    """
    known = {name: value for name, value in values.items() if name in reference}
    if len(known) < FEWEST_OTHERS:
        return {}
    typical = median(known.values())
    deviation = _NORMAL * median(abs(value - typical) for value in known.values())
    limit = max(DEVIATIONS * deviation, margin)
    far = [name for name, value in values.items() if abs(value - typical) > limit]
    far_known = [name for name in far if name in known]
    if len(far_known) > max(1, LARGEST_SHARE * len(known)):
        return {}
    found = {name: Odd(values[name], tuple(sorted(v for k, v in known.items() if k != name))) for name in far}
    return {name: odd for name, odd in found.items() if len(odd.others) >= FEWEST_OTHERS}
