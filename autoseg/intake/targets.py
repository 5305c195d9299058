"""Measuring what is drawn: how large, in how many pieces, where."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from autoseg.contracts import LabelSet, TargetScan
from autoseg.intake.drawing import Drawing
from autoseg.volumes import runs
from autoseg.volumes.labels import FULL, Mask, Slices, bounding_slices, member_mask
from autoseg.volumes.runs import Counts, Profiles, Runs

_MOST_COMPONENTS = 64


def measure(name: str, mask: Mask) -> TargetScan:
    """Volume, connected components, box and centre of a mask (z, y, x)."""
    box = bounding_slices(mask)
    if box is None:
        return absent(name)
    start = [part.start for part in box]
    found = runs.find(mask[box])
    return _of_voxels(name, mask[box], start) if found is None else _of_runs(name, found, start)


def measure_all(drawn: Drawing, labels: LabelSet) -> tuple[TargetScan, ...]:
    """The same of each target in class indices."""
    start = [part.start for part in drawn.box]
    named = list(zip(labels.targets, labels.members, strict=True))
    found = drawn.runs
    if found is not None:
        return tuple(_of_runs(name, found.of(members), start) for name, members in named)
    boxes = ndimage.find_objects(drawn.part)  # of class k at position k - 1; None: absent
    return tuple(_in_box(name, drawn.part, members, _around(boxes, members), start) for name, members in named)


def absent(name: str) -> TargetScan:
    """Of a target that is not there."""
    return TargetScan(name=name, voxels=0, components=0, component_voxels=())


def _of_runs(name: str, mask: Runs, start: Sequence[int]) -> TargetScan:
    """Measure a mask that is given as runs; ``start`` is where in the volume their array begins."""
    return _scan(name, mask.component_sizes(), mask.profiles(), start)


def _of_voxels(name: str, mask: Mask, start: Sequence[int]) -> TargetScan:
    """The same of one that is given as an array."""
    numbers, _ = ndimage.label(mask, structure=FULL)
    return _scan(name, np.bincount(numbers.ravel())[1:], _profiles(mask), start)


def _in_box(
    name: str, part: np.ndarray, members: Sequence[int], box: Slices | None, start: Sequence[int]
) -> TargetScan:
    """Measure one target of ``part``, which begins at ``start``, inside the target's own box."""
    if box is None:
        return absent(name)
    at = [outer + inner.start for outer, inner in zip(start, box, strict=True)]
    return _of_voxels(name, member_mask(part[box], members), at)


def _around(boxes: Sequence[Slices | None], members: Sequence[int]) -> Slices | None:
    """The box around all classes of a target."""
    present = [box for index in members if index <= len(boxes) and (box := boxes[index - 1]) is not None]
    if not present:
        return None
    z, y, x = (
        slice(min(part.start for part in axis), max(part.stop for part in axis)) for axis in zip(*present, strict=True)
    )
    return z, y, x


def _profiles(mask: Mask) -> Profiles:
    """Voxels in each plane, row and column; the mask is read twice."""
    planes = np.array([np.count_nonzero(plane) for plane in mask])
    shadow = mask.sum(axis=0, dtype=np.uint32)
    return planes, shadow.sum(axis=1, dtype=np.int64), shadow.sum(axis=0, dtype=np.int64)


def _scan(name: str, sizes: Counts, profiles: Profiles, start: Sequence[int]) -> TargetScan:
    """From the sizes of components, and the profiles of an array that begins at ``start``."""
    if not len(sizes):
        return absent(name)
    z, y, x = (_extent(profile, first) for profile, first in zip(profiles, start, strict=True))
    descending = np.sort(sizes)[::-1]
    return TargetScan(
        name=name,
        voxels=int(sizes.sum()),
        components=len(sizes),
        component_voxels=tuple(int(size) for size in descending[:_MOST_COMPONENTS]),
        box=(z[0], y[0], x[0]),
        centroid_vox=(z[1], y[1], x[1]),
    )


def _extent(profile: Counts, start: int) -> tuple[tuple[int, int], float]:
    """Along one axis, where a mask begins and where it has ended, and the mean index of its voxels."""
    hit = np.flatnonzero(profile)
    first, stop = int(hit[0]), int(hit[-1]) + 1
    inner = profile[first:stop]
    mean = start + first + float(inner @ np.arange(len(inner))) / float(inner.sum())
    return (start + first, start + stop), mean
