import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoseg.errors import DataError
from autoseg.volumes.preparation import nonzero_box, prepare, prepare_labels
from planners.contracts import Normalization
from tests.volumes.whole import restore_probabilities

AS_IS = (Normalization(channel="c", scheme="none"),)


def framed(dtype=np.int16):
    image = np.zeros((1, 10, 12, 14), dtype)
    image[0, 2:8, 3:9, 4:12] = np.random.default_rng(0).integers(1, 100, (6, 6, 8))
    return image


def test_the_zero_margin_is_cropped_and_the_rest_is_kept():
    image = framed()
    found, geometry = prepare(image, (2.0, 1.0, 1.0), (2.0, 1.0, 1.0), AS_IS)
    assert geometry.crop_box == ((2, 8), (3, 9), (4, 12))
    assert (geometry.source_shape, geometry.shape) == ((10, 12, 14), (6, 6, 8))
    assert geometry.spacing_mm == geometry.source_spacing_mm == (2.0, 1.0, 1.0)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, image[:, 2:8, 3:9, 4:12])


def test_any_channel_keeps_a_voxel_and_nothing_keeps_everything():
    image = np.zeros((2, 5, 6, 7))
    assert nonzero_box(image) == ((0, 5), (0, 6), (0, 7))
    image[0, 1, 2, 3] = 1
    image[1, 3, 2, 6] = -1
    assert nonzero_box(image) == ((1, 4), (2, 3), (3, 7))


def test_shape_follows_spacing_and_spacing_follows_shape():
    image = np.ones((1, 10, 12, 13), np.float32)
    _, geometry = prepare(image, (3.0, 1.0, 1.0), (2.0, 2.0, 2.0), AS_IS)
    assert geometry.shape == (15, 6, 6)
    assert geometry.spacing_mm == pytest.approx((2.0, 2.0, 13 / 6))


def test_slices_keep_their_spacing_where_the_plan_says_none():
    image = np.random.default_rng(0).normal(5, 1, (1, 7, 10, 10)).astype(np.float32)
    found, geometry = prepare(image, (4.0, 1.0, 1.0), (None, 0.5, 0.5), AS_IS)
    assert geometry.shape == (7, 20, 20)
    assert geometry.spacing_mm == (4.0, 0.5, 0.5)
    alone, _ = prepare(image[:, 3:4], (4.0, 1.0, 1.0), (None, 0.5, 0.5), AS_IS)
    clamped = np.clip(found[:, 3:4], alone.min(), alone.max())  # a slice alone has a smaller range to be clamped to
    np.testing.assert_allclose(clamped, alone, atol=1e-5)


def test_at_least_one_voxel_remains():
    _, geometry = prepare(np.ones((1, 1, 3, 3)), (1.0, 1.0, 1.0), (50.0, 50.0, 50.0), AS_IS)
    assert geometry.shape == (1, 1, 1)


def test_each_channel_follows_its_rule_before_resampling():
    image = np.stack([framed()[0], framed()[0] * 2]).astype(np.int16)
    rules = (
        Normalization(channel="a", scheme="ct", lower=0.0, upper=50.0, mean=10.0, std=5.0),
        Normalization(channel="b", scheme="zscore", inside_nonzero=True),
    )
    found, _ = prepare(image, (1.0, 1.0, 1.0), (1.0, 1.0, 1.0), rules)
    assert found[0].max() == pytest.approx(8.0)
    assert found[1].mean() == pytest.approx(0, abs=1e-5)


def test_wrong_channels_and_broken_voxels_are_errors():
    with pytest.raises(DataError, match="has 1 channels, expected 2"):
        prepare(framed(), (1.0, 1.0, 1.0), (1.0, 1.0, 1.0), AS_IS * 2)
    image = framed(np.float32)
    image[0, 4, 4, 5] = np.nan
    with pytest.raises(DataError, match="channel 0 .* NaN"):
        prepare(image, (1.0, 1.0, 1.0), (1.0, 1.0, 1.0), AS_IS)


def test_labels_lie_on_the_prepared_grid():
    image = framed()
    labels = (image[0] > 50).astype(np.uint8)
    found, geometry = prepare(image, (1.0, 1.0, 1.0), (1.0, 1.0, 1.0), AS_IS)
    np.testing.assert_array_equal(prepare_labels(labels, geometry), found[0] > 50)
    _, finer = prepare(image, (1.0, 1.0, 1.0), (0.5, 0.5, 0.5), AS_IS)
    made = prepare_labels(labels, finer)
    assert (made.shape, made.dtype, made.flags.c_contiguous) == ((12, 12, 16), np.uint8, True)


@pytest.mark.parametrize("background", [0, None])
def test_predictions_return_to_the_source_grid(background):
    image = framed()
    heads = np.zeros((2, 6, 6, 8), np.float32)
    heads[1] = 1
    _, geometry = prepare(image, (1.0, 1.0, 1.0), (1.0, 1.0, 1.0), AS_IS)
    found = restore_probabilities(heads, geometry, background)
    inside = image[0] > 0
    assert found.shape == (2, 10, 12, 14)
    assert (found[1] == inside).all()
    assert (found[0] == (0 if background is None else ~inside)).all()


@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(*[st.integers(1, 14)] * 3),
    spacing=st.tuples(*[st.floats(0.3, 5)] * 3),
    target=st.tuples(st.one_of(st.none(), st.floats(0.4, 4)), st.floats(0.4, 4), st.floats(0.4, 4)),
)
def test_there_and_back_keeps_shape_and_certainty(shape, spacing, target):
    image = np.random.default_rng(0).integers(0, 3, (1, *shape)).astype(np.int16)
    found, geometry = prepare(image, spacing, target, (Normalization(channel="c", scheme="zscore"),))
    assert found.shape == (1, *geometry.shape)
    assert np.isfinite(found).all()
    ones = np.concatenate([np.ones_like(found), np.zeros_like(found)])
    back = restore_probabilities(ones, geometry, 0)
    assert back.shape == (2, *shape)
    np.testing.assert_allclose(back[0], 1, atol=1e-5)


def test_a_ball_survives_the_round_trip():
    z, y, x = np.ogrid[:24, :24, :24]
    ball = ((z - 11.5) ** 2 + (y - 11.5) ** 2 + (x - 11.5) ** 2 < 64).astype(np.uint8)
    image = np.ones((1, 24, 24, 24), np.float32)
    _, geometry = prepare(image, (2.0, 1.0, 1.0), (1.5, 1.4, 0.8), AS_IS)
    made = prepare_labels(ball, geometry)
    back = restore_probabilities(np.stack([made == 0, made == 1]).astype(np.float32), geometry, 0).argmax(0)
    assert 2 * (back & ball).sum() / (back.sum() + ball.sum()) > 0.95


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 0, 2), (2, 0, 1), (1, 2, 0)])
def test_other_working_axes_are_the_same_volume_turned(axes):
    image = framed()
    labels = (image[0] > 50).astype(np.uint8)
    spacing, target = (3.0, 2.0, 1.0), (1.5, 1.0, 1.25)
    expected, straight = prepare(image, spacing, target, AS_IS)
    turned_target = tuple(target[axis] for axis in axes)
    found, geometry = prepare(image, spacing, turned_target, AS_IS, axes)
    np.testing.assert_allclose(found[0], expected[0].transpose(axes), atol=1e-4)
    np.testing.assert_array_equal(prepare_labels(labels, geometry), prepare_labels(labels, straight).transpose(axes))
    heads = np.stack([found[0], 1 - found[0]])
    back = restore_probabilities(heads, geometry, 0)
    assert back.flags.c_contiguous
    there = restore_probabilities(np.stack([expected[0], 1 - expected[0]]), straight, 0)
    np.testing.assert_allclose(back, there, atol=1e-3)


def test_each_case_can_put_its_thickest_axis_first():
    image = framed()
    found, geometry = prepare(image, (1.0, 1.0, 3.0), (3.0, 1.0, 1.0), AS_IS, None)
    assert geometry.axes == (2, 0, 1)
    assert found.shape == (1, 8, 6, 6)
    back = restore_probabilities(np.stack([found[0], found[0]]), geometry, None)
    np.testing.assert_allclose(back[1], image[0], atol=1e-3)
