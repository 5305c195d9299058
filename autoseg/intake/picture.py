"""A picture of a case whose label lies elsewhere: the label's outline where its header puts it, and by index.

Whoever decides what to do about such a case sees at a glance which of the two is right, if any.
"""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from autoseg.intake.placing import Misplaced
from autoseg.records import write_bytes
from autoseg.volumes import geometry
from autoseg.volumes.geometry import Grid

_RED = np.array([255, 60, 60], np.uint8)
_LONGEST_PX = 480
_CAPTION_PX = 18
_CONTRAST = (1.0, 99.0)  # percentiles shown as black and white


def draw(path: Path, image: np.ndarray, grid: Grid, misplaced: Misplaced) -> None:
    """Write the picture.

    Args:
        path: A ``.png``.
        image: (z, y, x) on the canonical grid.
        grid: Of the image's file, in file order.
        misplaced: What was raised; holds the label.
    """
    label = (misplaced.array != 0).any(axis=0, keepdims=True)
    canonical, own, _ = geometry.canonicalize(label, misplaced.grid)
    there = geometry.canonical(grid)[0]
    panels = [_panel(image, geometry.resample_onto(canonical, own, there, nearest=True)[0], "where its header puts it")]
    if misplaced.grid.shape == grid.shape:
        panels.append(_panel(image, geometry.canonicalize(label, grid)[0][0], "voxel for voxel"))
    height = max(panel.height for panel in panels)
    sheet = Image.new("RGB", (sum(panel.width for panel in panels), height))
    left = 0
    for panel in panels:
        sheet.paste(panel, (left, 0))
        left += panel.width
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    write_bytes(path, buffer.getvalue())


def _panel(image: np.ndarray, mask: np.ndarray, what: str) -> Image.Image:
    """The slice with most of the label, or the middle one, its outline and a caption below."""
    areas = mask.sum(axis=(1, 2))
    number = int(areas.argmax()) if areas.any() else len(image) // 2
    plane = _grey(image[number])
    outline = mask[number] & ~ndimage.binary_erosion(mask[number])
    plane[outline] = _RED
    picture = Image.fromarray(plane)
    scale = _LONGEST_PX / max(picture.size)
    picture = picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))), 0)
    panel = Image.new("RGB", (max(picture.width, 240), picture.height + _CAPTION_PX))
    panel.paste(picture, (0, 0))
    found = f"slice {number}" if areas.any() else "outside the image"
    ImageDraw.Draw(panel).text((4, picture.height + 3), f"{what}: {found}", fill=(255, 255, 255))
    return panel


def _grey(plane: np.ndarray) -> np.ndarray:
    """(y, x, 3) uint8."""
    values = np.nan_to_num(plane.astype(np.float64))
    low, high = np.percentile(values, _CONTRAST)
    levels = np.clip((values - low) / max(high - low, 1e-12) * 255, 0, 255).astype(np.uint8)
    return np.repeat(levels[..., None], 3, axis=2)
