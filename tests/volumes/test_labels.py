import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from autoseg.errors import LabelError
from autoseg.labelling import to_classes
from autoseg.volumes import labels

MM = (1.0, 1.0, 1.0)


def two_blocks() -> np.ndarray:
    mask = np.zeros((8, 8, 8), dtype=bool)
    mask[0:3, 0:3, 0:3] = True  # 27 voxels
    mask[6:8, 6:8, 6:8] = True  # 8 voxels
    return mask


@given(hnp.arrays(np.float32, (4, 3, 5, 2), elements=st.floats(0, 1, width=16)))
def test_exclusive_classes_are_the_argmax(probabilities):
    assert np.array_equal(labels.to_classes(probabilities, "exclusive"), probabilities.argmax(0))


def test_to_classes_leaves_its_input_alone():
    probabilities = np.random.default_rng(0).random((3, 2, 4, 4)).astype(np.float32)
    before = probabilities.copy()
    labels.to_classes(probabilities, "exclusive")
    assert np.array_equal(probabilities, before)


def test_regions_are_painted_in_order():
    whole, core = np.zeros((2, 1, 1, 4), dtype=np.float32)
    whole[0, 0, :3], core[0, 0, 1] = 0.9, 0.8
    core[0, 0, 2] = 0.5  # not over 0.5
    assert labels.to_classes(np.stack([whole, core]), "regions", (1, 2)).tolist() == [[[1, 2, 1, 0]]]


def test_many_classes_need_a_wider_dtype():
    assert labels.to_classes(np.zeros((256, 1, 1, 1)), "exclusive").dtype == np.uint8
    assert labels.to_classes(np.zeros((257, 1, 1, 1)), "exclusive").dtype == np.uint16


def test_paint_needs_a_class_per_mask():
    with pytest.raises(ValueError, match="2 masks but 1 classes"):
        labels.paint(np.zeros((2, 1, 1, 1), dtype=bool), (1,))


def test_member_mask_is_a_union():
    assert labels.member_mask(np.array([[[0, 1, 2, 3]]]), (1, 3)).tolist() == [[[False, True, False, True]]]


def test_largest_component_goes_by_voxels():
    kept = labels.largest_component(two_blocks())
    assert kept.sum() == 27
    assert kept[0, 0, 0]


def test_corners_connect():
    mask = np.zeros((4, 4, 4), dtype=bool)
    mask[0, 0, 0] = mask[1, 1, 1] = mask[3, 3, 3] = True
    assert labels.largest_component(mask).sum() == 2


def test_small_components_go_by_volume_not_by_voxels():
    assert labels.without_small(two_blocks(), 10.0, MM).sum() == 27
    assert labels.without_small(two_blocks(), 10.0, (2.0, 1.0, 1.0)).sum() == 35  # 16 mm3 now
    assert labels.without_small(two_blocks(), 8.0, MM).sum() == 35  # exactly the minimum stays
    assert labels.without_small(two_blocks(), 100.0, MM).sum() == 0


def test_holes_are_closed_pockets_only():
    mask = np.ones((5, 5, 5), dtype=bool)
    mask[2, 2, 2] = False
    assert labels.with_holes_filled(mask).all()
    mask[2, 2, 3:] = False  # a tunnel to the border
    assert np.array_equal(labels.with_holes_filled(mask), mask)


def test_holes_of_a_plane_are_holes():
    ring = np.ones((1, 5, 5), dtype=bool)
    ring[0, 2, 2] = False
    assert labels.with_holes_filled(ring).all()
    assert labels.holes(ring).sum() == 1


def test_holes_are_numbered():
    mask = np.ones((3, 3, 7), dtype=bool)
    mask[1, 1, 1] = mask[1, 1, 5] = False
    assert sorted(np.unique(labels.holes(mask)).tolist()) == [0, 1, 2]


def test_clean_works_in_the_stated_order():
    mask = two_blocks()
    mask[1, 1, 1] = False
    rules = {"keep_largest": True, "minimum_mm3": 10.0, "fill_holes": True}
    assert labels.clean(mask, MM, **rules).sum() == 27
    nothing = {"keep_largest": False, "minimum_mm3": 0.0, "fill_holes": False}
    same = labels.clean(mask, MM, **nothing)
    assert np.array_equal(same, mask)
    assert same is not mask


@pytest.mark.parametrize("shape", [(0, 0, 0), (3, 3, 3), (1, 4, 4)])
def test_an_empty_mask_stays_empty(shape):
    empty = np.zeros(shape, dtype=bool)
    assert labels.clean(empty, MM, keep_largest=True, minimum_mm3=5.0, fill_holes=True).shape == shape
    assert not labels.clean(empty, MM, keep_largest=True, minimum_mm3=5.0, fill_holes=True).any()


@given(
    hnp.arrays(st.sampled_from([bool, np.int16]), hnp.array_shapes(min_dims=3, max_dims=3, max_side=6), elements={}),
    st.permutations(range(3)),
    st.tuples(*[st.sampled_from([slice(None), slice(None, None, -1)])] * 3),
)
def test_bounding_slices_are_tight(values, axes, turns):
    view = values.transpose(axes)[turns]
    found, mask = labels.bounding_slices(view), view != 0
    if found is None:
        assert not mask.any()
    else:
        assert mask[found].sum() == mask.sum()
        assert all(mask[found].any(axis=axis).any() for axis in range(3))
        assert all(np.take(mask[found], end, axis=axis).any() for axis in range(3) for end in (0, -1))


@pytest.mark.parametrize(
    ("values", "background", "dtype"),
    [
        ((255,), 0, "uint8"),
        ((300,), 0, "uint16"),
        ((-1, 5), 0, "int16"),
        ((70000,), 0, "int32"),
        ((1,), -2, "int16"),
        ((2**40,), 0, "int64"),
    ],
)
def test_file_values_round_trip_in_the_narrowest_dtype(values, background, dtype):
    classes = np.arange(len(values) + 1, dtype=np.uint8).reshape(1, 1, -1)
    written = labels.to_file_values(classes, values, background)
    assert written.dtype == dtype
    assert written.ravel().tolist() == [background, *values]
    back = {background: 0} | {value: index for index, value in enumerate(values, start=1)}
    assert np.array_equal(to_classes(written, back), classes)


def test_values_beyond_64_bits_are_refused():
    with pytest.raises(LabelError, match="64 bits"):
        labels.to_file_values(np.zeros((1, 1, 1), dtype=np.uint8), (2**70,))


def test_smoothing_rounds_corners_and_takes_specks_away_in_mm():
    mask = np.zeros((20, 20, 20), dtype=bool)
    mask[4:16, 4:16, 4:16] = True
    mask[1, 1, 1] = True
    smooth = labels.smoothed(mask, 1.0, (1.0, 1.0, 1.0))
    assert not smooth[1, 1, 1]
    assert not smooth[4, 4, 4]  # a corner
    assert smooth[4, 10, 10]  # a face stays where it is
    assert smooth.sum() < mask.sum()
    assert np.array_equal(labels.smoothed(mask, 2.0, (2.0, 2.0, 2.0)), smooth)
    crop = (slice(1, 16),) * 3
    assert np.array_equal(labels.smoothed(mask[crop], 1.0, (1.0, 1.0, 1.0)), smooth[crop])


def test_smoothing_a_plane_does_not_empty_it():
    mask = np.zeros((1, 30, 30), dtype=bool)
    mask[0, 5:25, 5:25] = True
    smooth = labels.smoothed(mask, 1.0, (1.0, 1.0, 1.0))
    assert smooth[0, 6:24, 6:24].sum() > 320
    assert not labels.smoothed(np.zeros((1, 4, 4), dtype=bool), 1.0, (1.0, 1.0, 1.0)).any()


def test_biases_shift_decisions():
    heads = np.array([0.5, 0.3, 0.2]).reshape(3, 1)
    assert labels.to_classes(heads, "exclusive").item() == 0
    assert labels.to_classes(heads, "exclusive", biases=(0.6, 0.0)).item() == 1
    assert labels.to_classes(heads, "exclusive", biases=(0.6, 1.1)).item() == 2
    regions = np.array([0.4, 0.6]).reshape(2, 1)
    assert labels.over_threshold(regions, (0.5, -0.5)).ravel().tolist() == [True, False]
    nested = labels.to_classes(regions, "regions", (1, 2), parents=(None, 0))
    assert nested.item() == 0  # the inner region alone is not kept
    assert labels.to_classes(regions, "regions", (1, 2)).item() == 2
