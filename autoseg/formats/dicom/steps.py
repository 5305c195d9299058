"""From slice to slice: the steps between frames that lie in order, the grid that they make, and where they break off.

The step is taken as it is, so a tilted gantry gives a sheared grid that is exactly where the patient was.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from autoseg.errors import DataError, GeometryError
from autoseg.formats.dicom.frames import Frame

_GAP = 1.5  # steps longer than this many usual ones leave slices out
_MAIN_RUN = 0.75  # of the slices; with fewer in one piece, nobody can say which piece is the volume
_EVEN = 0.05  # of a step: positions are written with few digits
_UNEVEN = 0.25  # of a step: beyond, voxels are not where an even grid says
_TILT_DEGREES = 0.5
_LISTED = 6


def height(frame: Frame, reference: Frame) -> float:
    """Position in mm along the normal of the reference."""
    return float(np.dot(np.array(frame.position), reference.normal))


def affine_of(path: Path, in_order: Sequence[Frame]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Array index (z, y, x) to mm, and what is unusual about it.

    Raises:
        GeometryError: The slices are spaced unevenly, or beside each other.
    """
    first = in_order[0]
    affine = np.eye(4)
    affine[:3, 1], affine[:3, 2] = first.axes_mm
    affine[:3, 3] = first.position
    affine[:3, 0] = first.normal * abs(first.thickness_mm)
    if len(in_order) == 1:
        return affine, ()
    places = np.array([frame.position for frame in in_order])
    affine[:3, 0] = (places[-1] - places[0]) / (len(places) - 1)
    steps_mm = np.diff(places @ first.normal)
    notes = _even(path, affine, places, steps_mm)
    return affine, (*notes, *_tilt(affine[:3, 0], first.normal))


def without_strays(path: Path, in_order: list[Frame]) -> tuple[list[Frame], tuple[str, ...]]:
    """The longest run of slices without a gap, if it is nearly all of them.

    Raises:
        DataError: Slices are missing in the midst.
    """
    steps_mm = np.diff([height(frame, in_order[0]) for frame in in_order])
    if len(steps_mm) < 2:
        return in_order, ()
    usual_mm = float(np.median(steps_mm))
    gaps = np.flatnonzero(steps_mm > _GAP * usual_mm)
    bounds = [0, *(gaps + 1), len(in_order)]
    start, stop = max(pairwise(bounds), key=lambda run: run[1] - run[0])
    if len(gaps) == 0:
        return in_order, ()
    between = "; ".join(
        f"{steps_mm[gap]:.4g} mm lie between {numbered([in_order[gap]])} and {numbered([in_order[gap + 1]])}"
        for gap in gaps[:_LISTED]
    )
    if stop - start < _MAIN_RUN * len(in_order):
        missing = int(sum(round(steps_mm[gap] / usual_mm) - 1 for gap in gaps))
        raise DataError(
            f"{path.parent}: about {missing} slices are missing beside the {len(in_order)} that are there: {between}; "
            f"expected {usual_mm:.4g} mm as elsewhere; restore the missing files, or export the series again"
        )
    strays = [*in_order[:start], *in_order[stop:]]
    note = f"{between}, elsewhere {usual_mm:.4g} mm; slices apart from the others are left out: {numbered(strays)}"
    return in_order[start:stop], (note,)


def _even(path: Path, affine: np.ndarray, places: np.ndarray, steps_mm: np.ndarray) -> tuple[str, ...]:
    expected = places[0] + np.arange(len(places))[:, None] * affine[:3, 0]
    off = float(np.linalg.norm(places - expected, axis=1).max() / np.linalg.norm(affine[:3, 0]))
    if off <= _EVEN:
        return ()
    spread = f"slices are spaced unevenly, {steps_mm.min():.4g} to {steps_mm.max():.4g} mm, up to {off:.2g} of a step"
    if off <= _UNEVEN:
        return (f"{spread} beside an even grid; taken as even",)
    raise GeometryError(
        f"{path.parent}: {spread} beside an even grid; expected at most {_UNEVEN}; resample the series to an even "
        "spacing first"
    )


def _tilt(step: np.ndarray, normal: np.ndarray) -> tuple[str, ...]:
    cosine = abs(float(step @ normal)) / float(np.linalg.norm(step))
    degrees = float(np.degrees(np.arccos(min(1.0, cosine))))
    return (f"the slices are tilted by {degrees:.3g} degrees (gantry tilt)",) if degrees > _TILT_DEGREES else ()


def numbered(listed: Sequence[Frame]) -> str:
    """Frames by what people call them, e.g. ``InstanceNumber 4, 5 (IM4, IM5)``; a long list is cut."""
    count = Counter(frame.instance for frame in listed)
    numbers = ", ".join(str(number) for number in list(count)[:_LISTED])
    names = ", ".join(dict.fromkeys(frame.file.name for frame in list(listed)[:_LISTED]))
    more = f" and {len(listed) - _LISTED} more" if len(listed) > _LISTED else ""
    return f"InstanceNumber {numbers} ({names}){more}"
