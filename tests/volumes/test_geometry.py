"""Grids, canonical orientation and the agreement of two grids."""

from itertools import permutations, product

import nibabel
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from autoseg.volumes.geometry import (
    Grid,
    canonical,
    canonical_affine,
    canonicalize,
    compare,
    resample_onto,
    restore,
    upright,
)

ORIENTATIONS = [(order, signs) for order in permutations(range(3)) for signs in product((1.0, -1.0), repeat=3)]
LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def grid_of(order, signs, shape=(3, 4, 5), spacing=(2.5, 0.7, 1.1), rotation=None):
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (world, sign) in enumerate(zip(order, signs, strict=True)):
        affine[world, axis] = sign * spacing[axis]
    if rotation is not None:
        affine[:3, :3] = rotation @ affine[:3, :3]
    affine[:3, 3] = (-11.0, 7.5, 3.25)
    return Grid(shape, affine)


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_all_48_orientations_return_exactly_and_keep_every_voxel_in_its_place(order, signs):
    grid = grid_of(order, signs)
    array = np.arange(2 * 60).reshape(2, 3, 4, 5)
    turned, target, way = canonicalize(array, grid)
    assert np.shares_memory(turned, array)
    assert target.orientation == "LPS"
    assert turned.shape[1:] == target.shape
    assert np.array_equal(restore(turned, way), array)
    # the voxel with value v lies at the same world position before and after
    for value in (0, 17, 59):
        before = np.argwhere(array[0] == value)[0]
        after = np.argwhere(turned[0] == value)[0]
        assert np.allclose(grid.affine @ [*before, 1], target.affine @ [*after, 1])


def test_restore_takes_arrays_without_and_with_leading_axes():
    grid = grid_of((1, 2, 0), (-1.0, 1.0, -1.0))
    array = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    turned, _, way = canonicalize(array, grid)
    assert np.array_equal(restore(turned[0], way), array[0])
    assert np.array_equal(restore(turned[None], way), array[None])


def test_orientation_is_what_nibabel_says_for_random_oblique_scans():
    generator = np.random.default_rng(3)
    for _ in range(300):
        order, signs = ORIENTATIONS[generator.integers(48)]
        rotation = Rotation.random(random_state=int(generator.integers(1 << 30))).as_matrix()
        grid = grid_of(order, signs, rotation=rotation)
        ras = LPS_FROM_RAS @ grid.affine[:, [2, 1, 0, 3]]
        assert grid.orientation == "".join(nibabel.aff2axcodes(ras))


def test_spacing_and_origin():
    grid = grid_of((2, 1, 0), (1.0, -1.0, 1.0))
    assert grid.spacing_mm == pytest.approx((2.5, 0.7, 1.1))
    assert grid.origin_mm == (-11.0, 7.5, 3.25)
    assert grid.orientation == "LAS"


def test_a_canonical_grid_stays_as_it_is():
    grid = Grid((3, 4, 5), canonical_affine((2.0, 1.0, 1.5)))
    same, way = canonical(grid)
    assert np.array_equal(same.affine, grid.affine)
    assert way.permutation == (0, 1, 2)
    assert way.flips == (False, False, False)
    assert grid.spacing_mm == (2.0, 1.0, 1.5)


def shifted(grid, mm, scale=1.0):
    affine = grid.affine.copy()
    affine[:3, 3] += mm
    affine[:3, :3] *= scale
    return Grid(grid.shape, affine)


IMAGE = Grid((30, 40, 50), canonical_affine((2.0, 1.0, 1.0)))


@pytest.mark.parametrize(
    ("label", "kind", "offset"),
    [
        (IMAGE, "same", 0.0),
        (shifted(IMAGE, (5e-4, 0, 0)), "same", 5e-4),
        (shifted(IMAGE, (0.129, 0, 0)), "offset", 0.129),
        (shifted(IMAGE, (0, 0, 0.9)), "offset", 0.45),
        (shifted(IMAGE, (1.5, 0, 0)), "resample", 1.5),
        (shifted(IMAGE, (30.0, 0, 0)), "different", 30.0),
        (Grid((60, 40, 50), canonical_affine((1.0, 1.0, 1.0))), "resample", float("inf")),
        (Grid((30, 40, 10), canonical_affine((2.0, 1.0, 1.0))), "different", float("inf")),
    ],
)
def test_agreement(label, kind, offset):
    found = compare(IMAGE, label)
    assert found.kind == kind
    assert found.offset_vox == pytest.approx(offset, abs=1e-9)


def test_overlap_is_intersection_over_union():
    half = Grid((30, 40, 25), IMAGE.affine)
    assert compare(IMAGE, half).overlap == pytest.approx(0.5, abs=0.01)
    assert compare(IMAGE, shifted(IMAGE, (500.0, 0, 0))).overlap == 0.0


def test_a_grid_that_only_stores_its_axes_in_another_order_is_the_same():
    flipped = IMAGE.affine.copy()
    flipped[:, 3] += flipped[:, 2] * 49
    flipped[:, 2] *= -1
    label = Grid((40, 30, 50), flipped[:, [1, 0, 2, 3]])
    assert compare(IMAGE, label).kind == "same"


def test_resampling_onto_a_shifted_grid_moves_labels_by_whole_voxels():
    labels = np.zeros((1, 6, 6, 6), np.uint8)
    labels[0, 2, 3, 4] = 7
    source = Grid((6, 6, 6), canonical_affine((1.0, 1.0, 1.0)))
    found = resample_onto(labels, source, shifted(source, (1.0, 0.0, 2.0)), nearest=True)
    assert found.dtype == np.uint8
    assert np.argwhere(found[0]).tolist() == [[0, 3, 3]]
    assert found[0, 0, 3, 3] == 7


def test_resampling_onto_a_finer_grid_interpolates_images_and_extends_their_edge():
    ramp = np.broadcast_to(np.arange(4.0), (1, 2, 3, 4)).astype(np.int16)
    source = Grid((2, 3, 4), canonical_affine((1.0, 1.0, 1.0)))
    affine = canonical_affine((1.0, 1.0, 0.5))
    affine[0, 3] = -0.5
    found = resample_onto(ramp, source, Grid((2, 3, 9), affine), nearest=False)
    assert found.dtype == np.float32
    assert found[0, 1, 2].tolist() == [0.0, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.0]


def test_labels_outside_the_source_are_background():
    labels = np.ones((1, 2, 2, 2), np.uint8)
    source = Grid((2, 2, 2), canonical_affine((1.0, 1.0, 1.0)))
    found = resample_onto(labels, source, Grid((2, 2, 4), source.affine), nearest=True)
    assert found[0, 0, 0].tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize("voxels_per_slice", [0.5, -0.5, 1.5, -1.5, 2.5, 7.5])
def test_labels_come_back_where_slices_are_shifted_by_half_voxels(voxels_per_slice):
    affine = canonical_affine((1.5, 1.0, 0.5))
    affine[0, 0] = 0.5 * voxels_per_slice
    tilted = Grid((10, 10, 12), affine)
    label = (np.random.default_rng(0).random((1, *tilted.shape)) < 0.5).astype(np.uint8)
    there = resample_onto(label, tilted, upright(tilted), nearest=True)
    assert np.array_equal(resample_onto(there, upright(tilted), tilted, nearest=True), label)
