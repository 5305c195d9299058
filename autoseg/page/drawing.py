"""A slice of an image with outlines and marked areas over it, as one SVG.

The image is a compressed bitmap, what is drawn over it are vector paths, so a page can show or hide them and they stay
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

_LONGEST_PX = 640
_LARGEST_PNG = 120_000


@dataclass(frozen=True)
class Layer:
    """Masks (T, y, x), each drawn with its own outline, in the style that the page has for this kind."""

    kind: Literal["reference", "prediction", "removed", "added", "relabelled"]
    masks: npt.NDArray[np.bool_]


def draw(
    image: npt.NDArray[np.uint8], layers: Sequence[Layer], spacing_mm: tuple[float, float], alternative: str
) -> tuple[Markup, float]:
    """Bitmap and layers as one SVG, and its width over height.

    Its user units are half voxels, which makes all coordinates of outlines integers.

    Args:
        image: (C, y, x).
        layers: In the order in which they cover each other.
        spacing_mm: Of the voxels, (y, x).
        alternative: What a screen reader says.
    """
    step = -(-max(image.shape[1:]) // _LONGEST_PX)
    height, width = (-(-size // step) * step for size in image.shape[1:])
    ratio = width * spacing_mm[1] / (height * spacing_mm[0])
    paths = (f'<path class="{layer.kind}" d="{_path(layer.masks[:, ::step, ::step], step)}"/>' for layer in layers)
    svg = (
        f'<svg class="slice" viewBox="0 0 {2 * width} {2 * height}" preserveAspectRatio="none" role="img" '
        f'aria-label="{alternative}" style="aspect-ratio:{ratio:.4f}">'
        f'<image href="{_bitmap(image, step)}" width="{2 * width}" height="{2 * height}" preserveAspectRatio="none"/>'
        f"{''.join(paths)}</svg>"
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
