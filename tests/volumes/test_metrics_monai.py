"""The metrics beside MONAI's, on random blobs in two and three dimensions: equal within 1e-6 where definitions agree.

They differ, and each difference has its test below, where
- HD95 lies between two distances: MONAI interpolates in float32, good to 1e-5; from its distances ours follows;
- the prediction misses everything: MONAI's Hausdorff distance is no finite number, ours undefined;
- both are empty: MONAI's sensitivity and Dice are undefined like ours, but its specificity is 1;
- lesions are counted: MONAI's panoptic quality takes numbered components, which it does not find itself, and adds 1e-6
  to what it divides by.
"""

import numpy as np
import pytest
import torch
from monai.metrics import (
    compute_average_surface_distance,
    compute_confusion_matrix_metric,
    compute_dice,
    compute_hausdorff_distance,
    compute_iou,
    compute_panoptic_quality,
    compute_surface_dice,
    get_confusion_matrix,
)
from monai.metrics.utils import get_edge_surface_distance
from scipy import ndimage

from autoseg.volumes import metrics
from autoseg.volumes.labels import FULL
from tests.volumes.masks import blobs, moved

SHAPES = {"3D": (12, 20, 24), "2D": (1, 40, 50)}
SPACINGS = {"isotropic": (1.0, 1.0, 1.0), "thick": (3.0, 0.7, 0.9), "odd": (0.37, 1.13, 2.71)}
TOLERANCE = 1.3
PLACES = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
SIZES = pytest.mark.parametrize("spacing", SPACINGS.values(), ids=SPACINGS)
SEEDS = pytest.mark.parametrize("seed", range(3))
BOTH = {"include_background": True}


def pair(seed: int, shape) -> tuple[np.ndarray, np.ndarray]:
    reference = blobs(seed, shape)
    return reference, moved(reference, seed + 50)


def ours(reference, predicted, spacing) -> dict[str, float | None]:
    return metrics.measure(metrics.cropped(reference, predicted, spacing, TOLERANCE))


def tensors(reference, predicted) -> tuple[torch.Tensor, torch.Tensor]:
    """Prediction and reference as MONAI wants them: (1, 1, y, x) of a plane, else (1, 1, z, y, x)."""
    arrays = (mask[0] if mask.shape[0] == 1 else mask for mask in (predicted, reference))
    guess, truth = (torch.from_numpy(array[None, None].astype(np.float32)) for array in arrays)
    return guess, truth


def near(value: float) -> object:
    return pytest.approx(value, rel=1e-6, abs=1e-6)


@PLACES
@SEEDS
def test_overlap(seed, shape):
    masks = pair(seed, shape)
    found, theirs = ours(*masks, SPACINGS["thick"]), tensors(*masks)
    assert found["dice"] == near(compute_dice(*theirs).item())
    assert found["iou"] == near(compute_iou(*theirs).item())
    confusion = get_confusion_matrix(*theirs)
    for name in ("sensitivity", "specificity", "precision"):
        assert found[name] == near(compute_confusion_matrix_metric(name, confusion).item()), name


@PLACES
@SIZES
@SEEDS
def test_surfaces(seed, shape, spacing):
    masks = pair(seed, shape)
    found, theirs = ours(*masks, spacing), tensors(*masks)
    own = {"spacing": spacing[-(theirs[0].ndim - 2) :], **BOTH}
    rounded = compute_hausdorff_distance(*theirs, percentile=95, **own).item()
    assert found["hd95_mm"] == pytest.approx(rounded, rel=1e-5)
    _, directed, _ = get_edge_surface_distance(theirs[0][0, 0], theirs[1][0, 0], spacing=own["spacing"], symmetric=True)
    assert found["hd95_mm"] == near(max(np.percentile(side.double(), 95) for side in directed))
    assert found["hd_mm"] == near(compute_hausdorff_distance(*theirs, **own).item())
    assert found["assd_mm"] == near(compute_average_surface_distance(*theirs, symmetric=True, **own).item())
    assert found["nsd"] == near(compute_surface_dice(*theirs, [TOLERANCE], **own).item())


@PLACES
@SEEDS
@pytest.mark.parametrize("name", ["pq", "sq", "rq"])
def test_panoptic_quality(seed, shape, name):
    masks = pair(seed, shape)
    names = {"pq": "panoptic_quality", "sq": "segmentation_quality", "rq": "recognition_quality"}
    truth, guess = (torch.from_numpy(ndimage.label(mask, structure=FULL)[0]) for mask in masks)
    theirs = compute_panoptic_quality(guess, truth, metric_name=name, smooth_numerator=0.0)
    found = ours(*masks, SPACINGS["thick"])
    assert 0 < found["panoptic_quality"] < 1
    assert found[names[name]] == near(theirs.item())


def test_a_missed_structure_has_no_distance():
    truth = blobs(0, SHAPES["3D"])
    nothing = np.zeros_like(truth)
    theirs = tensors(truth, nothing)
    with pytest.warns(UserWarning, match="all 0"):
        assert not np.isfinite(compute_hausdorff_distance(*theirs, **BOTH).item())
    found = ours(truth, nothing, SPACINGS["odd"])
    assert (found["hd_mm"], found["nsd"], found["dice"]) == (None, 0.0, compute_dice(*theirs).item())


def test_absent_from_both():
    nothing = np.zeros(SHAPES["3D"], dtype=bool)
    theirs = tensors(nothing, nothing)
    assert np.isnan(compute_dice(*theirs).item())
    confusion = get_confusion_matrix(*theirs)
    assert np.isnan(compute_confusion_matrix_metric("sensitivity", confusion).item())
    assert compute_confusion_matrix_metric("specificity", confusion).item() == 1.0
    assert ours(nothing, nothing, SPACINGS["odd"])["specificity"] is None
