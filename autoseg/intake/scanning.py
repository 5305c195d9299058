"""From the arrays of one case to its ``CaseScan``: all that later stages must know without opening files again."""

from collections.abc import Sequence

import numpy as np

from autoseg.contracts import CaseScan, IntensitySketch, LabelSet, TargetScan
from autoseg.intake.auditing import Loaded
from autoseg.intake.targets import measure
from autoseg.volumes import intensity
from autoseg.volumes.labels import Mask, member_mask
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
        targets=tuple(targets),
    )


def targets(classes: np.ndarray, labels: LabelSet) -> tuple[TargetScan, ...]:
    """Volume, connected components, box and centre of each target in class indices (z, y, x)."""
    named = zip(labels.targets, labels.members, strict=True)
    return tuple(measure(name, member_mask(classes, members)) for name, members in named)


def foreground(classes: np.ndarray, labels: LabelSet) -> Mask:
    """Voxels of any label; unannotated ones are none."""
    return (classes > 0) & (classes <= len(labels.labels))


def sketch(values: np.ndarray) -> IntensitySketch:
    """Moments and quantiles of a non-empty set of voxel values."""
    count, mean, std, quantiles = intensity.sketch(values)
    return IntensitySketch(count=int(count), mean=float(mean), std=float(std), quantiles=tuple(map(float, quantiles)))


def _inside(channel: np.ndarray, mask: Mask | None) -> IntensitySketch | None:
    return sketch(channel[mask]) if mask is not None and mask.any() else None
