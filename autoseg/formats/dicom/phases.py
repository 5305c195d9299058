"""Several volumes in one series: echoes, time points, b-values, ... at the same positions, told apart by a tag.

A tag, or two together, tells them apart only if each of its values occurs once at every position. So no slice can come
from another volume, and where a slice is missing or a tag changes in the midst of a volume, nothing is split.
Sources: DICOM PS3.3, sections C.8.3.1 (MR Image), C.7.6.18 (Cardiac Synchronization), C.7.6.1 (General Image).
"""

import re
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from pydicom import Dataset

if TYPE_CHECKING:
    from autoseg.formats.dicom.frames import Frame

SAME_MM = 1e-3
"""Slices so close lie at one place."""

_WORDS = {
    "EchoNumbers": "echo",
    "TemporalPositionIdentifier": "time",
    "TemporalPositionIndex": "time",
    "DiffusionBValue": "b",
    "ImageType": "type",
    "EchoTime": "echo-time",
    "InversionTime": "inversion-time",
    "FlipAngle": "flip-angle",
    "NominalPercentageOfCardiacPhase": "cardiac-phase",
    "TriggerTime": "trigger-time",
    "ContrastBolusAgent": "contrast",
    "AcquisitionNumber": "acquisition",
    "AcquisitionTime": "acquisition-time",
    "ContentTime": "content-time",
}
TAGS = tuple(_WORDS)
"""What may tell volumes apart, the most telling first."""

Values = tuple[str, ...]
"""Of the tags that tell volumes apart."""


def split(frames: Sequence["Frame"]) -> dict[str, list["Frame"]]:
    """The frames of each volume by a name for it, e.g. ``echo_1``; empty if there is one, or nothing tells them apart.

    Args:
        frames: Placed, of one plane. Files that occur twice count once.
    """
    single = list({(frame.uid or str(frame.file), frame.index): frame for frame in frames}.values())
    places = _places(single)
    count = len(set(places))
    if count == len(single):
        return {}
    told = [dict(frame.told) for frame in single]
    keys = [key for key in TAGS if len({tags.get(key) for tags in told}) > 1]
    for chosen in (*((key,) for key in keys), *combinations(keys, 2)):
        groups: dict[Values, list[int]] = {}
        for number, tags in enumerate(told):
            groups.setdefault(tuple(tags.get(key, "none") for key in chosen), []).append(number)
        names = _names(chosen, groups)
        whole = all(len(group) == count == len({places[number] for number in group}) for group in groups.values())
        if whole and len(set(names.values())) == len(groups):
            return {names[values]: [single[n] for n in groups[values]] for values in sorted(groups, key=_in_order)}
    return {}


def tags_of(dataset: Dataset) -> tuple[tuple[str, str], ...]:
    """The tags of a file that may tell volumes apart, as text."""
    texts = ((key, _text(dataset.get(key))) for key in TAGS)
    return tuple((key, text) for key, text in texts if text)


def _text(value: object) -> str:
    """A value, or several joined as in the file; empty for none."""
    if value is None or isinstance(value, str):
        return (value or "").strip()
    if isinstance(value, Iterable):
        return "\\".join(_text(part) for part in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _places(frames: Sequence["Frame"]) -> list[int]:
    """For each frame the number of its position along the normal."""
    heights = np.array([frame.position for frame in frames], float) @ frames[0].normal
    order = np.argsort(heights)
    numbers = np.empty(len(frames), int)
    numbers[order] = np.cumsum(np.diff(heights[order], prepend=heights[order[0]]) > SAME_MM)
    return [int(number) for number in numbers]


def _names(keys: Sequence[str], groups: Iterable[Values]) -> dict[Values, str]:
    """A name for each group: words for its tags with the values, of those with parts only the parts that differ."""
    listed = list(groups)
    shared = [set.intersection(*(set(values[n].split("\\")) for values in listed)) for n in range(len(keys))]
    return {
        values: "_".join(f"{_WORDS[key]}_{_word(values[n], shared[n])}" for n, key in enumerate(keys))
        for values in listed
    }


def _word(value: str, shared: set[str]) -> str:
    parts = [part for part in value.split("\\") if part not in shared] or [value]
    return re.sub(r"[^\w.+-]+", "-", "-".join(parts)).lower()


def _in_order(values: Values) -> tuple[tuple[float, str], ...]:
    """Numbers by size, words by the alphabet."""
    return tuple((float(value) if re.fullmatch(r"-?\d+(\.\d+)?", value) else 0.0, value) for value in values)
