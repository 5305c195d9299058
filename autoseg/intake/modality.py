"""What a channel shows: CT, MR, PET, a picture, a label map. By its name, or where that says nothing by its values.

The one rule of the whole program: planning takes Hounsfield units from it, the audit and ``inspect`` show it. Each case
is guessed from its quantiles alone, and the channel is what most of its cases are, so that no odd case decides.

*By values.* CT: whole numbers that reach far below zero, or real numbers with a peak of air (-1100 to -850) and one of
soft tissue (-200 to 200). Label map: hardly any different values. Picture: small whole numbers in a plane without
millimetres. PET: real numbers of which a few are many times the usual one. MR: no negative values, and a good part of
the image is dark air. Anything else stays ``other``: a guess that may be wrong helps nobody.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from autoseg.contracts import CaseScan, IntensitySketch

Modality = Literal["ct", "mri", "pet", "rgb", "picture", "labels", "other"]
Planned = Literal["ct", "mri", "rgb", "other"]

WORDS: dict[Modality, str] = {
    "ct": "CT",
    "mri": "MR",
    "pet": "PET",
    "rgb": "colour picture",
    "picture": "grey picture",
    "labels": "label map",
    "other": "unknown",
}
PLANNED: dict[Modality, Planned] = {"ct": "ct", "mri": "mri", "rgb": "rgb"}
"""What the planners tell apart; the others are ``other`` to them."""

_COLOUR_NAMES = {("r", "g", "b"), ("red", "green", "blue")}
_NAMES: dict[Modality, re.Pattern[str]] = {
    "ct": re.compile(r"ct|cta|cect|cbct|hu"),
    "mri": re.compile(r"mri?\d*|t[12](w|c|ce|gd|star|post)?|t1post|flair|pdw?|dwi|adc|swi|bold|cine"),
    "pet": re.compile(r"pet|suv"),
    "other": re.compile(r"us|ultrasound|xray|oct|microscopy"),
}
_CT_MINIMUM = -500.0  # HU; air in or around the patient lies below, and no other modality goes there in whole numbers
_CT_RANGE = 1000.0
_FEW_VALUES = 4
_DARK = 0.1  # of the 99th percentile
_MUCH_AIR = 0.2
_PET_CONTRAST = 20.0  # the brightest of a hundred voxels over the mean
Quantiles = npt.NDArray[np.float64]


def of_channels(names: Sequence[str], scans: Sequence[CaseScan]) -> tuple[Modality, ...]:
    """What each channel shows.

    Args:
        names: Of the channels.
        scans: Of the cases that may be looked at; every one has these channels.
    """
    lower = tuple(name.lower() for name in names)
    if lower in _COLOUR_NAMES:
        return tuple("rgb" for _ in lower)
    return tuple(_by_name(name) or _by_values(number, scans) for number, name in enumerate(lower))


def contradictions(names: Sequence[str], scans: Sequence[CaseScan]) -> list[str]:
    """Channels whose name says Hounsfield units although no value is negative, in words for the audit."""
    found = []
    for number, name in enumerate(names):
        sketches = [scan.overall[number] for scan in scans]
        if sketches and _by_name(name.lower()) == "ct" and min(sketch.quantiles[0] for sketch in sketches) >= 0:
            top = max(sketch.quantiles[-1] for sketch in sketches)
            found.append(
                f"channel {name} is called CT, but its values, 0 or more and up to {top:.4g}, are no Hounsfield units; "
                "if they were shifted by 1024, shift them back; if they are no CT, rename the channel"
            )
    return found


def planned(modality: Modality) -> Planned:
    """The planners' word for it."""
    return PLANNED.get(modality, "other")


def _by_name(name: str) -> Modality | None:
    words = set(re.split(r"[^a-z0-9]+", name))
    return next((kind for kind, pattern in _NAMES.items() if any(pattern.fullmatch(word) for word in words)), None)


def _by_values(number: int, scans: Sequence[CaseScan]) -> Modality:
    votes = Counter(_of_case(scan, scan.overall[number]) for scan in scans)
    return max(votes, key=lambda kind: (votes[kind], kind), default="other")


def _of_case(scan: CaseScan, sketch: IntensitySketch) -> Modality:
    values = np.array(sketch.quantiles)
    whole = np.dtype(scan.dtype).kind in "iu" or _whole(sketch)
    if values[0] == values[-1]:
        return "other"
    if _is_ct(values, whole):
        return "ct"
    if whole and len(np.unique(values)) <= _FEW_VALUES and values[-1] <= 255:
        return "labels"
    if values[0] < 0:
        return "other"
    if scan.shape[0] == 1 and not scan.spacing_known:
        return "picture"
    top = float(np.quantile(values, 0.99))
    if not whole and top > _PET_CONTRAST * float(np.median(values)) and values[-1] > 2 * top:
        return "pet"
    return "mri" if float(np.mean(values < _DARK * top)) >= _MUCH_AIR else "other"


def _is_ct(values: Quantiles, whole: bool) -> bool:
    if whole:
        return bool(values[0] <= _CT_MINIMUM and values[-1] - values[0] >= _CT_RANGE)
    air, tissue = (float(np.mean((values > low) & (values < high))) for low, high in ((-1100, -850), (-200, 200)))
    return air >= 0.01 and tissue >= 0.05


def _whole(sketch: IntensitySketch) -> bool:
    """Whether a float image seems to hold whole numbers: its extremes are whole (quantiles between may not be)."""
    return all(float(value).is_integer() for value in (sketch.quantiles[0], sketch.quantiles[-1]))
