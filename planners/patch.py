"""Patch sizes: one ladder per configuration, from small to large, climbed as far as the budget allows.

The ladder depends on the data alone; the budget only says how far up to go. Every rung is at least as large as the one
below it along every axis and in width, so a larger budget can never get a smaller patch. The top is a box of equal
extent in mm along all axes, cut to the typical image; each rung down shortens the axis that is long both in mm and as a
share of the image.
"""

from dataclasses import dataclass
from math import prod

import numpy as np

from planners.topology import JOIN_RATIO, LONE_AXIS_EDGE, SMALLEST_EDGE, Topology, topology

START_VOXELS = {2: 2048**2, 3: 256**3}  # of the isotropic box, before it is cut to the image
LARGEST_VOXELS = {2: 768**2, 3: 160**3}  # beyond, Dice gains little for twice the time (Isensee et al. 2024, L to XL)
SMALLEST_VOXELS = {2: 64**2, 3: 32**3}  # below, a patch shows too little context to be worth its steps
SHORTEST_EDGE = 2 * SMALLEST_EDGE  # an axis is not shortened below one pooling

WidthTable = tuple[tuple[int, int], ...]
"""(features of the first stage, voxels a patch must hold before that width is worth its cost), both ascending."""


@dataclass(frozen=True)
class Rung:
    """A patch, divisible by the strides of its network, and the features of the first stage.

    Attributes:
        patch: Edges.
        width: Features.
        wider: Than its patch calls for: the largest patch is reached, and only width is left to be had.
    """

    patch: tuple[int, ...]
    width: int
    wider: bool = False


def ladder(
    median_shape: tuple[int, ...], spacing_mm: tuple[float, ...], *, most_stages: int, widths: WidthTable
) -> tuple[Rung, ...]:
    """All rungs, lowest first; at least one.

    Args:
        median_shape: The typical image after resampling, along the patch's axes.
        spacing_mm: Voxel size along the same axes.
        most_stages: Resolution stages a network may have.
        widths: Which width from which patch size on. On the largest patch all widths follow.

    >>> widths = ((8, 0), (16, 48**3))
    >>> [(r.patch, r.width) for r in ladder((36, 50, 35), (1, 1, 1), most_stages=5, widths=widths)][-2:]
    [((40, 56, 40), 8), ((40, 56, 40), 16)]
    """
    patches = _patches(median_shape, spacing_mm, most_stages)
    rungs, next_width = [Rung(patches[0], widths[0][0])], 1
    for patch in patches:
        if patch != rungs[-1].patch:
            rungs.append(Rung(patch, rungs[-1].width))
        while next_width < len(widths) and (prod(patch) >= widths[next_width][1] or patch == patches[-1]):
            width, voxels = widths[next_width]
            rungs.append(Rung(patch, width, wider=prod(patch) < voxels))
            next_width += 1
    return tuple(rungs)


def _patches(median: tuple[int, ...], spacing_mm: tuple[float, ...], most_stages: int) -> list[tuple[int, ...]]:
    """Ascending patches, each contained in the next."""
    dimension = len(median)
    patch = _poolable(_isotropic_box(median, spacing_mm), spacing_mm, most_stages)
    descent = [patch]
    while (smaller := _shortened(patch, median, spacing_mm, most_stages)) is not None:
        patch = smaller
        if all(edge <= above for edge, above in zip(patch, descent[-1], strict=True)):
            descent.append(patch)
    wanted = [p for p in descent if SMALLEST_VOXELS[dimension] <= prod(p) <= LARGEST_VOXELS[dimension]]
    if not wanted:  # a small image: its whole extent is the only patch; or one that cannot be shortened further
        fitting = [p for p in descent if prod(p) <= LARGEST_VOXELS[dimension]]
        wanted = fitting[:1] or descent[-1:]
    return wanted[::-1]


def _isotropic_box(median: tuple[int, ...], spacing_mm: tuple[float, ...]) -> tuple[int, ...]:
    """Equal extent in mm along all axes, START_VOXELS in all, cut to the image."""
    spacing = np.asarray(spacing_mm, dtype=float)
    extent_mm = (START_VOXELS[len(median)] * np.prod(spacing)) ** (1 / len(median))
    return tuple(int(np.clip(round(extent_mm / size), 1, edge)) for size, edge in zip(spacing, median, strict=True))


def _poolable(patch: tuple[int, ...], spacing_mm: tuple[float, ...], most_stages: int) -> tuple[int, ...]:
    """Divisible, and long enough along its finest axes to be pooled at least once; images are padded to it."""
    shape = topology(patch, spacing_mm, most_stages)
    if len(shape.strides) == 1:
        finest = [axis for axis, size in enumerate(spacing_mm) if size / min(spacing_mm) < JOIN_RATIO]
        edge = SHORTEST_EDGE if len(finest) > 1 else LONE_AXIS_EDGE
        patch = tuple(max(old, edge) if axis in finest else old for axis, old in enumerate(patch))
        shape = topology(patch, spacing_mm, most_stages)
    return shape.pad(patch)


def _shortened(
    patch: tuple[int, ...], median: tuple[int, ...], spacing_mm: tuple[float, ...], most_stages: int
) -> tuple[int, ...] | None:
    """The next smaller divisible patch; None when no axis can be shortened."""
    shape = topology(patch, spacing_mm, most_stages)
    length = [edge * edge * size / whole for edge, size, whole in zip(patch, spacing_mm, median, strict=True)]
    for axis in sorted(range(len(patch)), key=lambda axis: (-length[axis], axis)):
        smaller = _shorten_axis(patch, axis, shape, spacing_mm, most_stages)
        if smaller is not None:
            return smaller
    return None


def _shorten_axis(
    patch: tuple[int, ...], axis: int, shape: Topology, spacing_mm: tuple[float, ...], most_stages: int
) -> tuple[int, ...] | None:
    """Shorten one axis by as little as divisibility allows. A shorter axis may pool less and so take finer steps."""
    step = shape.divisors[axis]
    reduced = _replaced(patch, axis, patch[axis] - step)
    if reduced[axis] < SHORTEST_EDGE:
        return None
    reduced_shape = topology(reduced, spacing_mm, most_stages)
    finer = _replaced(patch, axis, patch[axis] - min(step, reduced_shape.divisors[axis]))
    for candidate in (finer, reduced):
        padded = topology(candidate, spacing_mm, most_stages).pad(candidate)
        if padded[axis] < patch[axis] and len(topology(padded, spacing_mm, most_stages).strides) > 1:
            return padded
    return None


def _replaced(patch: tuple[int, ...], axis: int, edge: int) -> tuple[int, ...]:
    return (*patch[:axis], edge, *patch[axis + 1 :])
