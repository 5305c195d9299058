"""Image to network input: order axes, crop to what is not zero, normalize, resample.

The order matters: cropping first makes all that follows cheaper, and normalizing before resampling keeps zeros exactly
zero, so that statistics inside the non-zero region mean what they say. ``Geometry`` remembers what was done; with it
predictions return to exactly the grid the image came on (``restoring``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from autoseg.errors import DataError
from autoseg.volumes.normalize import Scheme, normalize
from autoseg.volumes.resample import box_slices, resample_image, resample_labels
from planners.axes import AS_THEY_ARE, thickest_first
from planners.contracts import Axes, Box, Shape, Spacing


@dataclass(frozen=True)
class Geometry:
    """How one prepared volume lies in its canonical source. Everything is along the working axes.

    Attributes:
        source_shape: Of the canonical volume.
        source_spacing_mm: Of the canonical volume.
        crop_box: Box of the canonical volume that was kept.
        shape: Of the prepared volume.
        spacing_mm: Of the prepared volume: the crop's extent divided by ``shape``, so rounding is accounted for.
        axes: The canonical axis of each working axis.
    """

    source_shape: Shape
    source_spacing_mm: Spacing
    crop_box: Box
    shape: Shape
    spacing_mm: Spacing
    axes: Axes = AS_THEY_ARE

    @property
    def canonical_shape(self) -> Shape:
        """``source_shape`` along the canonical (z, y, x)."""
        z, y, x = (self.source_shape[self.axes.index(axis)] for axis in range(3))
        return z, y, x


class ChannelRule(Protocol):
    """How one channel is normalized; see ``volumes.normalize``. A plan's ``Normalization`` is one."""

    @property
    def scheme(self) -> Scheme: ...  # noqa: D102
    @property
    def inside_nonzero(self) -> bool: ...  # noqa: D102
    @property
    def lower(self) -> float | None: ...  # noqa: D102
    @property
    def upper(self) -> float | None: ...  # noqa: D102
    @property
    def mean(self) -> float | None: ...  # noqa: D102
    @property
    def std(self) -> float | None: ...  # noqa: D102


def nonzero_box(image: np.ndarray) -> Box:
    """The smallest box that holds every voxel that is not zero in some channel; the whole image if all are zero.

    Args:
        image: (C, z, y, x). Planes are looked at from the outside in, so an image without a margin costs six planes.

    >>> image = np.zeros((1, 3, 4, 5)); image[0, 1, 2, 1:4] = 1
    >>> nonzero_box(image)
    ((1, 2), (2, 3), (1, 4))
    """
    box: list[tuple[int, int]] = []
    for axis in (1, 2, 3):
        rest = np.moveaxis(image, axis, 0)
        start, stop = 0, len(rest)
        while start < stop and not np.any(rest[start]):
            start += 1
        if start == stop:
            z, y, x = image.shape[1:]
            return (0, z), (0, y), (0, x)
        while not np.any(rest[stop - 1]):
            stop -= 1
        box.append((start, stop))
        image = image[(slice(None),) * axis + (slice(start, stop),)]
    return box[0], box[1], box[2]


def plan_geometry(
    image: np.ndarray, spacing_mm: Spacing, target_spacing_mm: tuple[float | None, float, float], axes: Axes
) -> Geometry:
    """Where the prepared volume will lie: the non-zero box, at the spacing that is wanted.

    Args:
        image: (C, …) along the working axes.
        spacing_mm: Of the image, along them.
        target_spacing_mm: Wanted; None along the first keeps the slices as they are.
        axes: The canonical axis of each working axis.
    """
    box = nonzero_box(image)
    sizes = [stop - start for start, stop in box]
    shape = [
        size if wanted is None else max(1, int(np.round(size * mm / wanted)))
        for size, mm, wanted in zip(sizes, spacing_mm, target_spacing_mm, strict=True)
    ]
    new_mm = [mm * size / n for mm, size, n in zip(spacing_mm, sizes, shape, strict=True)]
    return Geometry(
        source_shape=(image.shape[1], image.shape[2], image.shape[3]),
        source_spacing_mm=spacing_mm,
        crop_box=box,
        shape=(shape[0], shape[1], shape[2]),
        spacing_mm=(new_mm[0], new_mm[1], new_mm[2]),
        axes=axes,
    )


def prepare(
    image: np.ndarray,
    spacing_mm: Spacing,
    target_spacing_mm: tuple[float | None, float, float],
    rules: Sequence[ChannelRule],
    axes: Axes | None = AS_THEY_ARE,
) -> tuple[np.ndarray, Geometry]:
    """Make network input of an image.

    Args:
        image: (C, z, y, x) canonical, any real dtype; not changed, may be memory-mapped.
        spacing_mm: Of the image.
        target_spacing_mm: Wanted, along the working axes; None along the first keeps the slices as they are.
        rules: One per channel.
        axes: The canonical axis of each working axis; None puts the thickest first.

    Returns:
        (C, …) along the working axes, float32, C-contiguous, and how to come back.

    Raises:
        DataError: The number of channels is not the number of rules, or a voxel is NaN or infinite.
    """
    if len(image) != len(rules):
        raise DataError(
            f"the image has {len(image)} channels, expected {len(rules)}; give the same ones as in training"
        )
    axes = thickest_first(spacing_mm) if axes is None else axes
    image = image.transpose(0, *(axis + 1 for axis in axes))
    first, second, third = (spacing_mm[axis] for axis in axes)
    spacing_mm = first, second, third
    geometry = plan_geometry(image, spacing_mm, target_spacing_mm, axes)
    window = box_slices(geometry.crop_box)
    out = np.empty((len(image), *geometry.shape), np.float32)
    for index, (channel, rule) in enumerate(zip(image, rules, strict=True)):
        cropped = channel[window]
        if cropped.dtype.kind == "f" and not np.isfinite([cropped.min(), cropped.max()]).all():
            raise DataError(f"channel {index} has NaN or infinite voxels; replace them by the background's value")
        values = _normalized(cropped, rule)
        out[index] = resample_image(values[None], geometry.shape, spacing_mm)[0]
    return out, geometry


def _normalized(channel: np.ndarray, rule: ChannelRule) -> np.ndarray:
    return normalize(
        channel,
        rule.scheme,
        inside_nonzero=rule.inside_nonzero,
        lower=rule.lower,
        upper=rule.upper,
        mean=rule.mean,
        std=rule.std,
    )


def prepare_labels(labels: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Class indices on the prepared grid.

    Args:
        labels: (z, y, x) unsigned class indices on the canonical grid; the ignore index is a class like others.
        geometry: From ``prepare`` of the image they belong to.

    Returns:
        Of shape ``geometry.shape``, dtype unchanged, C-contiguous.
    """
    cropped = labels.transpose(geometry.axes)[box_slices(geometry.crop_box)]
    return np.ascontiguousarray(resample_labels(cropped, geometry.shape, geometry.source_spacing_mm))


def in_canonical_order(volumes: np.ndarray, axes: Axes) -> np.ndarray:
    """(H, …) along the working axes to (H, z, y, x), C-contiguous."""
    return np.ascontiguousarray(volumes.transpose(0, *(1 + axes.index(axis) for axis in range(3))))
