"""Bringing a label, or a further channel, onto the grid of its image, or saying why that cannot be done.

The rule is ``volumes.geometry.compare``: rounding is ignored, half a voxel is repaired by index, the same piece of
space on another grid is resampled, and everything else is refused with numbers and the likeliest cause.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from autoseg.errors import GeometryError
from autoseg.formats import Volume
from autoseg.intake.findings import Finding
from autoseg.volumes import geometry
from autoseg.volumes.geometry import Agreement, Grid
from autoseg.volumes.misplacement import best_guess

Report = Callable[[Finding], None]


@dataclass(frozen=True)
class Frame:
    """Where everything of a case is brought.

    Attributes:
        grid: Of the reference image file, in its own axis order.
        spacing_known: False for formats without a voxel size.
        trust_grid: A label of the image's shape is taken voxel for voxel, whatever its header says.
    """

    grid: Grid
    spacing_known: bool = True
    trust_grid: bool = False

    @property
    def canonical(self) -> Grid:
        """The same voxels in canonical order."""
        return geometry.canonical(self.grid)[0]


class Misplaced(GeometryError):
    """A label lies elsewhere than its image. ``array`` (C, z, y, x) and ``grid`` are the label's, in file order."""

    def __init__(self, message: str, array: np.ndarray, grid: Grid) -> None:
        super().__init__(message)
        self.array = array
        self.grid = grid


def place_channel(file: str, volume: Volume, frame: Frame, report: Report) -> np.ndarray:
    """A channel file (C, z, y, x) on the canonical grid, linear where it has to be resampled.

    Raises:
        GeometryError: It does not show the same place.
    """
    what = f"channel file {file}"
    array, own, _ = geometry.canonicalize(volume.array, volume.grid)
    agreement = geometry.compare(frame.grid, volume.grid)
    if agreement.kind == "resample":
        report(_resampled(what, own, frame.canonical, agreement, "linear interpolation"))
        return geometry.resample_onto(array, own, frame.canonical, nearest=False)
    if agreement.kind == "different":
        raise GeometryError(
            f"{_elsewhere(what, own, frame.canonical, agreement)}; expected the same place; register the channels, "
            "or export them from one series"
        )
    if agreement.kind == "offset":
        report(_offset(what, agreement))
    return array


def place_label(file: str, array: np.ndarray, volume: Volume, frame: Frame, report: Report) -> np.ndarray:
    """A label, or masks, on the canonical grid, nearest neighbour where it has to be resampled.

    Args:
        file: Its name.
        array: (C, z, y, x) in the axis order of ``volume``, whose header says where it lies.
        volume: What was read.
        frame: Where to.
        report: Told of every repair.

    Raises:
        Misplaced: It does not show the same place.
        GeometryError: Without a voxel size, only equal shapes can be brought together.
    """
    what = f"label {file}"
    if not (frame.spacing_known and volume.spacing_known):
        return _by_pixels(what, array, volume, frame, report)
    agreement = geometry.compare(frame.grid, volume.grid)
    canonical, own, _ = geometry.canonicalize(array, volume.grid)
    if agreement.kind == "offset":
        report(_offset(what, agreement))
    elif agreement.kind in ("resample", "different") and _by_index(volume.grid, frame):
        report(
            Finding(_elsewhere(what, own, frame.canonical, agreement), "taken voxel for voxel, as --trust-grid asks")
        )
        return geometry.canonicalize(array, frame.grid)[0]
    elif agreement.kind == "resample":
        report(_resampled(what, own, frame.canonical, agreement, "nearest neighbour"))
        return geometry.resample_onto(canonical, own, frame.canonical, nearest=True)
    elif agreement.kind == "different":
        raise Misplaced(_refusal(what, volume.grid, frame, agreement), array, volume.grid)
    return canonical


def _by_index(label: Grid, frame: Frame) -> bool:
    return frame.trust_grid and label.shape == frame.grid.shape


def _by_pixels(what: str, array: np.ndarray, volume: Volume, frame: Frame, report: Report) -> np.ndarray:
    """Where a file has no voxel size, only the number of pixels can be compared."""
    canonical, own, _ = geometry.canonicalize(array, volume.grid)
    if own.shape != frame.canonical.shape:
        turned = own.shape[1:] == frame.canonical.shape[:0:-1]
        hint = (
            " (they would fit if one were turned by 90 degrees, as the EXIF tags of photographs do)" if turned else ""
        )
        raise GeometryError(
            f"{what}: has shape (z, y, x) {own.shape}, the image {frame.canonical.shape}{hint}; expected the same "
            "shape, as the files carry no geometry to bring them together; draw the mask on this image"
        )
    if frame.spacing_known or volume.spacing_known:
        report(Finding("only one of image and label carries a voxel size", "the label is taken by index"))
    return canonical


def _refusal(what: str, label: Grid, frame: Frame, agreement: Agreement) -> str:
    said = _elsewhere(what, geometry.canonical(label)[0], frame.canonical, agreement)
    guess = best_guess(frame.grid, label)
    if guess is not None:
        fit = guess.agreement
        off = f"{fit.offset_vox:.3g} voxel off" if np.isfinite(fit.offset_vox) else f"overlap {fit.overlap:.1%}"
        said += f"; it would fit ({off}) if {guess.change}"
    if label.shape == frame.grid.shape:
        return f"{said}; if the two belong together voxel for voxel, add --trust-grid; else export both from one series"
    return f"{said}; expected the same place; is it the label of another image? Export both from one series"


def _offset(what: str, agreement: Agreement) -> Finding:
    reason = f"{what} lies {agreement.offset_vox:.3g} voxel beside the image"
    if agreement.stretch > geometry.SAME_VOX:
        reason += f", with voxels of another size by {agreement.stretch:.2%}, {agreement.stretch_vox:.2g} voxel over "
        reason += "the extent"
    return Finding(reason, "taken by index")


def _resampled(what: str, own: Grid, grid: Grid, agreement: Agreement, way: str) -> Finding:
    return Finding(
        f"{what} lies on another grid: {described(own)} instead of {described(grid)}, overlap {agreement.overlap:.1%}",
        f"resampled onto the image's grid ({way})",
    )


def _elsewhere(what: str, own: Grid, grid: Grid, agreement: Agreement) -> str:
    off = f"corners {agreement.offset_vox:.3g} voxels off, " if np.isfinite(agreement.offset_vox) else ""
    return (
        f"{what} does not lie where the image lies: {described(own)} instead of {described(grid)}, {off}"
        f"overlap {agreement.overlap:.1%}"
    )


def described(grid: Grid) -> str:
    """A grid in words."""
    spacing = " x ".join(f"{mm:.4g}" for mm in grid.spacing_mm)
    origin = ", ".join(f"{mm:.4g}" for mm in grid.origin_mm)
    return f"shape {grid.shape} at {spacing} mm from ({origin})"
