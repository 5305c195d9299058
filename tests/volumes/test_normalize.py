import numpy as np
import pytest

from autoseg.volumes.normalize import normalize

IMAGE = np.random.default_rng(0).normal(40, 300, (4, 5, 6)).astype(np.int16)


def test_ct_clips_then_uses_the_numbers_of_the_plan():
    found = normalize(IMAGE, "ct", lower=-100.0, upper=200.0, mean=50.0, std=20.0)
    np.testing.assert_allclose(found, (np.clip(IMAGE, -100, 200) - 50.0) / 20.0, rtol=1e-5)
    assert found.dtype == np.float32
    with pytest.raises(ValueError, match="needs lower"):
        normalize(IMAGE, "ct", lower=0.0)


def test_zscore_has_zero_mean_and_unit_variance():
    found = normalize(IMAGE, "zscore")
    assert found.mean() == pytest.approx(0, abs=1e-5)
    assert found.std() == pytest.approx(1, abs=1e-5)


def test_rescale_reaches_zero_and_one():
    found = normalize(IMAGE, "rescale_to_0_1")
    assert (found.min(), found.max()) == (0.0, pytest.approx(1.0))


def test_colours_and_no_scheme():
    colours = np.array([[[0, 51, 255]]], np.uint8)
    np.testing.assert_allclose(normalize(colours, "rgb_to_0_1"), [[[0, 0.2, 1]]], rtol=1e-6)
    assert normalize(colours, "none").tolist() == [[[0.0, 51.0, 255.0]]]


@pytest.mark.parametrize("scheme", ["zscore", "rescale_to_0_1"])
def test_statistics_inside_the_nonzero_leave_the_outside_at_zero(scheme):
    image = np.zeros((3, 4, 4), np.float32)
    image[1] = np.arange(1, 17).reshape(4, 4)
    found = normalize(image, scheme, inside_nonzero=True)
    assert not found[[0, 2]].any()
    np.testing.assert_allclose(found[1], normalize(image[1:2], scheme)[0], rtol=1e-6)


@pytest.mark.parametrize("scheme", ["zscore", "rescale_to_0_1", "none"])
@pytest.mark.parametrize("inside", [True, False])
def test_constant_images_stay_finite(scheme, inside):
    for value in (0.0, 0.1, 12345.678):
        found = normalize(np.full((2, 3, 3), value, np.float32), scheme, inside_nonzero=inside)
        assert np.isfinite(found).all()
        if scheme != "none":
            assert np.abs(found).max() < 1e-3


def test_the_image_is_never_changed():
    image = IMAGE.astype(np.float32)
    for scheme in ("zscore", "rescale_to_0_1", "rgb_to_0_1", "none"):
        normalize(image, scheme, inside_nonzero=True)
    normalize(image, "ct", lower=0.0, upper=1.0, mean=0.0, std=1.0)
    np.testing.assert_array_equal(image, IMAGE)
