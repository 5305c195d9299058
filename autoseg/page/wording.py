"""How numbers read on a page: rounding, units, intervals, and "n/a" for what is undefined.

Every function takes a value or None and returns text; all are pure, and the report's templates use them as filters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from autoseg.contracts import Energy, Interval

MISSING = "n/a"
_LONGEST_NAME = 30
_MM3_PER_ML = 1000.0
_DAY_S, _HOUR_S, _MINUTE_S = 86400.0, 3600.0, 60.0


def score(value: float | None, digits: int = 3) -> str:
    """A score or a distance.

    >>> score(0.87649), score(None), score(2.345, 1)
    ('0.876', 'n/a', '2.3')
    """
    return MISSING if value is None else f"{value:.{digits}f}"


def interval(estimate: Interval, digits: int = 3) -> str:
    """The 95 % interval alone, or "n/a" where there is none.

    >>> interval(Interval(value=0.9, low=0.85, high=0.95, n=9))
    '0.850–0.950'
    """
    if estimate.low is None or estimate.high is None:
        return MISSING
    return f"{estimate.low:.{digits}f}–{estimate.high:.{digits}f}"


def percent(share: float | None) -> str:
    """A share of one as a percentage.

    >>> percent(0.914), percent(0.0004), percent(0.0)
    ('91 %', '0.04 %', '0 %')
    """
    if share is None:
        return MISSING
    value = 100 * share
    return f"{value:.0f} %" if abs(value) >= 10 or value == 0 else f"{value:.2g} %"


def duration(seconds: float | None) -> str:
    """Time spent, in the two units that matter.

    >>> duration(0.4), duration(75), duration(3 * 3600 + 5 * 60), duration(1440)
    ('0.4 s', '1 min 15 s', '3 h 5 min', '24 min')
    """
    if seconds is None:
        return MISSING
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for unit, name, below, smaller in (
        (_DAY_S, "d", _HOUR_S, "h"),
        (_HOUR_S, "h", _MINUTE_S, "min"),
        (_MINUTE_S, "min", 1.0, "s"),
    ):
        if whole >= unit:
            rest = whole % unit // below
            return f"{whole // unit:.0f} {name}" + (f" {rest:.0f} {smaller}" if rest else "")
    return f"{whole} s"


def size(count: float | None) -> str:
    """Bytes in decimal units.

    >>> size(2_400_000_000), size(900), size(None)
    ('2.4 GB', '900 B', 'n/a')
    """
    if count is None:
        return MISSING
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count:.0f} B"


def energy(parts: Sequence[Energy]) -> str:
    """What training took: "about" so much where a part of it is estimated, "at least" where one is unknown.

    >>> energy([Energy(joules=7.2e6, measured=True, how=""), Energy(joules=360.0, measured=False, how="")])
    'about 2 kWh'
    >>> energy([Energy(joules=7200.0, measured=True, how=""), Energy(joules=None, measured=False, how="")])
    'at least 2 Wh'
    >>> energy([])
    'n/a'
    """
    known = [part for part in parts if part.joules is not None]
    if not known:
        return "n/a"
    hours = sum(part.joules or 0.0 for part in known) / 3600
    bound = "" if len(known) == len(parts) else "at least "
    exact = "" if all(part.measured for part in known) else "about "
    return bound + exact + (f"{hours / 1000:.3g} kWh" if hours >= 1000 else f"{hours:.3g} Wh")


def quantity(value: float | None) -> str:
    """A measured value with three meaningful digits and thousands apart.

    >>> quantity(1234567.0), quantity(0.01234), quantity(42.0), quantity(-3.46)
    ('1 234 567', '0.0123', '42', '-3.46')
    """
    if value is None:
        return MISSING
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}"


def sizes(values: Sequence[float | None]) -> str:
    """A shape or spacing, "own" where an axis keeps what each image has.

    >>> sizes((36, 50, 35)), sizes((None, 0.5, 0.5))
    ('36 × 50 × 35', 'own × 0.5 × 0.5')
    """
    return " × ".join("own" if value is None else f"{value:.4g}" for value in values)


def axis_names(axes: Sequence[int] | None) -> str:
    """The working axes of a configuration by name.

    >>> axis_names((2, 0, 1)), axis_names(None)
    ('x × z × y', "each case's thickest axis first")
    """
    return "each case's thickest axis first" if axes is None else " × ".join("zyx"[axis] for axis in axes)


def plural(count: int, noun: str) -> str:
    """A count with its noun.

    >>> plural(1, "case"), plural(40, "case")
    ('1 case', '40 cases')
    """
    return f"{quantity(count)} {noun}{'' if count == 1 else 's'}"


def listing(names: Sequence[str], most: int = 4) -> str:
    """Names in a sentence; the number alone stands for those beyond ``most``.

    >>> listing(("a", "b", "c")), listing(("a",)), listing(tuple("abcdefg"), 2)
    ('a, b and c', 'a', 'a, b and 5 more')
    """
    if len(names) <= 1:
        return "".join(names)
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return f"{', '.join(names[:-1])} and {names[-1]}"


def short(name: str) -> str:
    """A long case name with its middle left out.

    >>> short("hippocampus_004"), short("0123456789" * 5)
    ('hippocampus_004', '0123456789012345…7890123456789')
    """
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[:16]}…{name[-13:]}"


@dataclass(frozen=True)
class VolumeUnit:
    """The unit a reader expects volumes in.

    Attributes:
        name: For example ``"mL"``.
        mm3: Size of one unit in mm³ (in voxels where the spacing is unknown).
    """

    name: str
    mm3: float

    def of(self, volume_mm3: float | None) -> str:
        """A volume in this unit, without the unit's name."""
        if volume_mm3 is None:
            return MISSING
        value = volume_mm3 / self.mm3
        return quantity(value) if value >= 1000 or value.is_integer() else f"{value:#.3g}".rstrip(".")


def volume_unit(dimension: Literal[2, 3], spacing_known: bool, largest_mm3: float) -> VolumeUnit:
    """Choose a unit for a table of volumes.

    >>> volume_unit(3, True, 25_000.0).of(12_340.0), volume_unit(2, False, 9.0).name
    ('12.3', 'pixels')
    """
    if not spacing_known:
        return VolumeUnit("pixels" if dimension == 2 else "voxels", 1.0)
    if dimension == 2:
        return VolumeUnit("mm²", 1.0)
    return VolumeUnit("mL", _MM3_PER_ML) if largest_mm3 >= _MM3_PER_ML else VolumeUnit("mm³", 1.0)


def distance_unit(dimension: Literal[2, 3], spacing_known: bool) -> str:
    """What a distance is measured in: mm, or the grid itself where the spacing is unknown."""
    return "mm" if spacing_known else ("pixels" if dimension == 2 else "voxels")
