"""What is drawn in a volume, as runs: stretches of one value other than 0 along the last axis.

Organs are blobs, so a label of a hundred million voxels has some hundred thousand runs, found in one pass over it.
Voxels per value, profiles and connected components follow from the runs alone (connected components from runs:
Rosenfeld and Pfaltz, Sequential operations in digital picture processing, Journal of the ACM 13, 1966). Where runs are
short, as in noise, they save nothing, and whoever asks for them is told so.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from planners.contracts import Shape

Counts = npt.NDArray[np.int64]
Profiles = tuple[Counts, Counts, Counts]
"""Voxels of a mask in each plane (z,), row (y,) and column (x,)."""

_VOXELS_PER_RUN = 32  # to join one run takes about as long as to label so many voxels
_FIXED_VOXELS = 2**16  # and to begin with it, as long as so many


@dataclass(frozen=True, eq=False)
class Runs:
    """Runs in their order in memory.

    Positions are flat indices into a volume of shape (z, y + 1, x + 1) whose last row and column are empty. So the runs
    of two rows never meet, and all voxels have their neighbours at the same distances.

    Attributes:
        shape: (z, y, x) of the volume itself.
        values: (N,) value of each run.
        begins: (N,) position of its first voxel.
        ends: (N,) position after its last voxel.
    """

    shape: Shape
    values: np.ndarray
    begins: Counts
    ends: Counts

    def voxels(self) -> dict[int, int]:
        """Voxels of each value, in ascending order of values."""
        found, where = np.unique(self.values, return_inverse=True)
        counts = np.bincount(where, self.ends - self.begins, minlength=len(found))
        return {int(value): int(count) for value, count in zip(found, counts, strict=True)}

    def of(self, members: Sequence[int]) -> "Runs":
        """The runs, of value 1, of the mask that has all ``members``: those that touch in a row become one."""
        chosen = np.isin(self.values, members)
        begins, ends = self.begins[chosen], self.ends[chosen]
        apart = begins[1:] != ends[:-1]
        begins, ends = begins[np.append(True, apart)[: len(begins)]], ends[np.append(apart, True)[: len(ends)]]
        return Runs(self.shape, np.ones(len(begins), np.uint8), begins, ends)

    def profiles(self) -> Profiles:
        """Voxels in each plane, row and column, whatever their value."""
        depth, height, width = self.shape
        rows, begins = np.divmod(self.begins, width + 1)
        lengths = self.ends - self.begins
        planes, rows = np.divmod(rows, height + 1)
        opened, closed = (np.bincount(edge, minlength=width + 1) for edge in (begins, begins + lengths))
        by_plane, by_row = (
            np.bincount(index, lengths, minlength=extent).astype(np.int64)
            for index, extent in ((planes, depth), (rows, height))
        )
        return by_plane, by_row, np.cumsum(opened - closed)[:width]

    def component_sizes(self) -> Counts:
        """Voxels of each connected component of what is drawn, in no order."""
        return np.bincount(self.components(), self.ends - self.begins).astype(np.int64)

    def components(self) -> npt.NDArray[np.int32]:
        """Number (N,) of each run's connected component, through faces, edges and corners, from 0."""
        row = self.shape[2] + 1
        plane = row * (self.shape[1] + 1)
        pairs = [self._touching(distance) for distance in (row, plane - row, plane, plane + row)]
        one, other = np.concatenate(pairs, axis=1)
        graph = coo_array((np.ones(len(one)), (one, other)), shape=(len(self.begins),) * 2)
        return connected_components(graph, directed=False)[1]

    def indices(self, positions: Counts) -> npt.NDArray[np.intp]:
        """(z, y, x) of positions (M,), as an array (M, 3)."""
        depth, height, width = self.shape
        return np.stack(np.unravel_index(positions, (depth, height + 1, width + 1)), axis=1)

    def _touching(self, distance: int) -> npt.NDArray[np.intp]:
        """Pairs (2, M) of runs, by number, such that the first, moved by ``distance``, would touch the second.

        Runs are in order, so those that touch one run follow each other.
        """
        first = np.searchsorted(self.ends, self.begins + distance, side="left")
        count = np.searchsorted(self.begins, self.ends + distance, side="right") - first
        one = np.repeat(np.arange(len(count)), count)
        before = np.cumsum(count) - count
        return np.stack([one, np.arange(len(one)) + np.repeat(first - before, count)])


def find(array: np.ndarray, most: int | None = None) -> Runs | None:
    """The runs of an integer or boolean array (z, y, x).

    Args:
        array: Any view; planes are looked at one after the other.
        most: Give up, and return None, at more runs; by default where labelling all voxels would be faster.

    >>> found = find(np.array([[[0, 7, 7, 0], [7, 0, 0, 7]]]), most=3)
    >>> found.voxels(), found.component_sizes().tolist()
    ({7: 4}, [4])
    """
    depth, height, width = array.shape
    most = (array.size - _FIXED_VOXELS) // _VOXELS_PER_RUN if most is None else most
    framed = np.zeros(1 + (height + 1) * (width + 1), array.dtype)  # a 0 before everything, so that all runs begin
    flat = framed[1:]
    plane = flat.reshape(height + 1, width + 1)[:height, :width]
    values, begins, ends, found = [framed[:0]], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], 0
    for z in range(depth):
        plane[...] = array[z]
        edges = np.flatnonzero(flat != framed[:-1])
        value = flat[edges]
        drawn = np.flatnonzero(value)  # never the last edge, which the empty row follows
        found += len(drawn)
        if found > most:
            return None
        values.append(value[drawn])
        begins.append(edges[drawn] + z * flat.size)
        ends.append(edges[drawn + 1] + z * flat.size)
    return Runs((depth, height, width), np.concatenate(values), np.concatenate(begins), np.concatenate(ends))
