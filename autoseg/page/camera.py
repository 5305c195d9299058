"""Which slice of a case is shown, how much of it, and how bright: what all pictures of a case have in common."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt
from markupsafe import Markup
from scipy import ndimage

from autoseg.page.drawing import Layer, draw
from planners.contracts import Spacing

D = TypeVar("D", bound=np.generic)
Mask = npt.NDArray[np.bool_]
Window = tuple[slice, slice]
Modality = Literal["ct", "mri", "rgb", "other"]

WHOLE: Window = (slice(None), slice(None))
ZOOM = 3
"""A close-up of a flat image shows a third of each side."""
LEAST_PX = 48
"""A picture shows at least so many voxels along each side."""
_VIEWS = (("axial", "AP", "RL", False), ("coronal", "SI", "RL", True), ("sagittal", "SI", "AP", True))
"""Per sliced axis: name, what stands at top and bottom, at left and right, and whether rows are turned upside down."""
_THICK = 1.5  # slices are cut across the axis whose spacing exceeds the others by this factor
_SAMPLE = 1_000_000  # values that the brightness is estimated from
_MARGIN = 0.6  # of the outlines' extent, shown around them
_CONTRAST = (0.5, 99.5)  # percentiles shown as black and white
_CT_WINDOW_HU = 400.0  # the usual width for soft tissue, centred on what is outlined


@dataclass(frozen=True)
class Panel:
    """One picture.

    Attributes:
        svg: The markup.
        caption: What it shows.
        ratio: Width over height in mm.
        edges: Letters of the patient's sides at the top, bottom, left and right; None where they are not known.
    """

    svg: Markup
    caption: str
    ratio: float
    edges: tuple[str, str, str, str] | None = None


@dataclass(frozen=True)
class Camera:
    """Takes pictures of one case.

    Attributes:
        levels: (C, n, y, x) brightness, slice by slice.
        spacing_mm: Of the voxels in a slice, (y, x).
        axis: That is sliced across.
        flat: There is only one slice.
    """

    levels: npt.NDArray[np.uint8]
    spacing_mm: tuple[float, float]
    axis: int
    flat: bool

    @classmethod
    def facing(cls, image: npt.NDArray[D], spacing_mm: Spacing, outlined: Mask, modality: Modality) -> "Camera":
        """A camera for a case.

        Args:
            image: (z, y, x) or (C, z, y, x), any real dtype.
            spacing_mm: (z, y, x).
            outlined: (z, y, x) where something is outlined; the brightness of CT follows it.
            modality: Of ``rgb`` the first three channels are shown in colour, of others the first in grey.
        """
        channels = np.asarray(image if image.ndim == 4 else image[None])
        channels = channels[:3] if modality == "rgb" and len(channels) >= 3 else channels[:1]
        flat = channels.shape[1] == 1
        axis = 0 if flat else _across(spacing_mm)
        levels = _levels(channels, *_brightness(channels, outlined, modality))
        first, second = (value for other, value in enumerate(spacing_mm) if other != axis)
        return cls(np.moveaxis(levels, axis + 1, 1), (first, second), axis, flat)

    def sliced(self, volume: npt.NDArray[D]) -> npt.NDArray[D]:
        """A volume (z, y, x) as slices (n, y, x)."""
        return np.moveaxis(volume, self.axis, 0)

    def take(self, index: int, window: Window, layers: Sequence[Layer], what: str) -> Panel:
        """Picture of one slice through a window of it.

        Args:
            index: Of the slice.
            window: Part of the slice.
            layers: To draw over it; masks (T, y, x) of the whole slice.
            what: The picture shows, beginning in lower case.
        """
        view, vertical, horizontal, flipped = _VIEWS[self.axis]
        upright = slice(None, None, -1 if flipped else 1)
        seen = [Layer(layer.kind, layer.masks[:, *window][:, upright]) for layer in layers]
        svg, ratio = draw(self.levels[:, index, *window][:, upright], seen, self.spacing_mm, f"{what}, with outlines")
        if self.flat:
            return Panel(svg, what.capitalize(), ratio)
        caption = f"{view.capitalize()} {what} ({index + 1} of {self.levels.shape[1]})"
        return Panel(svg, caption, ratio, (vertical[0], vertical[1], horizontal[0], horizontal[1]))


def fullest(masks: Mask) -> int:
    """The slice of (n, y, x) with the most voxels."""
    return int(masks.sum(axis=(1, 2)).argmax())


def surroundings(mask: Mask) -> Window:
    """The part of a slice worth showing: around everything outlined (y, x), or all of it if nothing is."""
    if not mask.any():
        return slice(0, mask.shape[0]), slice(0, mask.shape[1])
    sides = [np.flatnonzero(mask.any(axis=1 - axis)) for axis in (0, 1)]
    extent = max(int(side[-1] - side[0]) + 1 for side in sides)
    reach = max(round(extent * (0.5 + _MARGIN)), LEAST_PX // 2)
    rows, columns = (
        _around((int(side[0]) + int(side[-1])) // 2, reach, size) for side, size in zip(sides, mask.shape, strict=True)
    )
    return rows, columns


def densest_window(mask: Mask) -> Window:
    """Window of a third of each side that holds the most of a mask (y, x)."""
    reaches = [max(LEAST_PX // 2, size // (2 * ZOOM)) for size in mask.shape]
    density = ndimage.uniform_filter(mask.astype(np.float32), size=[2 * r for r in reaches], mode="constant")
    row, column = np.unravel_index(int(density.argmax()), mask.shape)
    rows, columns = (_around(int(c), r, s) for c, r, s in zip((row, column), reaches, mask.shape, strict=True))
    return rows, columns


def _around(center: int, reach: int, size: int) -> slice:
    """A range of up to twice ``reach`` about a center, moved so that it lies inside."""
    length = min(size, 2 * reach)
    start = min(max(0, center - reach), size - length)
    return slice(start, start + length)


def _across(spacing: Spacing) -> int:
    """The axis to slice across: the one with clearly the largest spacing, else z."""
    thickest = int(np.argmax(spacing))
    others = [value for axis, value in enumerate(spacing) if axis != thickest]
    return thickest if spacing[thickest] > _THICK * max(others) else 0


def _brightness(channels: npt.NDArray[np.generic], outlined: Mask, modality: Modality) -> tuple[float, float]:
    """Intensities to show as black and white, alike for all channels so that colours keep their hue."""
    inside = channels[0][outlined].astype(np.float32) if modality == "ct" else np.empty(0, dtype=np.float32)
    inside = inside[np.isfinite(inside)]
    if len(inside):
        center = float(np.median(inside))
        return center - _CT_WINDOW_HU / 2, center + _CT_WINDOW_HU / 2
    sample = channels.ravel()[:: max(1, channels.size // _SAMPLE)].astype(np.float32)
    finite = sample[np.isfinite(sample)]
    low, high = np.percentile(finite, _CONTRAST) if len(finite) else (0.0, 1.0)
    return (0.0 if modality == "rgb" else float(low)), float(high)


def _levels(channels: npt.NDArray[np.generic], low: float, high: float) -> npt.NDArray[np.uint8]:
    """Brightness 0..255."""
    values = np.nan_to_num(channels.astype(np.float32), nan=low, posinf=high, neginf=low)
    scaled = np.clip((values - low) / max(high - low, 1e-12), 0, 1)
    return np.asarray(255 * scaled).astype(np.uint8)
