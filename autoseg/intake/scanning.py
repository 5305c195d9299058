"""From the arrays of one case to its ``CaseScan``: all that later stages must know without opening files again."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from autoseg.contracts import CaseScan, IntensitySketch, LabelSet, TargetScan
from autoseg.intake.auditing import Loaded
from autoseg.volumes import intensity
from autoseg.volumes.geometry import as_stored
from autoseg.volumes.labels import FULL, Slices, bounding_slices, member_mask
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
    box = None if classes is None else bounding_slices(classes)
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
        foreground=_inside(loaded.image, classes, box, labels),
        label_values=tuple(values),
        targets=() if classes is None else _targets(classes, labels, box),
    )


def _targets(classes: np.ndarray, labels: LabelSet, whole: Slices | None) -> tuple[TargetScan, ...]:
    """Volume, connected components and box of each target in class indices (z, y, x).

    Only the box of what is drawn, ``whole``, is looked at, and for each target the box of its classes.
    """
    named = zip(labels.targets, labels.members, strict=True)
    if whole is None:
        return tuple(_absent(name) for name, _ in named)
    drawn = classes[whole]
    boxes = ndimage.find_objects(drawn)  # of class k at position k - 1; None: absent
    return tuple(_target(name, drawn, members, _around(boxes, members), whole) for name, members in named)


def sketch(values: np.ndarray) -> IntensitySketch:
    """Moments and quantiles of a non-empty set of voxel values."""
    count, mean, std, quantiles = intensity.sketch(values)
    return IntensitySketch(count=int(count), mean=float(mean), std=float(std), quantiles=tuple(map(float, quantiles)))


def _target(name: str, drawn: np.ndarray, members: Sequence[int], box: Slices | None, whole: Slices) -> TargetScan:
    """Measure one target inside its box; ``whole`` is where ``drawn`` lies in the volume."""
    if box is None:
        return _absent(name)
    numbers, count = ndimage.label(member_mask(drawn[box], members), structure=FULL)
    sizes = np.sort(np.bincount(numbers.ravel())[1:])[::-1]
    return TargetScan(
        name=name,
        voxels=int(sizes.sum()),
        components=int(count),
        component_voxels=tuple(int(size) for size in sizes[:_MOST_COMPONENTS]),
        box=_box(box, whole),
    )


def _absent(name: str) -> TargetScan:
    return TargetScan(name=name, voxels=0, components=0, component_voxels=())


def _around(boxes: Sequence[Slices | None], members: Sequence[int]) -> Slices | None:
    """The box around all classes of a target."""
    present = [box for index in members if index <= len(boxes) and (box := boxes[index - 1]) is not None]
    if not present:
        return None
    z, y, x = (
        slice(min(part.start for part in axis), max(part.stop for part in axis)) for axis in zip(*present, strict=True)
    )
    return z, y, x


def _inside(
    image: np.ndarray, classes: np.ndarray | None, box: Slices | None, labels: LabelSet
) -> tuple[IntensitySketch | None, ...]:
    """Per channel the voxels of any label; unannotated ones are none."""
    if classes is None or box is None:
        return (None,) * len(image)
    drawn = classes[box]
    mask = (drawn > 0) & (drawn <= len(labels.labels))
    if not mask.any():
        return (None,) * len(image)
    return tuple(sketch(channel[box][mask]) for channel in image)


def _box(box: Slices, whole: Slices) -> Box:
    """A box inside another, as numbers along the volume's axes."""
    z, y, x = ((outer.start + part.start, outer.start + part.stop) for part, outer in zip(box, whole, strict=True))
    return z, y, x
