"""Volumes from one spacing to another, fast: interpolation along each axis is a matrix, and matrices multiply fast.

Interpolation by splines is linear in the voxels and separable, so "resize z, y, x" is three products with small
matrices. Each matrix is what scipy does to the identity, pixel centres at half positions and edge values beyond: as
``skimage.transform.resize`` (mode "edge", no anti-aliasing) interpolates; a test holds both against each other. Cubic
rows are dense in principle, yet their entries fade by 0.27 per voxel: blocks of rows use only the band that counts.

Scans with thick slices are treated slice by slice (Isensee et al. 2021, nnU-Net, Methods): interpolating between slices
centimetres apart invents anatomy, so along such an axis the nearest slice is taken.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import cast

import numpy as np
from scipy import ndimage

from planners.contracts import Box, Shape, Spacing

ANISOTROPY = 3.0
"""An axis whose spacing is this many times another's is treated apart."""

NEAREST, LINEAR, CUBIC = 0, 1, 3

_BLOCK_ROWS = 64
_FADED = 1e-7  # matrix entries below this change nothing in float32
_TIE = 1e-5  # rounding of float32 that must not decide between a label and the background


def resample_image(image: np.ndarray, shape: Shape, spacing_mm: Spacing) -> np.ndarray:
    """Cubic interpolation, clamped to each channel's range; thick-slice axes by nearest slice.

    Args:
        image: (C, z, y, x) float32.
        shape: Wanted (z, y, x).
        spacing_mm: Of the image as it is.

    Returns:
        (C, *shape) float32; the input itself if the shape is already right.
    """
    if image.shape[1:] == tuple(shape):
        return image
    orders = _orders(image.shape[1:], shape, spacing_mm, CUBIC)
    out = np.empty((len(image), *shape), np.float32)
    for channel, result in zip(image, out, strict=True):
        np.clip(_apply(channel, shape, orders), channel.min(), channel.max(), out=result)
    return out


def resample_labels(labels: np.ndarray, shape: Shape, spacing_mm: Spacing) -> np.ndarray:
    """Each class is interpolated linearly as a mask, and the strongest wins; the background yields in a tie.

    Args:
        labels: (z, y, x) unsigned class indices.
        shape: Wanted (z, y, x).
        spacing_mm: Of the labels as they are.

    Returns:
        Of the given shape, dtype unchanged; the input itself if the shape is already right.
    """
    if labels.shape == tuple(shape):
        return labels
    orders = _orders(labels.shape, shape, spacing_mm, LINEAR)
    matrices = [matrix(n, m, order) for n, m, order in zip(labels.shape, shape, orders, strict=True)]
    out = np.zeros(shape, labels.dtype)
    best = np.zeros(shape, np.float32)
    total = np.zeros(shape, np.float32)
    for index, found in enumerate(ndimage.find_objects(labels), start=1):
        reached = None if found is None else _resampled_mask(labels[found] == index, found, matrices)
        if reached is None:
            continue
        box, share = reached
        total[box] += share
        stronger = share > best[box] + _TIE
        out[box][stronger] = index
        best[box][stronger] = share[stronger]
    out[best < 1 - total - _TIE] = 0
    return out


def _resampled_mask(
    mask: np.ndarray, source_box: tuple[slice, ...], matrices: list[np.ndarray]
) -> tuple[tuple[slice, ...], np.ndarray] | None:
    """The output box that a class can reach, and its share of each voxel there; the rest is left alone."""
    box, share = [], mask.astype(np.float32)
    for axis, (found, full) in enumerate(zip(source_box, matrices, strict=True)):
        columns = full[:, found]
        touched = np.flatnonzero(columns.any(axis=1))
        if touched.size == 0:  # so small that it falls between the new voxels
            return None
        rows = slice(int(touched[0]), int(touched[-1]) + 1)
        box.append(rows)
        share = along(share, columns[rows], axis)
    return tuple(box), share


def resample_probabilities(probabilities: np.ndarray, shape: Shape) -> np.ndarray:
    """Linear interpolation head by head; what summed to one still does.

    Args:
        probabilities: (H, z, y, x) of any float dtype.
        shape: Wanted (z, y, x).

    Returns:
        (H, *shape) float32; the input itself if it already is.
    """
    if probabilities.shape[1:] == tuple(shape):
        return probabilities.astype(np.float32, copy=False)
    out = np.empty((len(probabilities), *shape), np.float32)
    for head, result in zip(probabilities, out, strict=True):
        result[...] = _apply(head.astype(np.float32, copy=False), shape, (LINEAR, LINEAR, LINEAR))
    return out


def thick_axis(spacing_mm: Spacing) -> int | None:
    """The one axis whose spacing exceeds the smallest more than ``ANISOTROPY`` times; None if none, or several tie.

    >>> thick_axis((5.0, 0.7, 0.7)), thick_axis((1.0, 0.7, 0.7))
    (0, None)
    """
    largest = max(spacing_mm)
    if largest / min(spacing_mm) <= ANISOTROPY or spacing_mm.count(largest) > 1:
        return None
    return spacing_mm.index(largest)


def _orders(source: tuple[int, ...], target: Shape, spacing_mm: Spacing, order: int) -> tuple[int, ...]:
    """Interpolation order per axis; the old spacing decides which axis is thick, else the new one."""
    new_mm = cast(Spacing, tuple(mm * n / m for mm, n, m in zip(spacing_mm, source, target, strict=True)))
    thick = thick_axis(spacing_mm)
    if thick is None:
        thick = thick_axis(new_mm)
    return tuple(NEAREST if axis == thick else order for axis in range(3))


@lru_cache(maxsize=64)
def matrix(source: int, target: int, order: int) -> np.ndarray:
    """(target, source) float32: interpolation of ``source`` voxels at ``target`` equally spaced positions.

    >>> matrix(2, 4, LINEAR).tolist()
    [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]
    """
    if order == NEAREST:
        centres = (np.arange(target) + 0.5) * source / target - 0.5
        # the half is rounded down, so that halving an axis keeps the same slice everywhere
        nearest = np.clip(np.ceil(centres - 0.5), 0, source - 1).astype(np.int64)
        return np.eye(source, dtype=np.float32)[nearest]
    identity = np.eye(source)
    weights = ndimage.zoom(identity, (target / source, 1), order=order, mode="nearest", grid_mode=True)
    weights[np.abs(weights) < _FADED] = 0.0
    return weights.astype(np.float32)


def _apply(volume: np.ndarray, shape: Shape, orders: tuple[int, ...]) -> np.ndarray:
    """Axis after axis, those that shrink the volume most first."""
    for axis in sorted(range(3), key=lambda axis: shape[axis] / volume.shape[axis]):
        source, target = volume.shape[axis], shape[axis]
        if source == target:
            continue
        if orders[axis] == NEAREST:
            volume = np.take(volume, matrix(source, target, NEAREST).argmax(axis=1), axis=axis)
        else:
            volume = along(volume, matrix(source, target, orders[axis]), axis)
    return volume


def along(volume: np.ndarray, weights: np.ndarray, axis: int) -> np.ndarray:
    """Multiply one axis of a (z, y, x) volume by (target, source) weights.

    The whole volume is one matrix: few large products. One per slice would be hundreds of small ones, and where other
    processes want the cores too, a library that splits each of them over threads waits longer than it works.
    """
    if axis == 2:
        rows_of_x = np.ascontiguousarray(volume).reshape(-1, volume.shape[2])
        out = np.empty((len(rows_of_x), len(weights)), np.float32)
        for rows, band in _bands(weights):
            np.matmul(rows_of_x[:, band], weights[rows, band].T, out=out[:, rows])
        return out.reshape(*volume.shape[:2], len(weights))
    axis_first = np.moveaxis(volume, axis, 0)
    columns = np.ascontiguousarray(axis_first).reshape(volume.shape[axis], -1)
    out = np.empty((len(weights), columns.shape[1]), np.float32)
    for rows, band in _bands(weights):
        np.matmul(weights[rows, band], columns[band], out=out[rows])
    return np.moveaxis(out.reshape(len(weights), *axis_first.shape[1:]), 0, axis)


def _bands(weights: np.ndarray) -> Iterator[tuple[slice, slice]]:
    """Blocks of rows, each with the columns that it uses."""
    for start in range(0, len(weights), _BLOCK_ROWS):
        rows = slice(start, min(start + _BLOCK_ROWS, len(weights)))
        used = np.flatnonzero(weights[rows].any(axis=0))
        yield rows, slice(int(used[0]), int(used[-1]) + 1)


def box_slices(box: Box) -> tuple[slice, slice, slice]:
    """A box as slices.

    >>> box_slices(((0, 2), (1, 3), (0, 1)))
    (slice(0, 2, None), slice(1, 3, None), slice(0, 1, None))
    """
    (z0, z1), (y0, y1), (x0, x1) = box
    return slice(z0, z1), slice(y0, y1), slice(x0, x1)
