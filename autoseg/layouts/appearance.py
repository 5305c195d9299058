"""Whether a file looks like a mask or like an image, by its values."""

from pathlib import Path

import numpy as np

from autoseg import formats
from autoseg.errors import AutosegError
from autoseg.labelling import MOST_LABELS

_GLANCE_VOXELS = 2**16


def looks_like_mask(path: Path) -> bool:
    """One channel of whole numbers, at most a quarter of a percent of them different, and a large share equal.

    Segmentations consist of few plateaus; images of noise. A file that cannot be read is no mask here; the audit will
    say what is wrong with it.
    """
    try:
        array = formats.read(path, mask=True).array
    except AutosegError:
        return False
    if array.shape[0] > 1 and (array != array[:1]).any():
        return False
    if len(np.unique(array[0].ravel()[:: max(1, array[0].size // _GLANCE_VOXELS)])) > MOST_LABELS:
        return False  # sorting a whole image costs seconds
    values, counts = np.unique(array[0], return_counts=True)
    whole = bool(np.isfinite(values).all()) and bool((values == np.round(values)).all())
    few = len(values) <= min(MOST_LABELS, max(2, array[0].size // 400))
    return whole and few and bool(counts.max() >= 0.05 * array[0].size)
