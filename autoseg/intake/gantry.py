"""Images whose axes are not at right angles, as of a tilted gantry: resampled to an upright grid."""

from dataclasses import replace

import numpy as np

from autoseg.errors import GeometryError
from autoseg.intake.findings import Finding
from autoseg.intake.masks import Annotation
from autoseg.intake.placing import Report, described
from autoseg.volumes import geometry
from autoseg.volumes.geometry import Grid

_ROUNDING_DEG = 0.01  # headers in float32 are off by less
_MOST_TIMES = 8  # an upright grid may have so many times the voxels


def upright(
    image: np.ndarray, annotation: Annotation | None, grid: Grid, report: Report
) -> tuple[np.ndarray, Annotation | None, Grid]:
    """Image (C, z, y, x) and label on a grid with axes at right angles; the same objects where ``grid`` has such.

    Raises:
        GeometryError: The axes are so close to each other that no image can be meant.
    """
    angle = geometry.shear_deg(grid)
    if angle <= geometry.TOLERATED_SHEAR_DEG:
        if angle > _ROUNDING_DEG:
            report(Finding(f"the axes are {angle:.2g} degrees off right angles", "taken as upright"))
        return image, annotation, grid
    target = geometry.upright(grid)
    if np.prod(target.shape, dtype=np.int64) > _MOST_TIMES * np.prod(grid.shape, dtype=np.int64):
        raise GeometryError(
            f"the axes are {angle:.3g} degrees off right angles; upright, {described(grid)} would become "
            f"{described(target)}; repair the header"
        )
    report(
        Finding(
            f"the axes are {angle:.3g} degrees off right angles, as of a tilted gantry",
            f"resampled from shape {grid.shape} to an upright grid of shape {target.shape}",
        )
    )
    return _image(image, grid, target), None if annotation is None else _label(annotation, grid, target), target


def _image(image: np.ndarray, grid: Grid, target: Grid) -> np.ndarray:
    moved = np.empty((len(image), *target.shape), image.dtype)
    for channel, result in zip(image, moved, strict=True):
        values = geometry.resample_onto(channel[None], grid, target, nearest=False, outside=float(channel.min()))[0]
        result[...] = np.rint(values, out=values) if image.dtype.kind in "iu" else values
    return moved


def _label(annotation: Annotation, grid: Grid, target: Grid) -> Annotation:
    values = geometry.resample_onto(annotation.values[None], grid, target, nearest=True)[0]
    combined = None if annotation.combined is None else annotation.combined.moved(values)
    return replace(annotation, values=values, combined=combined)
