"""Whether an image resembles those a model was made from. If not, it is segmented all the same, with a warning."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from autoseg.contracts import ModelCard
from planners.contracts import Shape, Spacing

FAR_SPACING = 1.5
"""A voxel this many times larger or smaller than any seen in training lies far outside."""
FAR_SHAPE = 2.0
"""The same for the number of voxels along an axis."""


def doubts(
    card: ModelCard, image: npt.NDArray[np.generic], spacing_mm: Spacing, *, spacing_known: bool
) -> tuple[str, ...]:
    """Reasons not to trust a mask of a canonical image (C, z, y, x); empty: none was found."""
    found = []
    if card.spacing_known and not spacing_known:
        found.append(
            "the file knows no voxel size, which the model relies on; it is taken for 1 mm, so the mask may be wrong"
        )
    elif card.spacing_known and _is_far(spacing_mm, card.spacing_min_mm, card.spacing_max_mm, FAR_SPACING):
        seen = f"{_sizes(card.spacing_min_mm)} to {_sizes(card.spacing_max_mm)}"
        found.append(
            f"voxels of {_sizes(spacing_mm)} mm along (z, y, x) lie far outside those seen in training, {seen} mm"
        )
    z, y, x = image.shape[1:]
    shape: Shape = (z, y, x)
    if _is_far(shape, card.shape_min, card.shape_max, FAR_SHAPE):
        seen = f"{_sizes(card.shape_min)} to {_sizes(card.shape_max)}"
        found.append(f"{_sizes(shape)} voxels along (z, y, x) lie far outside the sizes seen in training, {seen}")
    flat = [str(number) for number, channel in enumerate(image) if channel.min() == channel.max()]
    if flat:
        found.append(f"no signal: every voxel of channel {', '.join(flat)} has the same value; do not trust the mask")
    return tuple(found)


def _is_far(value: Sequence[float], low: Sequence[float], high: Sequence[float], factor: float) -> bool:
    return any(v < a / factor or v > b * factor for v, a, b in zip(value, low, high, strict=True))


def _sizes(values: Sequence[float]) -> str:
    return " x ".join(f"{value:.4g}" for value in values)
