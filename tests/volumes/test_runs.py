import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from autoseg.volumes import runs
from autoseg.volumes.labels import FULL, member_mask

SHAPES = st.one_of(
    hnp.array_shapes(min_dims=3, max_dims=3, min_side=0, max_side=7),
    st.tuples(st.just(1), st.integers(1, 12), st.integers(1, 12)),
)
VOLUMES = hnp.arrays(st.sampled_from([np.uint8, np.int16, np.int64]), SHAPES, elements=st.integers(0, 3))


def all_runs(array):
    found = runs.find(array, most=array.size)
    assert found is not None
    return found


@given(VOLUMES, st.permutations(range(3)), st.sets(st.integers(1, 4), min_size=1).map(sorted))
def test_runs_measure_what_voxels_do(array, axes, members):
    for view in (array, array.transpose(axes)[::-1, :, ::-1]):
        mask = member_mask(view, members)
        found = all_runs(view).of(members)
        numbers, count = ndimage.label(mask, structure=FULL)
        assert sorted(found.component_sizes()) == sorted(np.bincount(numbers.ravel(), minlength=count + 1)[1:])
        for axis, profile in enumerate(found.profiles()):
            others = tuple(other for other in range(3) if other != axis)
            assert profile.tolist() == mask.sum(axis=others).tolist()


@given(hnp.arrays(st.sampled_from([bool, np.uint16, np.int32]), SHAPES, elements={}), st.data())
def test_voxels_are_counted(array, data):
    values, counts = np.unique(array[array != 0], return_counts=True)
    assert all_runs(array).voxels() == dict(zip(values.tolist(), counts.tolist(), strict=True))


def test_rows_and_planes_do_not_run_into_each_other():
    ends = np.zeros((2, 2, 3), np.uint8)
    ends[0, 0, 2] = ends[0, 1, 0] = ends[0, 1, 2] = ends[1, 0, 0] = 1
    assert sorted(all_runs(ends).component_sizes()) == [2, 2]


def test_values_that_touch_are_one_run_of_their_union():
    union = all_runs(np.array([[[1, 2, 2, 0, 3, 1]]])).of([1, 2])
    assert (union.begins.tolist(), union.ends.tolist()) == ([0, 5], [3, 6])


@pytest.mark.parametrize("shape", [(4, 50, 50), (1, 1, 10**6)])
def test_noise_is_better_left_to_its_voxels(shape):
    assert runs.find(np.random.default_rng(0).integers(0, 3, shape)) is None


def test_organs_are_better_taken_as_runs():
    organ = np.zeros((40, 60, 60), np.uint8)
    organ[5:35, 10:50, 10:50] = 1
    found = runs.find(organ)
    assert found is not None
    assert found.component_sizes().tolist() == [30 * 40 * 40]
