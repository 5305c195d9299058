"""Frames in the order in which they lie in the patient, and the grid that they make.

Neighbours are told by position alone: numbers of instances, file names and SliceThickness may say anything. The step
from slice to slice is taken as it is, so a tilted gantry gives a sheared grid that is exactly where the patient was.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from autoseg.errors import DataError, GeometryError
from autoseg.formats.dicom import headers, phases, pixels
from autoseg.formats.dicom.frames import Frame, frames
from autoseg.formats.volume import check_size
from autoseg.volumes.geometry import Grid, canonical_affine

_GAP = 1.5  # steps longer than this many usual ones leave slices out
_MAIN_RUN = 0.75  # of the slices; with fewer in one piece, nobody can say which piece is the volume
_EVEN = 0.05  # of a step: positions are written with few digits
_UNEVEN = 0.25  # of a step: beyond, voxels are not where an even grid says
_TILT_DEGREES = 0.5
_LISTED = 6


@dataclass(frozen=True)
class Stack:
    """Frames of one volume.

    Attributes:
        frames: From first to last along the normal of the slices.
        grid: Where they lie; array axes (z, y, x) are frames, rows and columns.
        spacing_known: Whether the files tell the size of a voxel.
        notes: What was left out, and what is unusual.
    """

    frames: tuple[Frame, ...]
    grid: Grid
    spacing_known: bool
    notes: tuple[str, ...]


def stack(path: Path) -> Stack:
    """The volume that a file belongs to: all files of its folder and series whose planes are parallel and alike.

    Of several volumes in one series (see ``phases``) it is the one that the file is part of. A file that does not say
    where it lies is a volume of its own.

    Raises:
        UnreadableFile: A file is damaged.
        DataError: Slices are missing, or different ones lie at one place.
        GeometryError: The slices do not make a grid.
    """
    own = frames(path, headers.read(path))
    if not own[0].placed:
        return _unplaced(path, own)
    others = [frame for file in headers.siblings(path) if file != path for frame in _frames(file)]
    alike = [frame for frame in (*own, *others) if frame.placed and frame.plane == own[0].plane]
    notes = _left_out([*own, *others], alike)
    alike, told = _of_one_phase(own[0], alike)
    in_order, repeated = _without_copies(sorted(alike, key=lambda frame: (_height(frame, own[0]), frame.instance)))
    in_order, apart = _without_strays(path, in_order)
    check_size(path, (len(in_order), *own[0].shape))
    affine, unusual = _affine(path, in_order)
    grid = Grid((len(in_order), *own[0].shape), affine)
    return Stack(tuple(in_order), grid, True, (*notes, *told, *repeated, *apart, *unusual))


def _frames(file: Path) -> list[Frame]:
    return frames(file, headers.read(file))


def _unplaced(path: Path, own: list[Frame]) -> Stack:
    """Pictures without a place in the patient: X-rays, screen captures, ultrasound."""
    shape = (len(own), *own[0].shape)
    check_size(path, shape)
    rows_mm, columns_mm = own[0].pixel_mm or (1.0, 1.0)
    notes = ("the frames have no positions; their distance is taken as 1 mm",) if len(own) > 1 else ()
    grid = Grid(shape, canonical_affine((1.0, rows_mm, columns_mm)))
    return Stack(tuple(own), grid, own[0].pixel_mm is not None, notes)


def _height(frame: Frame, reference: Frame) -> float:
    """Position in mm along the normal of the reference."""
    return float(np.dot(np.array(frame.position), reference.normal))


def _left_out(everything: Sequence[Frame], alike: Sequence[Frame]) -> tuple[str, ...]:
    out = [frame for frame in everything if frame not in set(alike)]
    if not out:
        return ()
    return (
        f"{len(out)} of {len(everything)} images of the series have another size or direction, or no position "
        f"(localisers?), and are left out: {numbered(out)}",
    )


def _of_one_phase(own: Frame, alike: list[Frame]) -> tuple[list[Frame], tuple[str, ...]]:
    """The frames of the volume that a frame is part of, where the series holds several."""
    for name, members in (volumes := phases.split(alike)).items():
        if any((frame.uid, frame.index) == (own.uid, own.index) for frame in members):
            return members, (f"{name} of {len(volumes)} volumes in its series",)
    return alike, ()


def _without_copies(in_order: Sequence[Frame]) -> tuple[list[Frame], tuple[str, ...]]:
    """One frame per position.

    Raises:
        DataError: Frames that differ lie at one position.
    """
    kept: list[Frame] = []
    copies: list[Frame] = []
    conflicts: list[tuple[Frame, Frame]] = []
    for frame in in_order:
        if not kept or _distance_mm(frame, kept[-1]) > phases.SAME_MM:
            kept.append(frame)
        elif pixels.equal(frame, kept[-1]):
            copies.append(frame)
        else:
            conflicts.append((kept[-1], frame))
    if conflicts:
        first, second = conflicts[0]
        raise DataError(
            f"{first.file.parent}: {len(conflicts)} slices lie at the place of another, e.g. {numbered([first])} and "
            f"{numbered([second])} at {first.position} mm, with different pixels; expected one slice per position; "
            "this is probably several volumes in one series, but no value of "
            f"{', '.join(phases.TAGS[:4])}, ... occurs once at each position: put each volume into a folder of its own"
        )
    notes = (f"{len(copies)} slices are stored twice; copies are left out: {numbered(copies)}",) if copies else ()
    return kept, notes


def _distance_mm(one: Frame, other: Frame) -> float:
    return float(np.linalg.norm(np.array(one.position) - np.array(other.position)))


def _affine(path: Path, in_order: Sequence[Frame]) -> tuple[np.ndarray, tuple[str, ...]]:
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


def _without_strays(path: Path, in_order: list[Frame]) -> tuple[list[Frame], tuple[str, ...]]:
    """The longest run of slices without a gap, if it is nearly all of them.

    Raises:
        DataError: Slices are missing in the midst.
    """
    steps_mm = np.diff([_height(frame, in_order[0]) for frame in in_order])
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
