"""Patches: where to cut them, cutting them out with padding, and where the foreground is.

A patch is given by its *corner* (its first voxel, which may lie outside the volume) and its size, both (z, y, x).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike, NDArray

from autoseg.volumes import runs

LOCATIONS = 4096
"""Most voxels kept per target; enough to see all of it, few enough to keep for every case."""
SIZE_EXPONENT = 0.5
"""A connected component is met as often as its voxels to this power: at 1 the largest drown the small ones, at 0 specks
drown the rest."""


def foreground_locations(
    labels: NDArray[np.integer], members: Sequence[Sequence[int]], seed: int, limit: int = LOCATIONS
) -> tuple[NDArray[np.int32], ...]:
    """Voxels of each target, at most ``limit``: all or some of it, or, of several components, more of the small ones.

    Args:
        labels: (z, y, x) class indices.
        members: Class indices of each target.
        seed: Of the draw.
        limit: Most voxels per target.

    Returns:
        Per target an (n, 3) array of (z, y, x), in which voxels may repeat; n is 0 where the target is absent.

    >>> volume = np.zeros((2, 3, 4), np.uint8)
    >>> volume[1, 2, 3] = 2
    >>> [table.tolist() for table in foreground_locations(volume, [(1,), (1, 2)], seed=0)]
    [[], [[1, 2, 3]]]
    """
    rng = np.random.default_rng(seed)
    lookup = np.zeros((len(members), int(labels.max(initial=0)) + 1), bool)
    for row, classes in zip(lookup, members, strict=True):
        row[[c for c in classes if c < row.size]] = True
    return tuple(
        _drawn(row[labels], rng, limit) if row.any() else np.zeros((0, labels.ndim), np.int32) for row in lookup
    )


def _drawn(mask: NDArray[np.bool_], rng: np.random.Generator, limit: int) -> NDArray[np.int32]:
    """At most ``limit`` voxels of a mask (z, y, x), in their order."""
    found = runs.find(mask, most=mask.size)
    if found is None or not len(found.begins):
        return np.zeros((0, mask.ndim), np.int32)
    lengths, component = found.ends - found.begins, found.components()
    sizes = np.bincount(component, lengths)
    if len(sizes) > 1:
        weights = lengths * sizes[component] ** (SIZE_EXPONENT - 1.0)
        drawn = rng.choice(len(lengths), limit, p=weights / weights.sum())
        return found.indices(np.sort(found.begins[drawn] + rng.integers(lengths[drawn]))).astype(np.int32)
    upto = np.cumsum(lengths, dtype=np.int64)
    total = int(upto[-1])
    voxels = np.arange(total) if total <= limit else np.sort(rng.choice(total, limit, replace=False))
    run = np.searchsorted(upto, voxels, side="right")
    return found.indices(found.ends[run] - (upto[run] - voxels)).astype(np.int32)


def random_corner(shape: Sequence[int], size: Sequence[int], rng: np.random.Generator) -> tuple[int, ...]:
    """A corner such that the patch lies inside the volume, or the volume inside the patch where that is larger."""
    spare = [n - s for n, s in zip(shape, size, strict=True)]
    return tuple(int(rng.integers(min(0, s), max(0, s) + 1)) for s in spare)


def corner_around(
    voxel: Sequence[int], shape: Sequence[int], size: Sequence[int], rng: np.random.Generator
) -> tuple[int, ...]:
    """A corner such that the patch holds ``voxel`` in its middle half, moved to lie as in ``random_corner``.

    The voxel is not put in the very centre: the network would learn to expect foreground there.
    """
    corner = []
    for v, n, s in zip(voxel, shape, size, strict=True):
        reach = s // 4
        start = int(v) - s // 2 + int(rng.integers(-reach, reach + 1))
        corner.append(min(max(start, min(0, n - s)), max(0, n - s)))
    return tuple(corner)


def gather(
    array: NDArray, corner: Sequence[int], size: Sequence[int], fill: float, dtype: DTypeLike | None = None
) -> NDArray:
    """Cut a patch out of the last three axes; what lies outside the volume becomes ``fill``.

    Args:
        array: (…, z, y, x), in memory or memory-mapped.
        corner: First voxel; may be negative.
        size: Of the patch.
        fill: Value outside the volume.
        dtype: Of the patch; by default the array's own.

    Returns:
        A new array (…, *size).

    >>> gather(np.arange(4).reshape(1, 1, 4), (0, 0, 2), (1, 1, 3), fill=-1).tolist()
    [[[2, 3, -1]]]
    """
    spatial = array.shape[-3:]
    patch = np.full((*array.shape[:-3], *size), fill, array.dtype if dtype is None else dtype)
    inside, source = [], []
    for c, s, n in zip(corner, size, spatial, strict=True):
        low, high = max(c, 0), min(c + s, n)
        if low >= high:
            return patch
        source.append(slice(low, high))
        inside.append(slice(low - c, high - c))
    patch[..., inside[0], inside[1], inside[2]] = array[..., source[0], source[1], source[2]]
    return patch
