import numpy as np
import pytest

from autoseg.volumes import identity


def image():
    return np.random.default_rng(0).integers(-1000, 3000, (1, 9, 70, 80)).astype(np.int16)


@pytest.mark.parametrize("dtype", [np.int32, np.float32, np.float64])
def test_the_number_type_does_not_count(dtype):
    assert identity.of_image(image().astype(dtype)) == identity.of_image(image())


def test_negative_zero_is_zero():
    assert identity.of_image(np.full((1, 1, 2, 2), -0.0)) == identity.of_image(np.zeros((1, 1, 2, 2), np.uint8))


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a[:, ::-1],
        lambda a: np.swapaxes(a, 2, 3),
        lambda a: a.reshape(1, 9, 80, 70),
        lambda a: a + np.int16(1),
        lambda a: np.concatenate([a, a + np.int16(1)]),
        lambda a: np.where(np.arange(a.size).reshape(a.shape) == a.size - 1, a + 1, a),
    ],
)
def test_any_change_of_voxels_counts(change):
    assert identity.of_image(change(image())) != identity.of_image(image())


def test_large_images_are_compared_at_a_lattice(monkeypatch):
    monkeypatch.setattr(identity, "SAMPLED_VOXELS", 1000)
    assert identity.of_image(image()) == identity.of_image(image().astype(np.float32))
    assert identity.of_image(image()) != identity.of_image(image()[:, ::-1])
    assert identity.of_image(image()) != identity.of_image(image() + np.int16(1))
