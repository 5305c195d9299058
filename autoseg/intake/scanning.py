"""From the arrays of one case to its ``CaseScan``: all that later stages must know without opening files again."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from autoseg.contracts import CaseScan, IntensitySketch, LabelSet, TargetScan
from autoseg.intake.auditing import Loaded
from autoseg.volumes import intensity
from autoseg.volumes.labels import FULL, Mask, bounding_slices, member_mask
from autoseg.volumes.preparation import nonzero_box
from planners.contracts import Box

_MOST_COMPONENTS = 64


def scan(case: str, loaded: Loaded, classes: np.ndarray | None, values: Sequence[int], labels: LabelSet) -> CaseScan:
    """Measure a case.

    Args:
        case: Its name.
        loaded: Its arrays.
        classes: Class indices (z, y, x); None without a label.
        values: File values that occur in the label.
        labels: What the indices mean.
    """
    inside = None if classes is None else _foreground(classes, labels)
    return CaseScan(
        case=case,
        content=loaded.content,
        shape=loaded.grid.shape,
        spacing_mm=loaded.grid.spacing_mm,
        spacing_known=loaded.spacing_known,
        orientation=loaded.orientation,
        nonzero_box=nonzero_box(loaded.image),
        dtype=loaded.image.dtype.name,
        overall=tuple(sketch(channel.ravel()) for channel in loaded.image),
        foreground=tuple(_inside(channel, inside) for channel in loaded.image),
        label_values=tuple(values),
        targets=() if classes is None else targets(classes, labels),
    )


def targets(classes: np.ndarray, labels: LabelSet) -> tuple[TargetScan, ...]:
    """Volume, connected components and box of each target in class indices (z, y, x)."""
    named = zip(labels.targets, labels.members, strict=True)
    return tuple(_target(name, member_mask(classes, members)) for name, members in named)


def sketch(values: np.ndarray) -> IntensitySketch:
    """Moments and quantiles of a non-empty set of voxel values."""
    count, mean, std, quantiles = intensity.sketch(values)
    return IntensitySketch(count=int(count), mean=float(mean), std=float(std), quantiles=tuple(map(float, quantiles)))


def _target(name: str, mask: Mask) -> TargetScan:
    slices = bounding_slices(mask)
    if slices is None:
        return TargetScan(name=name, voxels=0, components=0, component_voxels=())
    numbers, count = ndimage.label(mask[slices], structure=FULL)
    sizes = np.sort(np.bincount(numbers.ravel())[1:])[::-1]
    return TargetScan(
        name=name,
        voxels=int(sizes.sum()),
        components=int(count),
        component_voxels=tuple(int(size) for size in sizes[:_MOST_COMPONENTS]),
        box=_box(slices),
    )


def _foreground(classes: np.ndarray, labels: LabelSet) -> Mask:
    """Voxels of any label; unannotated ones are none."""
    return (classes > 0) & (classes <= len(labels.labels))


def _inside(channel: np.ndarray, mask: Mask | None) -> IntensitySketch | None:
    return sketch(channel[mask]) if mask is not None and mask.any() else None


def _box(slices: tuple[slice, slice, slice]) -> Box:
    z, y, x = ((part.start, part.stop) for part in slices)
    return z, y, x
