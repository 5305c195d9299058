"""Sketches of intensity distributions: small, and mergeable across cases without opening a file again.

A sketch keeps the number of voxels, their mean and standard deviation (merged exactly) and 257 evenly spaced quantiles,
minimum first and maximum last (merged to within 1/256 of a rank).
"""

from collections.abc import Sequence

import numpy as np

Sketch = tuple[int, float, float, np.ndarray]
"""Count, mean, population standard deviation, quantiles (257,) float64."""

QUANTILES = 257


def sketch(values: np.ndarray) -> Sketch:
    """Summarize a set of values.

    Args:
        values: 1D, any real dtype, at least one value, all finite.

    Raises:
        ValueError: There is no value.

    >>> count, mean, std, quantiles = sketch(np.arange(257))
    >>> count, mean, float(quantiles[0]), float(quantiles[128]), float(quantiles[256])
    (257, 128.0, 0.0, 128.0, 256.0)
    """
    if values.size == 0:
        raise ValueError("cannot sketch an empty set of values")
    mean = float(values.mean(dtype=np.float64))
    std = float(values.std(dtype=np.float64))
    return values.size, mean, std, _quantiles(values)


def _quantiles(values: np.ndarray) -> np.ndarray:
    positions = np.linspace(0.0, values.size - 1.0, QUANTILES)
    lower = np.floor(positions).astype(np.int64)
    upper = np.ceil(positions).astype(np.int64)
    needed = np.unique(np.concatenate([lower, upper]))
    ordered = np.partition(values, needed) if needed.size < values.size else np.sort(values)
    below, above = ordered[lower].astype(np.float64), ordered[upper].astype(np.float64)
    return below + (above - below) * (positions - lower)


def merge(sketches: Sequence[Sketch]) -> Sketch:
    """The sketch of all sets taken together.

    Raises:
        ValueError: There is no sketch.
    """
    if not sketches:
        raise ValueError("cannot merge an empty list of sketches")
    if len(sketches) == 1:
        return sketches[0]
    counts = np.array([count for count, _, _, _ in sketches], np.float64)
    means = np.array([mean for _, mean, _, _ in sketches])
    variances = np.array([std**2 for _, _, std, _ in sketches])
    shares = counts / counts.sum()
    mean = float(shares @ means)
    variance = float(shares @ (variances + (means - mean) ** 2))
    return int(counts.sum()), mean, float(np.sqrt(variance)), _merge_quantiles(sketches, shares)


def _merge_quantiles(sketches: Sequence[Sketch], shares: np.ndarray) -> np.ndarray:
    """Each quantile stands for the ranks around it, half as many at the two ends; pool, sort, and read off again."""
    weight = np.full(QUANTILES, 1.0 / (QUANTILES - 1))
    weight[[0, -1]] /= 2
    values = np.concatenate([np.asarray(quantiles, np.float64) for _, _, _, quantiles in sketches])
    weights = np.outer(shares, weight).ravel()
    order = np.argsort(values, kind="stable")
    values, weights = values[order], weights[order]
    ranks = np.cumsum(weights) - weights / 2
    merged = np.interp(np.linspace(0.0, 1.0, QUANTILES), ranks, values)
    merged[0], merged[-1] = values[0], values[-1]
    return merged


def percentile(merged: Sketch, q: float) -> float:
    """The q-th percentile (0 to 100), linear between the quantiles.

    >>> percentile(sketch(np.arange(1001)), 99.5)
    995.0
    """
    return float(np.interp(q / 100 * (QUANTILES - 1), np.arange(QUANTILES), merged[3]))
