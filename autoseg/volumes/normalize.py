"""Intensities to network input, channel by channel. Everything here depends on one image and constants of the plan."""

from typing import Literal

import numpy as np

Scheme = Literal["ct", "zscore", "rescale_to_0_1", "rgb_to_0_1", "none"]

_SMALLEST = 1e-8
"""Divisors are kept above this, so that constant images become zero instead of NaN."""


def normalize(
    channel: np.ndarray,
    scheme: Scheme,
    *,
    inside_nonzero: bool = False,
    lower: float | None = None,
    upper: float | None = None,
    mean: float | None = None,
    std: float | None = None,
) -> np.ndarray:
    """Normalize one channel.

    Args:
        channel: (z, y, x), any real dtype; not changed.
        scheme: ``ct``: clip to [lower, upper], subtract mean, divide by std. ``zscore``: zero mean and unit variance of
            this image. ``rescale_to_0_1``: this image's minimum to 0, maximum to 1. ``rgb_to_0_1``: divide by 255.
            ``none``: as is.
        inside_nonzero: Take ``zscore`` and ``rescale_to_0_1`` from non-zero voxels only and leave zeros at 0.
        lower: Lower bound for ``ct``, as below.
        upper: Upper bound.
        mean: Mean.
        std: Standard deviation.

    Returns:
        (z, y, x) float32, a new array unless the scheme is ``none`` and the channel float32.

    Raises:
        ValueError: ``ct`` without its four numbers.
    """
    values = channel.astype(np.float32, copy=scheme != "none")
    if scheme == "none":
        return values
    if scheme == "rgb_to_0_1":
        values *= np.float32(1 / 255)
    elif scheme == "ct":
        if lower is None or upper is None or mean is None or std is None:
            raise ValueError(f"ct needs lower, upper, mean and std, got {lower}, {upper}, {mean}, {std}")
        np.clip(values, lower, upper, out=values)
        _shift_and_scale(values, mean, std)
    elif inside_nonzero:
        inside = values != 0
        chosen = values[inside]
        values[inside] = _by_own_statistics(chosen, scheme) if chosen.size else chosen
    else:
        _by_own_statistics(values, scheme)
    return values


def _by_own_statistics(values: np.ndarray, scheme: Scheme) -> np.ndarray:
    """In place, and returned."""
    if scheme == "rescale_to_0_1":
        low, high = float(values.min()), float(values.max())
        return _shift_and_scale(values, low, high - low)
    values -= np.float32(values.mean(dtype=np.float64))
    std = float(np.sqrt(np.square(values).mean(dtype=np.float64)))
    return _shift_and_scale(values, 0.0, std)


def _shift_and_scale(values: np.ndarray, shift: float, scale: float) -> np.ndarray:
    values -= np.float32(shift)
    values *= np.float32(1.0 / max(scale, _SMALLEST))
    return values
