"""A mask kept as the parts of slices that hold something, eight pixels to a byte.

A hundred structures of one scan take less memory so than two of them as volumes; each becomes a volume only while it is
looked at.
"""

from typing import NamedTuple

import numpy as np

from autoseg.volumes.labels import Mask


class _Part(NamedTuple):
    """A box in a slice, and its pixels."""

    number: int
    rows: slice
    columns: slice
    packed: np.ndarray


class SparseMask:
    """A mask (z, y, x) that is put together slice by slice.

    Args:
        shape: Of the volume.

    >>> mask = SparseMask((2, 3, 3))
    >>> mask.add(1, np.eye(3, dtype=bool))
    >>> bool(mask), mask.dense().sum(axis=(1, 2)).tolist()
    (True, [0, 3])
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.shape = shape
        self._parts: list[_Part] = []

    def __bool__(self) -> bool:
        """Whether it holds anything."""
        return bool(self._parts)

    def unite(self, mask: Mask) -> None:
        """Take in what a whole mask (z, y, x) holds."""
        for number, plane in enumerate(mask):
            self.add(number, plane)

    def add(self, number: int, plane: Mask) -> None:
        """Take in what a plane (y, x) holds, in slice ``number``."""
        rows, columns = (np.flatnonzero(plane.any(axis=axis)) for axis in (1, 0))
        if rows.size == 0:
            return
        down, right = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        self._parts.append(_Part(number, down, right, np.packbits(plane[down, right])))

    def dense(self) -> Mask:
        """The whole mask (z, y, x) as bool, a new array."""
        mask = np.zeros(self.shape, np.bool_)
        for number, rows, columns, packed in self._parts:
            inner = mask[number, rows, columns]
            inner |= np.unpackbits(packed, count=inner.size).view(np.bool_).reshape(inner.shape)
        return mask
