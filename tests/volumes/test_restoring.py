"""Predictions that come back to their image's grid piece by piece."""

import tracemalloc
from itertools import permutations

import numpy as np
import pytest

from autoseg.volumes.preparation import Geometry
from autoseg.volumes.restoring import restored_pieces
from tests.volumes.whole import restore_probabilities


def cut(whole, sizes):
    return iter(np.split(whole, np.cumsum(sizes)[:-1], axis=1))


@pytest.mark.parametrize("background", [0, None])
@pytest.mark.parametrize("axes", list(permutations(range(3))))
@pytest.mark.parametrize("shape", [(9, 8, 7), (4, 8, 30), (17, 5, 7), (1, 1, 1)])
def test_pieces_are_those_of_the_whole(shape, axes, background):
    """Finer, coarser and equal grids, a crop, and every order of axes."""
    heads = np.random.default_rng(0).random((3, *shape), dtype=np.float32)
    box = ((40, 49), (1, 9), (0, 7))
    geometry = Geometry((52, 10, 7), (1.0, 1.0, 1.0), box, shape, (1.0, 1.0, 1.0), axes)
    sizes = [1, shape[0] // 2, shape[0] - 1 - shape[0] // 2]
    pieces = list(restored_pieces(cut(heads, sizes), geometry, background))
    found = np.concatenate(pieces, axis=1 + axes[0])
    np.testing.assert_allclose(found, restore_probabilities(heads, geometry, background), atol=1e-6)
    assert all(piece.dtype == np.float32 and piece.flags.c_contiguous for piece in pieces)


def test_the_whole_never_lies_in_memory():
    heads, rows, edge = 30, 100, 16
    box = ((0, 2 * rows), (0, 2 * edge), (0, 2 * edge))
    geometry = Geometry((2 * rows, 2 * edge, 2 * edge), (1.0,) * 3, box, (rows, edge, edge), (2.0,) * 3)
    whole_bytes = 4 * heads * 8 * rows * edge * edge
    tracemalloc.start()
    rows_made = (np.full((heads, 4, edge, edge), 1 / heads, np.float32) for _ in range(rows // 4))
    planes = sum(piece.shape[1] for piece in restored_pieces(rows_made, geometry, 0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert planes == 2 * rows
    assert peak < whole_bytes / 4
