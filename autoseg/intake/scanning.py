"""From the arrays of one case to its ``CaseScan``: all that later stages must know without opening files again."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from autoseg.contracts import CaseScan, IntensitySketch, LabelSet, TargetScan
from autoseg.intake.auditing import Loaded
from autoseg.intake.targets import measure
from autoseg.volumes import intensity
from autoseg.volumes.geometry import as_stored
from autoseg.volumes.labels import Mask, Slices, bounding_slices, member_mask
from autoseg.volumes.preparation import nonzero_box


def scan(
    case: str, loaded: Loaded, inside: Mask | None, values: Sequence[int], targets: Sequence[TargetScan]
) -> CaseScan:
    """Measure a case.

    Args:
        case: Its name.
        loaded: Its arrays.
        inside: Voxels (z, y, x) of any label; None without a label.
        values: File values that occur in the label.
        targets: Measurements of what is drawn.
    """
    box = None if inside is None else bounding_slices(inside)
    return CaseScan(
        case=case,
        content=loaded.content,
        shape=loaded.grid.shape,
        spacing_mm=loaded.grid.spacing_mm,
        spacing_known=loaded.spacing_known,
        orientation=loaded.orientation,
        nonzero_box=nonzero_box(loaded.image),
        dtype=loaded.image.dtype.name,
        overall=tuple(sketch(as_stored(channel).ravel()) for channel in loaded.image),
        foreground=_inside(loaded.image, inside, box),
        label_values=tuple(values),
        targets=tuple(targets),
    )


def targets(classes: np.ndarray, labels: LabelSet) -> tuple[TargetScan, ...]:
    """Volume, connected components, box and centre of each target in class indices (z, y, x).

    Only the box of what is drawn is looked at, and for each target the box of its classes.
    """
    whole = bounding_slices(classes)
    named = zip(labels.targets, labels.members, strict=True)
    if whole is None:
        return tuple(measure(name, None) for name, _ in named)
    drawn = classes[whole]
    boxes = ndimage.find_objects(drawn)  # of class k at position k - 1; None: absent
    start = [part.start for part in whole]
    return tuple(_target(name, drawn, members, _around(boxes, members), start) for name, members in named)


def foreground(classes: np.ndarray, labels: LabelSet) -> Mask:
    """Voxels of any label; unannotated ones are none."""
    return (classes > 0) & (classes <= len(labels.labels))


def sketch(values: np.ndarray) -> IntensitySketch:
    """Moments and quantiles of a non-empty set of voxel values."""
    count, mean, std, quantiles = intensity.sketch(values)
    return IntensitySketch(count=int(count), mean=float(mean), std=float(std), quantiles=tuple(map(float, quantiles)))


def _target(
    name: str, drawn: np.ndarray, members: Sequence[int], box: Slices | None, start: Sequence[int]
) -> TargetScan:
    """Measure one target inside its box; ``start`` is where ``drawn`` begins in the volume."""
    if box is None:
        return measure(name, None)
    at = [outer + part.start for outer, part in zip(start, box, strict=True)]
    return measure(name, member_mask(drawn[box], members), at)


def _around(boxes: Sequence[Slices | None], members: Sequence[int]) -> Slices | None:
    """The box around all classes of a target."""
    present = [box for index in members if index <= len(boxes) and (box := boxes[index - 1]) is not None]
    if not present:
        return None
    z, y, x = (
        slice(min(part.start for part in axis), max(part.stop for part in axis)) for axis in zip(*present, strict=True)
    )
    return z, y, x


def _inside(image: np.ndarray, inside: Mask | None, box: Slices | None) -> tuple[IntensitySketch | None, ...]:
    """Per channel the voxels of any label."""
    if inside is None or box is None:
        return (None,) * len(image)
    mask = inside[box]
    return tuple(sketch(channel[box][mask]) for channel in image)
