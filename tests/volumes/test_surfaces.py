import numpy as np
import pytest
from scipy import ndimage

from autoseg.volumes import surfaces
from autoseg.volumes.labels import FACES
from tests.volumes.masks import blobs, moved


@pytest.mark.parametrize("shape", [(9, 12, 15), (1, 20, 24), (2, 2, 2)])
def test_a_surface_is_what_erosion_takes_away(shape):
    mask = blobs(0, shape, 0.4)
    assert np.array_equal(surfaces.surface(mask, plane=False), mask & ~ndimage.binary_erosion(mask, FACES))
    flat = FACES.copy()
    flat[[0, 2]] = False
    assert np.array_equal(surfaces.surface(mask, plane=True), mask & ~ndimage.binary_erosion(mask, flat))


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (5.0, 0.7, 0.7), (3.0, 0.9, 0.37)])
def test_tree_and_transform_measure_the_same(spacing):
    for seed in range(4):
        reference = blobs(seed, (10, 24, 28))
        one, other = (surfaces.surface(mask, plane=False) for mask in (reference, moved(reference, seed)))
        by_tree, by_transform = surfaces._by_tree(one, other, spacing), surfaces._by_transform(one, other, spacing)
        assert np.abs(by_tree - by_transform).max() < 1e-12


def test_a_distance_of_whole_voxels_is_within_as_many():
    """At the default tolerance, twice the spacing, this is the rule, and floats of positions would not keep to it."""
    assert 30 * 0.7 - 28 * 0.7 > 1.4
    one, other = np.zeros((2, 1, 60, 60), dtype=bool)
    one[0, 28:, :], other[0, 30:, :] = True, True
    assert surfaces.distances(one, other, (5.0, 0.7, 0.7), plane=True).within(1.4) == 1.0


def test_noise_fills_the_box_and_is_measured_all_the_same():
    one, other = np.random.default_rng(0).random((2, 12, 12, 12)) < 0.3
    found = surfaces.distances(one, other, (2.0, 1.0, 1.0), plane=False)
    nearest = ndimage.distance_transform_edt(~other, sampling=(2.0, 1.0, 1.0))
    assert found.hausdorff_mm() >= found.hausdorff_mm(95) >= found.average_mm()
    assert found.to_predicted.max() <= nearest[one].max() + 1e-9  # every voxel is surface here


def test_an_empty_mask_has_no_distances():
    one = np.ones((2, 3, 4), dtype=bool)
    found = surfaces.distances(one, np.zeros_like(one), (1.0, 1.0, 1.0), plane=False)
    assert (found.within(9.0), found.hausdorff_mm(), found.average_mm()) == (0.0, None, None)
