"""Pictures of a case: a slice of the image with the outlines of reference and prediction drawn over it.

The image is a compressed bitmap, the outlines are vector paths above it, so a page can show or hide them and they stay
sharp. Outlines run along the true voxel borders' midpoints; nothing is smoothed.
"""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import contourpy
import numpy as np
import numpy.typing as npt
from markupsafe import Markup
from PIL import Image
from scipy import ndimage

from autoseg.contracts import LabelSet
from planners.contracts import Spacing

Classes = npt.NDArray[np.integer]
Picture = npt.NDArray[np.float32]
Window = tuple[slice, slice]
Modality = Literal["ct", "mri", "rgb", "other"]

_VIEWS = (("axial", "AP", "RL", False), ("coronal", "SI", "RL", True), ("sagittal", "SI", "AP", True))
"""Per sliced axis: name, what stands at top and bottom, at left and right, and whether rows are turned upside down."""
_THICK = 1.5  # slices are cut across the axis whose spacing exceeds the others by this factor
_LONGEST_PX = 640
_SAMPLE = 1_000_000  # values that the brightness is estimated from
_LARGEST_PNG = 120_000
_MARGIN = 0.6  # of the outlines' extent, shown around them
_LEAST_PX = 48  # a picture shows at least so many voxels along each side
_ZOOM = 3  # a close-up of a flat image shows a third of each side
_CONTRAST = (0.5, 99.5)  # percentiles shown as black and white
_CT_WINDOW_HU = 400.0  # the usual width for soft tissue, centred on what is outlined


@dataclass(frozen=True)
class OverlayInput:
    """One case's arrays on the canonical grid.

    Attributes:
        image: (z, y, x) or (C, z, y, x), any real dtype.
        reference: (z, y, x) class indices; None without a reference.
        predicted: (z, y, x) class indices.
        spacing_mm: (z, y, x).
    """

    image: npt.NDArray[np.generic]
    reference: Classes | None
    predicted: Classes
    spacing_mm: Spacing


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
class _Outlines:
    """Masks (T, y, x) of the targets in one slice."""

    reference: npt.NDArray[np.bool_]
    predicted: npt.NDArray[np.bool_]


def panels(case: OverlayInput, labels: LabelSet, modality: Modality) -> tuple[Panel, ...]:
    """Two pictures of a case: its largest slice, and where reference and prediction differ most.

    Args:
        case: The arrays.
        labels: Says which classes make up each target; unannotated voxels count as agreeing.
        modality: Of ``rgb`` the first three channels are shown in colour, of others the first in grey.
    """
    channels = np.asarray(case.image if case.image.ndim == 4 else case.image[None])
    channels = channels[:3] if modality == "rgb" and len(channels) >= 3 else channels[:1]
    flat = channels.shape[1] == 1
    axis = 0 if flat else _across(case.spacing_mm)
    reference = np.zeros_like(case.predicted) if case.reference is None else case.reference
    stack, spacing = np.moveaxis(channels, axis + 1, 1), _in_plane(case.spacing_mm, axis)
    truth, guess = (np.moveaxis(classes, axis, 0) for classes in (reference, case.predicted))
    wrong = _disagreement(truth, guess, labels)
    outlined, predicted = (_outlined(classes, labels) for classes in (truth, guess))
    levels = _levels(stack, *_window(stack, outlined if outlined.any() else predicted, modality))
    picture = _Camera(levels, truth, guess, labels, spacing, axis, flat)
    if flat:
        whole = picture.take(0, (slice(None), slice(None)), "whole image")
        if not wrong.any() or max(truth.shape) <= _ZOOM * _LEAST_PX:
            return (whole,)
        return (whole, picture.take(0, _worst_window(wrong[0]), "close-up where they differ most"))
    window = _surroundings(np.any(outlined | predicted, axis=0))
    largest, worst = (_fullest(masks) for masks in (outlined if outlined.any() else predicted, wrong))
    what = f"slice with the largest {'reference' if outlined.any() else 'predicted'} area"
    if not wrong.any():
        return (picture.take(largest, window, what),)
    if worst == largest:
        return (picture.take(largest, window, f"{what}, where they also differ most"),)
    return (picture.take(largest, window, what), picture.take(worst, window, "slice where they differ most"))


@dataclass(frozen=True)
class _Camera:
    """Takes pictures of one case."""

    levels: npt.NDArray[np.uint8]  # (C, n, y, x)
    truth: Classes
    guess: Classes
    labels: LabelSet
    spacing_mm: tuple[float, float]
    axis: int
    flat: bool

    def take(self, index: int, window: Window, what: str) -> Panel:
        """Picture of one slice through a window of it."""
        view, vertical, horizontal, flipped = _VIEWS[self.axis]
        upright = slice(None, None, -1 if flipped else 1)
        image = self.levels[:, index, *window][:, upright]
        members = self.labels.members
        outlines = _Outlines(*(_masks(c[index][window][upright], members) for c in (self.truth, self.guess)))
        svg, ratio = _draw(image, outlines, self.spacing_mm, f"{what}: image with both outlines")
        if self.flat:
            return Panel(svg, what.capitalize(), ratio)
        caption = f"{view.capitalize()} {what} ({index + 1} of {self.levels.shape[1]})"
        return Panel(svg, caption, ratio, (vertical[0], vertical[1], horizontal[0], horizontal[1]))


def _across(spacing: Spacing) -> int:
    """The axis to slice across: the one with clearly the largest spacing, else z."""
    thickest = int(np.argmax(spacing))
    others = [value for axis, value in enumerate(spacing) if axis != thickest]
    return thickest if spacing[thickest] > _THICK * max(others) else 0


def _in_plane(spacing: Spacing, axis: int) -> tuple[float, float]:
    first, second = (value for other, value in enumerate(spacing) if other != axis)
    return first, second


def _window(stack: npt.NDArray[np.generic], outlined: npt.NDArray[np.bool_], modality: Modality) -> tuple[float, float]:
    """Intensities to show as black and white, alike for all channels so that colours keep their hue."""
    inside = stack[0][outlined].astype(np.float32) if modality == "ct" else np.empty(0, dtype=np.float32)
    inside = inside[np.isfinite(inside)]
    if len(inside):
        center = float(np.median(inside))
        return center - _CT_WINDOW_HU / 2, center + _CT_WINDOW_HU / 2
    sample = stack.ravel()[:: max(1, stack.size // _SAMPLE)].astype(np.float32)
    finite = sample[np.isfinite(sample)]
    low, high = np.percentile(finite, _CONTRAST) if len(finite) else (0.0, 1.0)
    return (0.0 if modality == "rgb" else float(low)), float(high)


def _levels(stack: npt.NDArray[np.generic], low: float, high: float) -> npt.NDArray[np.uint8]:
    """Brightness 0..255."""
    values = np.nan_to_num(stack.astype(np.float32), nan=low, posinf=high, neginf=low)
    scaled = np.clip((values - low) / max(high - low, 1e-12), 0, 1)
    return np.asarray(255 * scaled).astype(np.uint8)


def _masks(classes: Classes, members: Sequence[tuple[int, ...]]) -> npt.NDArray[np.bool_]:
    return np.stack([np.isin(classes, target) for target in members])


def _disagreement(truth: Classes, guess: Classes, labels: LabelSet) -> npt.NDArray[np.bool_]:
    """(n, y, x) True where some target differs, unannotated voxels aside."""
    wrong = truth != guess
    return wrong if labels.ignore_index is None else wrong & (truth != labels.ignore_index)


def _outlined(classes: Classes, labels: LabelSet) -> npt.NDArray[np.bool_]:
    """(n, y, x) True inside any target."""
    return np.isin(classes, sorted({index for target in labels.members for index in target}))


def _fullest(masks: npt.NDArray[np.bool_]) -> int:
    return int(masks.sum(axis=(1, 2)).argmax())


def _surroundings(mask: npt.NDArray[np.bool_]) -> Window:
    """The part of a slice worth showing: around everything outlined, or all of it if nothing is."""
    if not mask.any():
        return slice(0, mask.shape[0]), slice(0, mask.shape[1])
    sides = [np.flatnonzero(mask.any(axis=1 - axis)) for axis in (0, 1)]
    extent = max(int(side[-1] - side[0]) + 1 for side in sides)
    reach = max(round(extent * (0.5 + _MARGIN)), _LEAST_PX // 2)
    rows, columns = (
        _around((int(side[0]) + int(side[-1])) // 2, reach, size) for side, size in zip(sides, mask.shape, strict=True)
    )
    return rows, columns


def _around(center: int, reach: int, size: int) -> slice:
    """A range of up to twice ``reach`` about a center, moved so that it lies inside."""
    length = min(size, 2 * reach)
    start = min(max(0, center - reach), size - length)
    return slice(start, start + length)


def _worst_window(wrong: npt.NDArray[np.bool_]) -> Window:
    """Window of a third of each side that holds the most disagreement."""
    reaches = [max(_LEAST_PX // 2, size // (2 * _ZOOM)) for size in wrong.shape]
    density = ndimage.uniform_filter(wrong.astype(np.float32), size=[2 * r for r in reaches], mode="constant")
    row, column = np.unravel_index(int(density.argmax()), wrong.shape)
    rows, columns = (_around(int(c), r, s) for c, r, s in zip((row, column), reaches, wrong.shape, strict=True))
    return rows, columns


def _draw(
    image: npt.NDArray[np.uint8], outlines: _Outlines, spacing_mm: tuple[float, float], alternative: str
) -> tuple[Markup, float]:
    """Bitmap and outlines as one SVG, and its width over height.

    Its user units are half voxels, which makes all coordinates of outlines integers.
    """
    step = -(-max(image.shape[1:]) // _LONGEST_PX)
    height, width = (-(-size // step) * step for size in image.shape[1:])
    ratio = width * spacing_mm[1] / (height * spacing_mm[0])
    paths = [_path(masks[:, ::step, ::step], step) for masks in (outlines.reference, outlines.predicted)]
    svg = (
        f'<svg class="slice" viewBox="0 0 {2 * width} {2 * height}" preserveAspectRatio="none" role="img" '
        f'aria-label="{alternative}" style="aspect-ratio:{ratio:.4f}">'
        f'<image href="{_bitmap(image, step)}" width="{2 * width}" height="{2 * height}" preserveAspectRatio="none"/>'
        f'<path class="reference" d="{paths[0]}"/><path class="prediction" d="{paths[1]}"/></svg>'
    )
    return Markup(svg), ratio


def _bitmap(image: npt.NDArray[np.uint8], step: int) -> str:
    """(C, y, x) as a data URI: lossless if that is small, else a good JPEG."""
    picture = Image.fromarray(image[0] if len(image) == 1 else np.ascontiguousarray(np.moveaxis(image, 0, -1)))
    if step > 1:
        picture = picture.reduce(step)
    stream = io.BytesIO()
    picture.save(stream, "PNG", optimize=True)
    kind = "png"
    if stream.tell() > _LARGEST_PNG:
        stream, kind = io.BytesIO(), "jpeg"
        picture.save(stream, "JPEG", quality=88)
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode()}"


def _path(masks: npt.NDArray[np.bool_], step: int) -> str:
    """Outlines of all targets as one SVG path, in half voxels of the unthinned slice."""
    parts = []
    for mask in masks:
        if not mask.any():
            continue
        padded = np.pad(mask, 1).astype(np.float32)
        for line in contourpy.contour_generator(z=padded).lines(0.5):
            points = np.rint((np.asarray(line) - 0.5) * 2 * step).astype(int)
            parts.append("M" + " ".join(f"{x} {y}" for x, y in _corners(points)) + "Z")
    return "".join(parts)


def _corners(points: npt.NDArray[np.int_]) -> npt.NDArray[np.int_]:
    """A closed line without the points on straight stretches."""
    ring = points[:-1]
    before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    return ring[before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]]
