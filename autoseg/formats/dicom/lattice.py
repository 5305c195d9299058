"""The grid that the frames of DICOM-SEG files lie on, told without the images that they were drawn on.

Frames without anything in them are often not stored, so the grid reaches from the first to the last that is.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from autoseg.errors import GeometryError
from autoseg.formats.dicom import headers
from autoseg.formats.dicom.frames import Frame, frames
from autoseg.formats.dicom.phases import SAME_MM
from autoseg.volumes.geometry import Grid

_OFF_STEP = 0.05  # positions are written with few digits


def spanned(paths: Sequence[Path]) -> Grid:
    """The smallest grid that has all frames of some segmentations.

    Raises:
        GeometryError: They do not lie on one grid, or say no position.
    """
    by_file = [frames(path, headers.read(path)) for path in paths]
    listed = [frame for own in by_file for frame in own]
    first = listed[0]
    if any(not frame.placed or frame.plane != first.plane for frame in listed):
        raise GeometryError(
            f"{paths[0]}: its frames, or those of {paths[-1]}, have no positions or differ in size or direction; "
            "expected segmentations of one series; compare them in a folder that holds the images too"
        )
    places = np.array([frame.position for frame in listed], float)
    heights = places @ first.normal
    lowest, highest = places[np.argmin(heights)], places[np.argmax(heights)]
    step_mm = min(_steps_mm(by_file, first.normal), default=abs(first.thickness_mm))
    numbers = (heights - heights.min()) / step_mm
    if np.abs(numbers - np.round(numbers)).max() > _OFF_STEP:
        raise GeometryError(
            f"{paths[0]}: frames lie between steps of {step_mm:.4g} mm, also those of {paths[-1]}; expected evenly "
            "spaced slices of one series; compare them in a folder that holds the images too"
        )
    count = round(float(numbers.max())) + 1
    affine = np.eye(4)
    affine[:3, 0] = (highest - lowest) / (count - 1) if count > 1 else first.normal * step_mm
    affine[:3, 1], affine[:3, 2] = first.axes_mm
    affine[:3, 3] = lowest
    return Grid((count, *first.shape), affine)


def _steps_mm(by_file: Sequence[Sequence[Frame]], normal: np.ndarray) -> list[float]:
    """The distances of neighbours in each file; those of one file to another's may be anything."""
    heights = [np.sort(np.array([frame.position for frame in own], float) @ normal) for own in by_file]
    return [float(step) for own in heights for step in np.diff(own) if step > SAME_MM]
