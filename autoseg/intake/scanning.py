"""From the arrays of one case to its ``CaseScan``: all that later stages must know without opening files again."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from autoseg.contracts import CaseScan, IntensitySketch, LabelSet, TargetScan
from autoseg.intake.auditing import Loaded
from autoseg.intake.targets import measure
from autoseg.volumes import intensity
from autoseg.volumes.geometry import as_stored
from autoseg.volumes.labels import Mask, Slices, member_mask
from autoseg.volumes.preparation import nonzero_box


@dataclass(frozen=True, eq=False)
class Drawn:
    """Where anything is drawn: a box in the volume, and the voxels (z, y, x) of the box."""

    box: Slices
    mask: Mask


def scan(
    case: str, loaded: Loaded, inside: Drawn | None, values: Sequence[int], targets: Sequence[TargetScan]
) -> CaseScan:
    """Measure a case.

    Args:
        case: Its name.
        loaded: Its arrays.
        inside: Where anything is drawn; None: nothing is.
        values: File values that occur in the label.
        targets: Measurements of what is drawn.
    """
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
        foreground=_inside(loaded.image, inside),
        label_values=tuple(values),
        targets=tuple(targets),
    )


def targets(classes: np.ndarray, labels: LabelSet, whole: Slices | None) -> tuple[TargetScan, ...]:
    """Volume, connected components, box and centre of each target in class indices (z, y, x).

    Only ``whole``, the box of what is not zero, is looked at, and for each target the box of its classes.
    """
    named = zip(labels.targets, labels.members, strict=True)
    if whole is None:
        return tuple(measure(name, None) for name, _ in named)
    drawn = classes[whole]
    boxes = ndimage.find_objects(drawn)  # of class k at position k - 1; None: absent
    start = [part.start for part in whole]
    return tuple(_target(name, drawn, members, _around(boxes, members), start) for name, members in named)


def foreground(classes: np.ndarray, labels: int, whole: Slices | None) -> Drawn | None:
    """Voxels of the first so many ``labels``, inside ``whole``; None: there are none, as where nothing is annotated."""
    if whole is None:
        return None
    inner = classes[whole]
    mask = (inner > 0) & (inner <= labels)
    return Drawn(whole, mask) if mask.any() else None


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


def _inside(image: np.ndarray, inside: Drawn | None) -> tuple[IntensitySketch | None, ...]:
    """Per channel the voxels of any label."""
    if inside is None:
        return (None,) * len(image)
    return tuple(sketch(channel[inside.box][inside.mask]) for channel in image)
