import numpy as np
import pytest
from scipy import ndimage
from skimage.transform import resize

from autoseg.volumes.resample import resample_image, resample_labels, resample_probabilities, thick_axis

CUBE = (1.0, 1.0, 1.0)
RNG = np.random.default_rng(0)


def smooth(shape):
    return ndimage.gaussian_filter(RNG.normal(0, 3, shape), 1.0).astype(np.float32)


@pytest.mark.parametrize("shape", [(13, 20, 31), (7, 9, 11), (10, 40, 16), (4, 16, 16)])
def test_images_agree_with_skimage(shape):
    image = RNG.normal(0, 1, (2, 10, 16, 16)).astype(np.float32)
    found = resample_image(image, shape, CUBE)
    assert (found.dtype, found.shape) == (np.float32, (2, *shape))
    for channel, result in zip(image, found, strict=True):
        wanted = resize(channel.astype(np.float64), shape, order=3, mode="edge", anti_aliasing=False, clip=True)
        np.testing.assert_allclose(result, wanted, atol=1e-4)


def test_long_axes_agree_too():
    """Where rows of the matrices are cut to bands."""
    image = RNG.normal(0, 1, (1, 3, 4, 300)).astype(np.float32)
    for axis, shape in ((1, (217, 3, 4)), (2, (3, 217, 4)), (3, (3, 4, 217))):
        given = np.moveaxis(image, 3, axis)
        wanted = resize(given[0].astype(np.float64), shape, order=3, mode="edge", anti_aliasing=False)
        np.testing.assert_allclose(resample_image(given, shape, CUBE)[0], wanted, atol=1e-4)


def test_equal_shape_is_the_input_itself():
    image = smooth((1, 4, 5, 6))
    labels = np.zeros((4, 5, 6), np.uint8)
    assert resample_image(image, (4, 5, 6), CUBE) is image
    assert resample_labels(labels, (4, 5, 6), CUBE) is labels
    assert resample_probabilities(image, (4, 5, 6)) is image


def test_no_overshoot():
    image = np.zeros((1, 8, 8, 8), np.float32)
    image[:, 4:] = 1
    found = resample_image(image, (19, 19, 19), CUBE)
    assert (found.min(), found.max()) == (0, 1)


def test_constants_stay_constant():
    image = np.full((1, 5, 6, 7), 1234.5, np.float32)
    np.testing.assert_array_equal(resample_image(image, (9, 4, 13), CUBE), 1234.5)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_thick_axis_takes_the_nearest_slice(axis):
    spacing = tuple(5.0 if i == axis else 1.0 for i in range(3))
    image = np.moveaxis(smooth((1, 4, 10, 10)), 1, axis + 1)
    shape = tuple(8 if i == axis else 13 for i in range(3))
    found = np.moveaxis(resample_image(image, shape, spacing)[0], axis, 0)
    for index, plane in enumerate(found):
        source = np.moveaxis(image[0], axis, 0)[index // 2].astype(np.float64)
        wanted = resize(source, (13, 13), order=3, mode="edge", anti_aliasing=False, clip=False)
        np.testing.assert_allclose(plane, np.clip(wanted, image.min(), image.max()), atol=1e-4)


def test_thick_axis_needs_one_that_stands_out():
    assert [thick_axis(mm) for mm in ((1, 1, 3.1), (3, 1, 1), (4, 4, 1), CUBE)] == [2, None, None, None]


def test_labels_agree_with_the_strongest_linear_share():
    labels = np.zeros((9, 12, 11), np.uint8)
    labels[2:7, 3:9, 2:6], labels[2:7, 3:9, 6:9], labels[3:6, 4:7, 3:5] = 1, 2, 4
    found = resample_labels(labels, (14, 17, 19), CUBE)
    shares = np.stack(
        [
            resize((labels == k).astype(np.float64), found.shape, order=1, mode="edge", anti_aliasing=False)
            for k in range(5)
        ]
    )
    first, second = np.sort(shares, axis=0)[[-1, -2]]
    clear = first > second + 1e-3
    assert clear.mean() > 0.95
    np.testing.assert_array_equal(found[clear], shares.argmax(0)[clear])
    assert found.dtype == np.uint8
    assert set(np.unique(found)) == {0, 1, 2, 4}


def test_labels_never_mix():
    """Between classes 1 and 3 there is never a 2."""
    labels = np.ones((6, 6, 6), np.uint16)
    labels[:, :, 3:] = 3
    found = resample_labels(labels, (11, 5, 17), CUBE)
    assert set(np.unique(found)) == {1, 3}
    assert found.dtype == np.uint16


def test_doubling_and_halving_returns_the_labels():
    labels = np.zeros((8, 8, 8), np.uint8)
    labels[2:5, 2:6, 3:7], labels[5:7, 2:6, 3:7] = 1, 2
    doubled = resample_labels(labels, (16, 16, 16), CUBE)
    np.testing.assert_array_equal(resample_labels(doubled, (8, 8, 8), CUBE), labels)


def test_image_and_labels_stay_aligned_along_a_thick_axis():
    labels = RNG.integers(0, 3, (5, 1, 1)).repeat(6, 1).repeat(6, 2).astype(np.uint8)
    for n in (3, 8, 10, 13):
        image = resample_image(labels[None].astype(np.float32), (n, 6, 6), (6.0, 1.0, 1.0))[0]
        np.testing.assert_array_equal(resample_labels(labels, (n, 6, 6), (6.0, 1.0, 1.0)), image)


def test_empty_labels_stay_empty():
    assert not resample_labels(np.zeros((4, 4, 4), np.uint8), (7, 3, 9), CUBE).any()


def test_probabilities_agree_with_skimage_and_sum_to_one():
    heads = RNG.dirichlet(np.ones(3), (6, 8, 7)).transpose(3, 0, 1, 2)
    for dtype in (np.float16, np.float32):
        given = heads.astype(dtype)
        found = resample_probabilities(given, (11, 5, 13))
        for head, result in zip(given, found, strict=True):
            wanted = resize(head.astype(np.float64), (11, 5, 13), order=1, mode="edge", anti_aliasing=False)
            np.testing.assert_allclose(result, wanted, atol=1e-5)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found.sum(0), 1, atol=2e-3 if dtype is np.float16 else 1e-5)


def test_single_voxels():
    assert (
        resample_image(np.full((1, 1, 1, 1), 5, np.float32), (2, 3, 4), CUBE).tolist()
        == np.full((1, 2, 3, 4), 5).tolist()
    )
    assert resample_labels(np.ones((1, 1, 1), np.uint8), (2, 3, 4), CUBE).all()
    assert resample_probabilities(np.ones((1, 4, 5, 6), np.float32), (1, 1, 1)).tolist() == [[[[1.0]]]]


def test_a_class_that_falls_between_the_new_voxels_is_gone_without_a_trace():
    labels = np.zeros((1, 1, 16), np.uint8)
    labels[0, 0, 0], labels[0, 0, 8:] = 3, 1
    assert resample_labels(labels, (1, 1, 2), (1.0, 1.0, 1.0)).ravel().tolist() == [0, 1]
