"""Predictions brought back to their image's grid as a whole: what ``volumes.restoring`` does piece by piece."""

import numpy as np

from autoseg.volumes.preparation import Geometry, in_canonical_order
from autoseg.volumes.resample import box_slices, resample_probabilities


def restore_probabilities(probabilities: np.ndarray, geometry: Geometry, background: int | None) -> np.ndarray:
    """(H, …) on the prepared grid to (H, z, y, x) float32 on the canonical source grid."""
    cropped = tuple(stop - start for start, stop in geometry.crop_box)
    out = np.zeros((len(probabilities), *geometry.source_shape), np.float32)
    if background is not None:
        out[background] = 1.0
    out[:, *box_slices(geometry.crop_box)] = resample_probabilities(probabilities, cropped)
    return in_canonical_order(out, geometry.axes)
