"""Sketches of intensity distributions: small, and mergeable across cases without opening a file again.

A sketch keeps the number of voxels, their mean and standard deviation (merged exactly) and 257 evenly spaced quantiles,
minimum first and maximum last (merged to within 1/256 of a rank).
"""

from collections.abc import Sequence

import numpy as np

Sketch = tuple[int, float, float, np.ndarray]
"""Count, mean, population standard deviation, quantiles (257,) float64."""

QUANTILES = 257

_CHUNK = 1 << 17  # values taken at a time, so that their wide copies stay in the processor's cache


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
    if values.dtype.kind in "iu" and values.dtype.itemsize <= 2:
        return _sketch_counted(values)
    mean, std = _moments(values)
    lower, upper, share = _ranks(values.size)
    ordered = np.sort(values)
    return values.size, mean, std, _between(ordered[lower], ordered[upper], share)


def _moments(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation in float64, without a copy of all values in float64."""
    pieces = [values[start : start + _CHUNK] for start in range(0, values.size, _CHUNK)]
    mean = float(np.sum([piece.sum(dtype=np.float64) for piece in pieces])) / values.size
    squares = np.sum([np.square(piece.astype(np.float64) - mean).sum() for piece in pieces])
    return mean, float(np.sqrt(squares / values.size))


def _sketch_counted(values: np.ndarray) -> Sketch:
    """The same from a histogram: 8 and 16 bit integers take few values, and counting is far faster than sorting."""
    low, high = int(values.min()), int(values.max())
    counts = np.zeros(high - low + 1, np.int64)
    for start in range(0, values.size, _CHUNK):
        chunk = values[start : start + _CHUNK]
        counts += np.bincount(np.subtract(chunk, low, dtype=np.intp), minlength=counts.size)
    grey = np.arange(low, high + 1, dtype=np.float64)
    mean = float(counts @ grey) / values.size
    std = float(np.sqrt(counts @ (grey - mean) ** 2 / values.size))
    lower, upper, share = _ranks(values.size)
    ends = np.cumsum(counts)  # the value of rank r is the first whose count, with all below it, exceeds r
    below, above = (grey[np.searchsorted(ends, ranks, side="right")] for ranks in (lower, upper))
    return values.size, mean, std, _between(below, above, share)


def _ranks(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ranks below and above each quantile, and its share of the way between them."""
    positions = np.linspace(0.0, size - 1.0, QUANTILES)
    lower = np.floor(positions).astype(np.int64)
    return lower, np.ceil(positions).astype(np.int64), positions - lower


def _between(below: np.ndarray, above: np.ndarray, share: np.ndarray) -> np.ndarray:
    low = below.astype(np.float64)
    return low + (above.astype(np.float64) - low) * share


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
