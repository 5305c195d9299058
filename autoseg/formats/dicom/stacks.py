"""Frames in the order in which they lie in the patient, and the grid that they make.

Neighbours are told by position alone: numbers of instances, file names and SliceThickness may say anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autoseg.errors import DataError
from autoseg.formats.dicom import headers, phases, pixels
from autoseg.formats.dicom.frames import Frame, frames
from autoseg.formats.dicom.steps import affine_of, height, numbered, without_strays
from autoseg.formats.volume import check_size
from autoseg.volumes.geometry import Grid, canonical_affine


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
    in_order, repeated = _without_copies(sorted(alike, key=lambda frame: (height(frame, own[0]), frame.instance)))
    in_order, apart = without_strays(path, in_order)
    check_size(path, (len(in_order), *own[0].shape))
    affine, unusual = affine_of(path, in_order)
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
