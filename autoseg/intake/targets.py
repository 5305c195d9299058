"""Measuring one mask: how large, in how many pieces, where."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from autoseg.contracts import TargetScan
from autoseg.volumes.labels import FULL, Mask, Slices, bounding_slices
from planners.contracts import Box

_MOST_COMPONENTS = 64


def measure(name: str, mask: Mask | None, start: Sequence[int] = (0, 0, 0)) -> TargetScan:
    """Volume, connected components, box and centre of a mask.

    Args:
        name: Of the structure.
        mask: (z, y, x), or the part of it that holds all that is drawn; None: nothing is.
        start: Where in the volume the mask begins.
    """
    slices = None if mask is None else bounding_slices(mask)
    if mask is None or slices is None:
        return TargetScan(name=name, voxels=0, components=0, component_voxels=())
    inner = mask[slices]
    slices = _shifted(slices, start)
    numbers, count = ndimage.label(inner, structure=FULL)
    sizes = np.sort(np.bincount(numbers.ravel())[1:])[::-1]
    return TargetScan(
        name=name,
        voxels=int(sizes.sum()),
        components=int(count),
        component_voxels=tuple(int(size) for size in sizes[:_MOST_COMPONENTS]),
        box=_box(slices),
        centroid_vox=_centroid(inner, slices),
    )


def _centroid(inner: Mask, slices: tuple[slice, slice, slice]) -> tuple[float, float, float]:
    """Mean index of the mask's voxels, from its profile along each axis; the mask is read twice."""
    depth = np.array([np.count_nonzero(plane) for plane in inner])
    shadow = inner.sum(axis=0, dtype=np.uint32)
    z, y, x = (
        part.start + float(profile @ np.arange(len(profile))) / float(profile.sum())
        for part, profile in zip(slices, (depth, shadow.sum(axis=1), shadow.sum(axis=0)), strict=True)
    )
    return z, y, x


def _shifted(slices: Slices, start: Sequence[int]) -> Slices:
    z, y, x = (slice(part.start + by, part.stop + by) for part, by in zip(slices, start, strict=True))
    return z, y, x


def _box(slices: tuple[slice, slice, slice]) -> Box:
    z, y, x = ((part.start, part.stop) for part in slices)
    return z, y, x
