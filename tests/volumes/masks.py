"""Masks for the tests of metrics."""

import numpy as np
from scipy import ndimage


def blobs(seed: int, shape: tuple[int, int, int], share: float = 0.12) -> np.ndarray:
    """Smooth random structures, some of which touch the border."""
    noise = np.random.default_rng(seed).standard_normal(shape)
    noise = ndimage.gaussian_filter(noise, [min(n - 1, 1.5) for n in shape])
    return noise > np.quantile(noise, 1 - share)


def moved(mask: np.ndarray, seed: int) -> np.ndarray:
    """Much the same: shifted by a voxel, with other blobs beside it."""
    return np.roll(mask, 1, axis=2) & ~blobs(seed, mask.shape, 0.05) | blobs(seed + 1, mask.shape, 0.01)
