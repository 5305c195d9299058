import math

import numpy as np
import pytest
import torch

from autoseg.learn.augment import Affine, augment, blur_axis, draw_affine, warp
from autoseg.learn.losses import IGNORED
from planners.contracts import Augmentation
from tests.learn.tiny import STILL


def rotation_z(angle):
    turn = np.eye(3)
    turn[1:, 1:] = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    return turn


def test_identity_shows_the_centre():
    image, labels = torch.randn(2, 8, 10, 6), torch.randint(0, 4, (8, 10, 6), dtype=torch.int16)
    shown, classes = warp(image, labels, Affine(np.eye(3)), (4, 6, 4))
    torch.testing.assert_close(shown, image[:, 2:6, 2:8, 1:5])
    assert torch.equal(classes, labels[2:6, 2:8, 1:5])


@pytest.mark.parametrize("dimension", [2, 3])
def test_a_quarter_turn_about_z_is_exact(dimension):
    shape = (5, 7, 7)[-dimension:]
    image, labels = torch.randn(1, *shape), torch.randint(0, 4, shape, dtype=torch.int16)
    shown, classes = warp(image, labels, Affine(rotation_z(math.pi / 2)), shape)
    # patch offset (y, x) shows source offset (-x, y)
    torch.testing.assert_close(shown, image.transpose(-1, -2).flip(-1), atol=1e-4, rtol=1e-4)
    assert torch.equal(classes, labels.transpose(-1, -2).flip(-1))


def test_outside_the_source_is_zero_and_ignored():
    image, labels = torch.ones(1, 4, 4, 4), torch.ones(4, 4, 4, dtype=torch.int16)
    shown, classes = warp(image, labels, Affine(np.eye(3) * 3.0), (4, 4, 4))
    assert shown[0, 0, 0, 0] == 0
    assert classes[0, 0, 0] == IGNORED
    assert (classes[1:3, 1:3, 1:3] == 1).all()


@pytest.mark.parametrize("patch", [(8, 8, 8), (7, 9, 10), (1, 16, 16)])
def test_source_size_holds_all_that_is_shown(patch):
    rng = np.random.default_rng(0)
    plan = Augmentation(rotation_probability=1.0, scale_probability=1.0)
    for _ in range(20):
        affine = draw_affine(rng, plan, 3)
        size = affine.source_size(patch)
        assert all((s - p) % 2 == 0 for s, p in zip(size, patch, strict=True))
        shown, classes = warp(torch.ones(1, *size), torch.ones(size, dtype=torch.int16), affine, patch)
        torch.testing.assert_close(shown, torch.ones(1, *patch))
        assert (classes == 1).all()


def test_draw_affine_keeps_planes_when_turning_about_z_alone():
    plan = Augmentation(rotation_deg=(180.0, 0.0, 0.0), rotation_probability=1.0, scale_probability=1.0)
    matrix = draw_affine(np.random.default_rng(1), plan, 3).matrix
    np.testing.assert_allclose(matrix[0], [1, 0, 0])
    np.testing.assert_allclose(matrix[:, 0], [1, 0, 0])
    assert draw_affine(np.random.default_rng(1), STILL, 3) is None


def test_augment_is_a_function_of_the_seed():
    plan = Augmentation(mirror_axes=(0, 1, 2))
    images, labels = torch.randn(6, 2, 8, 8, 8), torch.randint(0, 3, (6, 8, 8, 8))
    one, two, other = (augment(images.clone(), labels.clone(), plan, seed) for seed in (3, 3, 4))
    assert torch.equal(one[0], two[0])
    assert torch.equal(one[1], two[1])
    assert not torch.equal(one[0], other[0])


def test_mirroring_moves_image_and_labels_together():
    plan = STILL.model_copy(update={"mirror_axes": (0, 2)})
    labels = torch.arange(16 * 60).reshape(16, 3, 4, 5)
    images, moved = augment(labels[:, None].float(), labels.clone(), plan, seed=0)
    assert torch.equal(images[:, 0].long(), moved)
    expected = [{0: before, 1: before.flip(0), 2: before.flip(2), 3: before.flip((0, 2))} for before in labels]
    kinds = {k for before, after in zip(expected, moved, strict=True) for k in before if torch.equal(before[k], after)}
    assert kinds == {0, 1, 2, 3}


@pytest.mark.parametrize(
    "what",
    ["noise", "blur", "brightness", "contrast", "low_resolution", "gamma", "gamma_invert"],
)
@pytest.mark.parametrize("shape", [(4, 2, 9, 8), (4, 2, 6, 9, 8)])
def test_each_intensity_change_acts_alone_and_leaves_labels_alone(what, shape):
    plan = STILL.model_copy(update={f"{what}_probability": 1.0})
    images, labels = torch.randn(shape), torch.randint(0, 3, (shape[0], *shape[2:]))
    changed, same = augment(images.clone(), labels.clone(), plan, seed=0)
    assert torch.equal(same, labels)
    assert torch.isfinite(changed).all()
    assert all(not torch.equal(a, b) for a, b in zip(changed.flatten(0, 1), images.flatten(0, 1), strict=True))
    if what in ("contrast", "gamma", "gamma_invert"):
        torch.testing.assert_close(changed.mean(), images.mean(), atol=0.05, rtol=0)


def test_constant_images_stay_finite():
    plan = Augmentation(
        **{f"{name}_probability": 1.0 for name in ("noise", "blur", "contrast", "gamma", "low_resolution")}
    )
    assert torch.isfinite(augment(torch.full((2, 1, 6, 6, 6), 7.0), torch.zeros(2, 6, 6, 6), plan, 0)[0]).all()


def test_blur_keeps_the_sum_of_an_impulse_and_its_symmetry():
    volume = torch.zeros(9, 9)
    volume[4, 4] = 1.0
    blurred = blur_axis(blur_axis(volume, 0, 0.8), 1, 0.8)
    assert blurred.sum().item() == pytest.approx(1.0, abs=1e-5)
    torch.testing.assert_close(blurred, blurred.flip(0))
    assert blurred[4, 5] / blurred[4, 4] == pytest.approx(math.exp(-0.5 / 0.64), abs=1e-4)
