import numpy as np
import pytest
import torch
from monai.metrics import compute_dice, compute_hausdorff_distance, compute_surface_dice

from autoseg.volumes import metrics

MM = (1.0, 1.0, 1.0)


def cube(start: int, size: int = 4, shape=(14, 14, 14)) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[start : start + size, 3:7, 3:7] = True
    return mask


def blob(seed: int, shape=(10, 14, 12)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), -1)
    center, radii = rng.uniform(4, 6, 3), rng.uniform(2, 4, 3)
    return (((grid - center) / radii) ** 2).sum(-1) < 1


def score(reference, predicted, spacing=MM, tolerance=1.0):
    return metrics.agreement(reference, predicted, spacing, tolerance, plane=reference.shape[0] == 1)


def test_equal_masks_agree_perfectly():
    found = score(cube(3), cube(3))
    assert (found.dice, found.nsd, found.hd95_mm) == (1.0, 1.0, 0.0)
    assert found.reference_vox == found.predicted_vox == 64


def test_a_shift_has_known_scores():
    found = score(cube(3), cube(4), spacing=(2.5, 1.0, 1.0), tolerance=2.0)
    assert found.dice == pytest.approx(0.75)  # 3 of 4 slices overlap
    assert found.hd95_mm == pytest.approx(2.5)  # the end slices are one slice away
    assert score(cube(3), cube(4), spacing=(2.5, 1.0, 1.0), tolerance=2.5).nsd == 1.0
    assert 0.5 < found.nsd < 1.0


def test_empty_rules():
    empty = np.zeros((14, 14, 14), dtype=bool)
    both = score(empty, empty)
    assert (both.dice, both.nsd, both.hd95_mm, both.reference_vox) == (None, None, None, 0)
    for one in (score(cube(3), empty), score(empty, cube(3))):
        assert (one.dice, one.nsd, one.hd95_mm) == (0.0, 0.0, None)


def test_disjoint_masks():
    found = score(cube(0), cube(9))
    assert found.dice == 0.0
    assert found.nsd == 0.0
    assert found.hd95_mm > 5


def test_a_crop_of_one_slice_is_not_a_plane():
    disc = np.zeros((9, 9, 9), dtype=bool)
    disc[4, 2:7, 2:7] = True
    hollow = disc.copy()
    hollow[4, 4, 4] = False
    found = score(disc, hollow, tolerance=0.5)
    assert found.nsd == pytest.approx(48 / 49)  # all 25 + 24 voxels are surface; only the middle one is off


def test_a_plane_has_an_inside():
    disc = np.zeros((1, 9, 9), dtype=bool)
    disc[0, 2:7, 2:7] = True
    grown = np.zeros((1, 9, 9), dtype=bool)
    grown[0, 1:8, 1:8] = True
    assert score(disc, grown, tolerance=0.9).nsd == 0.0  # the outlines are one voxel apart everywhere
    assert score(disc, grown, spacing=(7.0, 1.0, 1.0), tolerance=1.5).nsd == 1.0


@pytest.mark.parametrize("spacing", [MM, (3.0, 0.7, 0.9)])
@pytest.mark.parametrize("seed", range(4))
def test_monai_agrees(seed, spacing):
    reference, predicted = blob(seed), blob(seed + 100)
    found = score(reference, predicted, spacing, tolerance=1.3)
    y, guess = (torch.from_numpy(mask[None, None].astype(np.float32)) for mask in (reference, predicted))
    assert found.dice == pytest.approx(compute_dice(guess, y).item())
    hd95 = compute_hausdorff_distance(guess, y, include_background=True, percentile=95, spacing=spacing)
    assert found.hd95_mm == pytest.approx(hd95.item(), rel=1e-5)
    nsd = compute_surface_dice(guess, y, [1.3], include_background=True, spacing=spacing)
    assert found.nsd == pytest.approx(nsd.item(), abs=1e-6)
