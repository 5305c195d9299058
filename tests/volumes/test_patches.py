import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoseg.volumes.patches import SIZE_EXPONENT, corner_around, foreground_locations, gather, random_corner

SIZES = st.tuples(*[st.integers(1, 12)] * 3)


def test_locations_are_capped_drawn_from_the_target_and_repeatable():
    labels = np.zeros((10, 10, 10), np.uint8)
    labels[2:8, 2:8, 2:8] = 3
    tables = foreground_locations(labels, [(1,), (3,), (1, 3)], seed=1, limit=50)
    assert [len(t) for t in tables] == [0, 50, 50]
    assert (labels[tuple(tables[1].T)] == 3).all()
    assert len(np.unique(tables[1], axis=0)) == 50
    again = foreground_locations(labels, [(1,), (3,), (1, 3)], seed=1, limit=50)
    assert all(np.array_equal(a, b) for a, b in zip(tables, again, strict=True))


def test_small_components_are_not_drowned_by_large_ones():
    labels = np.zeros((20, 40, 40), np.uint8)
    labels[2:18, 2:34, 2:34] = 1  # 16384 voxels
    labels[9:11, 36:38, 36:38] = 1  # 8
    (table,) = foreground_locations(labels, [(1,)], seed=0)
    assert len(table) == 4096
    assert labels[tuple(table.T)].all()
    share = (table[:, 1] >= 36).mean()
    expected = 8**SIZE_EXPONENT / (8**SIZE_EXPONENT + 16384**SIZE_EXPONENT)
    assert share == pytest.approx(expected, rel=0.25)  # evenly drawn, it would be 0.0005
    assert share > 30 * 8 / 16384


def test_all_of_a_small_target_is_kept():
    labels = np.zeros((3, 5, 4), np.uint8)
    labels[1, 1:4, 1:3] = 2
    (table,) = foreground_locations(labels, [(2,)], seed=0)
    assert table.tolist() == np.argwhere(labels).tolist()


@given(SIZES, SIZES, st.integers(0, 5))
def test_corners_keep_the_patch_inside_or_the_volume_inside_the_patch(shape, size, seed):
    rng = np.random.default_rng(seed)
    voxel = [int(rng.integers(n)) for n in shape]
    for corner in (random_corner(shape, size, rng), corner_around(voxel, shape, size, rng)):
        for c, s, n in zip(corner, size, shape, strict=True):
            assert (0 <= c <= n - s) if s <= n else (n - s <= c <= 0)


@given(SIZES, SIZES, st.integers(0, 5))
def test_the_voxel_asked_for_is_in_the_patch(shape, size, seed):
    rng = np.random.default_rng(seed)
    voxel = [int(rng.integers(n)) for n in shape]
    corner = corner_around(voxel, shape, size, rng)
    assert all(c <= v < c + s for c, v, s in zip(corner, voxel, size, strict=True))


@given(SIZES, SIZES, st.tuples(*[st.integers(-15, 15)] * 3))
def test_gather_equals_padding_and_cutting(shape, size, corner):
    array = np.arange(2 * np.prod(shape)).reshape(2, *shape)
    padded = np.pad(array, [(0, 0), *[(30, 30)] * 3], constant_values=-7)
    cut = padded[(slice(None), *(slice(30 + c, 30 + c + s) for c, s in zip(corner, size, strict=True)))]
    assert np.array_equal(gather(array, corner, size, -7), cut)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_gather_changes_the_type_on_demand(dtype):
    patch = gather(np.ones((2, 2, 2), dtype), (-1, 0, 0), (2, 2, 2), -1, np.int16)
    assert patch.dtype == np.int16
    assert patch[:, 0, 0].tolist() == [-1, 1]
