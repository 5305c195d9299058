"""Polygons to pixels."""

from collections.abc import Sequence

import numpy as np


def filled(polygons: Sequence[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Pixels whose centre lies inside an odd number of polygons (even-odd rule).

    Along each row of pixel centres, every edge that crosses the row flips all pixels to its right.

    Args:
        polygons: Each (points, 2): row and column in pixels, (0, 0) being the centre of the first.
        shape: Rows and columns.

    Returns:
        (rows, columns) bool.

    >>> square = np.array([[0.5, 0.5], [0.5, 2.5], [2.5, 2.5], [2.5, 0.5]])
    >>> filled([square], (4, 4)).astype(int)
    array([[0, 0, 0, 0],
           [0, 1, 1, 0],
           [0, 1, 1, 0],
           [0, 0, 0, 0]])
    """
    rows, columns = shape
    flips = np.zeros((rows, columns + 1), np.int32)
    for polygon in polygons:
        for (row, column), (next_row, next_column) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
            low, high = sorted((row, next_row))
            crossed = np.arange(max(0, int(np.ceil(low))), min(rows, int(np.ceil(high))))
            if len(crossed) == 0:
                continue
            at = column + (crossed - row) * (next_column - column) / (next_row - row)
            np.add.at(flips, (crossed, np.clip(np.ceil(at), 0, columns).astype(int)), 1)
    return np.asarray(np.cumsum(flips[:, :columns], axis=1) % 2 == 1)
