"""From the arrays of one case to its ``CaseScan``: all that later stages must know without opening files again."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autoseg.contracts import CaseScan, IntensitySketch, TargetScan
from autoseg.intake.auditing import Loaded
from autoseg.intake.drawing import Drawing
from autoseg.volumes import intensity
from autoseg.volumes.geometry import as_stored
from autoseg.volumes.labels import Mask, Slices
from autoseg.volumes.preparation import nonzero_box


@dataclass(frozen=True, eq=False)
class Foreground:
    """Where labels are: a box in the volume, and the voxels (z, y, x) of the box."""

    box: Slices
    mask: Mask


def scan(
    case: str, loaded: Loaded, inside: Foreground | None, values: Sequence[int], targets: Sequence[TargetScan]
) -> CaseScan:
    """Measure a case.

    Args:
        case: Its name.
        loaded: Its arrays.
        inside: Where labels are; None: nowhere.
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


def foreground(drawn: Drawing, labels: int) -> Foreground | None:
    """Voxels of the first so many ``labels``; None: there are none, as where nothing is annotated."""
    mask = (drawn.part > 0) & (drawn.part <= labels)
    return Foreground(drawn.box, mask) if mask.any() else None


def sketch(values: np.ndarray) -> IntensitySketch:
    """Moments and quantiles of a non-empty set of voxel values."""
    count, mean, std, quantiles = intensity.sketch(values)
    return IntensitySketch(count=int(count), mean=float(mean), std=float(std), quantiles=tuple(map(float, quantiles)))


def _inside(image: np.ndarray, inside: Foreground | None) -> tuple[IntensitySketch | None, ...]:
    """Per channel the voxels of any label."""
    if inside is None:
        return (None,) * len(image)
    return tuple(sketch(channel[inside.box][inside.mask]) for channel in image)
