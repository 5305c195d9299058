"""Patches: where to cut them, cutting them out with padding, and where the foreground is.

A patch is given by its *corner* (its first voxel, which may lie outside the volume) and its size, both (z, y, x).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike, NDArray

LOCATIONS = 4096
"""Most voxels kept per target; enough to see all of it, few enough to keep for every case."""


def foreground_locations(
    labels: NDArray[np.integer], members: Sequence[Sequence[int]], seed: int, limit: int = LOCATIONS
) -> tuple[NDArray[np.int32], ...]:
    """Voxels of each target, at most ``limit`` of them drawn evenly at random.

    Args:
        labels: (z, y, x) class indices.
        members: Class indices of each target.
        seed: Of the draw.
        limit: Most voxels per target.

    Returns:
        Per target an (n, 3) array of (z, y, x); n is 0 where the target is absent.

    >>> volume = np.zeros((2, 3, 4), np.uint8)
    >>> volume[1, 2, 3] = 2
    >>> [table.tolist() for table in foreground_locations(volume, [(1,), (1, 2)], seed=0)]
    [[], [[1, 2, 3]]]
    """
    rng = np.random.default_rng(seed)
    lookup = np.zeros((len(members), int(labels.max(initial=0)) + 1), bool)
    for row, classes in zip(lookup, members, strict=True):
        row[[c for c in classes if c < row.size]] = True
    tables = []
    for row in lookup:
        flat = np.flatnonzero(row[labels]) if row.any() else np.zeros(0, np.intp)
        if flat.size > limit:
            flat = np.sort(rng.choice(flat, limit, replace=False))
        tables.append(np.stack(np.unravel_index(flat, labels.shape), axis=1).astype(np.int32))
    return tuple(tables)


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
