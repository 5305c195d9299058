import math

import numpy as np
import pytest
import torch
from batchgenerators.augmentations import utils as batchgenerators
from scipy import ndimage

from autoseg.learn.augmentation import Geometry, geometry, show
from autoseg.learn.augmentation.geometry import Affine, warp

TURNS = [
    ((8, 9, 10), (0.4, -0.3, 0.5), (0.8, 0.8, 0.8)),
    ((7, 12, 12), (0.9, 0.0, 0.0), (1.0, 1.4, 1.4)),  # thick slices, which keep their plane
    ((1, 6, 5), (0.2, 0.1, 0.0), (1.3, 1.3, 1.3)),
    ((5, 6, 7), (0.0, 0.0, 0.0), (0.7, 0.7, 0.7)),
    ((9, 16), (2.5,), (1.2, 1.2)),
]


def made(size, channels=2, seed=0):
    """A random source: channels and labels."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.randn(channels, *size, generator=generator)
    return image, torch.randint(0, 4, size, generator=generator, dtype=torch.int16)


def coordinates(affine, patch, source):
    """Where each patch voxel lies in the source, by numpy."""
    grid = np.stack(np.meshgrid(*[np.arange(n) - (n - 1) / 2 for n in patch], indexing="ij"))
    centre = (np.asarray(source).reshape(-1, *[1] * len(patch)) - 1) / 2
    return np.tensordot(affine.matrix, grid, 1) + centre


@pytest.mark.parametrize(("patch", "angles", "extent"), TURNS)
def test_agrees_with_scipy_and_needs_nothing_outside_the_source(patch, angles, extent):
    affine = Affine.composed(angles, extent)
    image, labels = made(affine.source_size(patch))
    shown, classes = warp(image, labels, affine, patch)
    where = coordinates(affine, patch, labels.shape)
    assert (where > -1e-9).all()
    for channel, result in zip(image, shown, strict=True):
        expected = ndimage.map_coordinates(channel.numpy(), where, order=1)
        np.testing.assert_allclose(result, expected, atol=1e-4)
    clear = (np.abs(where - np.floor(where) - 0.5) > 1e-3).all(axis=0)  # not half-way between two labels
    np.testing.assert_array_equal(classes[clear], ndimage.map_coordinates(labels.numpy(), where, order=0)[clear])
    assert clear.any()


def test_agrees_with_batchgenerators():
    patch, (x, y, z), scale = (10, 12, 14), (0.3, -0.4, 0.2), 1.2
    affine = Affine.composed((-x, -y, -z), (scale,) * 3)  # theirs multiply from the other side
    image, labels = made(affine.source_size(patch), channels=1)
    where = batchgenerators.create_zero_centered_coordinate_mesh(patch)
    where = batchgenerators.scale_coords(batchgenerators.rotate_coords_3d(where, x, y, z), scale)
    where += (np.asarray(labels.shape).reshape(3, 1, 1, 1) - 1) / 2
    shown, classes = warp(image, labels, affine, patch)
    np.testing.assert_allclose(shown[0], batchgenerators.interpolate_img(image[0].numpy(), where, 1), atol=1e-4)
    np.testing.assert_array_equal(classes, batchgenerators.interpolate_img(labels.numpy(), where, 0, is_seg=True))


@pytest.mark.parametrize(("patch", "angles", "extent"), TURNS)
def test_a_source_one_voxel_smaller_would_not_do(patch, angles, extent):
    affine = Affine.composed(angles, extent)
    source = affine.source_size(patch)
    assert all((s - p) % 2 == 0 for s, p in zip(source, patch, strict=True))
    reach = coordinates(affine, patch, source).reshape(len(patch), -1).max(axis=1)
    for size, edge, furthest, between in zip(source, patch, reach, affine.interpolated, strict=True):
        assert furthest <= size - 1
        assert size == edge if not between else furthest > size - 3  # two less is the next box with this centre


def test_identity_is_the_source_itself():
    image, labels = made((4, 6, 5))
    shown, classes = warp(image, labels, Affine.composed((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)), (4, 6, 5))
    assert torch.equal(shown, image)
    assert torch.equal(classes, labels)


@pytest.mark.parametrize(("shape", "angles"), [((5, 7, 7), (math.pi / 2, 0.0, 0.0)), ((7, 7), (math.pi / 2,))])
def test_a_quarter_turn_is_exact(shape, angles):
    affine = Affine.composed(angles, (1.0,) * len(shape))
    image, labels = made(affine.source_size(shape))
    shown, classes = warp(image, labels, affine, shape)
    inner = tuple(slice((s - n) // 2, (s + n) // 2) for s, n in zip(labels.shape, shape, strict=True))
    # the offset (y, x) in the patch shows the offset (-x, y) in the source
    torch.testing.assert_close(shown, image[:, *inner].transpose(-1, -2).flip(-1), atol=1e-4, rtol=0)
    assert torch.equal(classes, labels[inner].transpose(-1, -2).flip(-1))


@pytest.mark.parametrize("turned", [True, False])
def test_mirroring_flips_image_and_labels_alike(turned):
    patch, angles, extent = (6, 8, 7), (0.2, 0.3, -0.1), (1.1, 1.1, 1.1)
    plain = Affine.composed(angles, extent) if turned else None
    mirrored = Affine.composed(angles, extent, (0, 2)) if turned else None
    image, labels = made(Geometry(plain, ()).source_size(patch))
    before = show(image, labels, Geometry(plain, ()), patch)
    after = show(image, labels, Geometry(mirrored, () if turned else (0, 2)), patch)
    torch.testing.assert_close(after[0], before[0].flip((1, 3)), atol=1e-4, rtol=0)
    assert torch.equal(after[1], before[1].flip((0, 2)))


def test_slabs_make_no_difference(monkeypatch):
    patch, angles, extent = TURNS[0]
    affine = Affine.composed(angles, extent)
    image, labels = made(affine.source_size(patch))
    whole = warp(image, labels, affine, patch)
    monkeypatch.setattr(geometry, "VOXELS_AT_ONCE", 3 * patch[1] * patch[2])
    sliced = warp(image, labels, affine, patch)
    assert torch.equal(whole[0], sliced[0])
    assert torch.equal(whole[1], sliced[1])


def test_a_source_of_another_size_is_refused():
    affine = Affine.composed((0.5,), (1.0, 1.0))
    image, labels = made((8, 8))
    with pytest.raises(ValueError, match=r"needs image and labels of \(12, 12\) voxels .* found \(8, 8\)"):
        warp(image, labels, affine, (8, 8))
