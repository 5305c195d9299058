import re
from types import SimpleNamespace

import numpy as np
import pytest

from autoseg.contracts import Measures
from autoseg.volumes import metrics
from autoseg.volumes.metrics import METRICS
from tests.volumes.masks import blobs, moved

MM = (1.0, 1.0, 1.0)
SHAPE = (14, 14, 14)
EMPTY = np.zeros(SHAPE, dtype=bool)


def cube(start: int, size: int = 4) -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[start : start + size, 3:7, 3:7] = True
    return mask


def values(reference, predicted, spacing=MM, tolerance=1.0, **known) -> dict[str, float | None]:
    return metrics.measure(metrics.cropped(reference, predicted, spacing, tolerance, **known))


def score(*masks, **settings) -> SimpleNamespace:
    return SimpleNamespace(**values(*masks, **settings))


def test_records_have_a_field_for_every_metric_in_the_same_order():
    assert tuple(Measures.model_fields) == tuple(METRICS)


def test_equal_masks_agree_perfectly():
    best = {"higher": 1.0, "lower": 0.0, "near 0": 0.0}
    for name, value in values(cube(3), cube(3)).items():
        assert value == best[METRICS[name].better], name


def test_a_shift_has_known_scores():
    found = score(cube(3), cube(4), spacing=(2.5, 1.0, 1.0), tolerance=2.0)
    assert found.dice == pytest.approx(0.75)  # 3 of 4 slices overlap
    assert found.iou == pytest.approx(3 / 5)
    assert found.sensitivity == found.precision == pytest.approx(0.75)
    assert found.specificity == pytest.approx(1 - 16 / (14**3 - 64))
    assert (found.volume_error_mm3, found.relative_volume_error, found.volume_similarity) == (0.0, 0.0, 1.0)
    assert found.hd95_mm == found.hd_mm == pytest.approx(2.5)  # the end slices are one slice away
    assert found.assd_mm == pytest.approx((16 * 2.5 + 4 * 1.0) / 56)  # one end, and the middle of the other end
    assert score(cube(3), cube(4), spacing=(2.5, 1.0, 1.0), tolerance=2.5).nsd == 1.0
    assert found.nsd == pytest.approx(40 / 56)


def test_volumes_have_signs():
    less = score(cube(3), cube(3, size=3), spacing=(2.0, 1.0, 1.0))
    assert (less.volume_error_mm3, less.relative_volume_error) == (-32.0, -0.25)
    assert less.volume_similarity == pytest.approx(1 - 16 / 112)
    assert score(cube(3, size=3), cube(3)).volume_error_mm3 == 16.0


def test_absent_from_both_there_is_no_score():
    assert values(EMPTY, EMPTY) == dict.fromkeys(METRICS)


NOTHING = {"dice", "iou", "volume_similarity", "nsd", "lesion_f1", "panoptic_quality", "recognition_quality"}
"""0 where one mask is empty."""


@pytest.mark.parametrize(
    ("reference", "predicted", "missing", "special"),
    [
        (cube(3), EMPTY, "prediction", {"sensitivity": 0.0, "specificity": 1.0, "relative_volume_error": -1.0}),
        (EMPTY, cube(3), "reference", {"precision": 0.0, "specificity": 1 - 64 / 14**3}),
    ],
)
def test_one_empty_mask_follows_the_entry_of_each_metric(reference, predicted, missing, special):
    found = values(reference, predicted)
    special["volume_error_mm3"] = 64.0 if missing == "reference" else -64.0
    counts = {"lesions_found": 0, "lesions_missed": int(missing == "prediction")}
    special |= counts | {"lesions_extra": int(missing == "reference")}
    assert {name: found[name] for name in NOTHING} == dict.fromkeys(NOTHING, 0.0)
    assert {name: found[name] for name in special} == special
    for name in METRICS.keys() - NOTHING - special.keys():
        assert found[name] is None
        assert METRICS[name].undefined in (f"{missing} empty", "either empty", "no such pair"), name


def test_a_reference_that_fills_the_image_has_no_negatives():
    full = np.ones((3, 4, 5), dtype=bool)
    assert score(full, full).specificity is None
    assert score(full, full).dice == 1.0


def test_negatives_are_annotated_voxels():
    assert score(cube(3), cube(4), annotated_vox=100).specificity == pytest.approx(1 - 16 / 36)


@pytest.mark.parametrize("shape", [(12, 14, 16), (1, 30, 40)])
def test_values_lie_where_they_must(shape):
    for seed in range(5):
        reference = blobs(seed, shape)
        for name, value in values(reference, moved(reference, seed), (3.0, 0.7, 0.9)).items():
            metric = METRICS[name]
            assert value is None or metric.better == "near 0" or value >= 0, name
            assert value is None or metric.unit or metric.better == "near 0" or value <= 1, name


def test_masks_that_share_nothing():
    found = score(cube(0), cube(9))
    assert (found.dice, found.nsd, found.segmentation_quality) == (0.0, 0.0, None)
    assert (found.lesions_found, found.lesions_missed, found.lesions_extra) == (0, 1, 1)
    assert found.hd95_mm > 5


def test_one_voxel():
    one, other = np.zeros((2, *SHAPE), dtype=bool)
    one[4, 4, 4] = other[4, 4, 7] = True
    same, apart = score(one, one), score(one, other, spacing=(1.0, 1.0, 0.5))
    assert (same.dice, same.nsd, same.hd95_mm, same.panoptic_quality) == (1.0, 1.0, 0.0, 1.0)
    assert (apart.dice, apart.hd95_mm, apart.hd_mm, apart.assd_mm) == (0.0, 1.5, 1.5, 1.5)


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


def test_only_what_is_asked_for_is_computed():
    pair = metrics.cropped(cube(3), cube(4), MM, 1.0)
    assert METRICS["dice"].of(pair) == pytest.approx(0.75)
    assert "distances" not in vars(pair)
    assert "lesions" not in vars(pair)


def test_every_entry_says_what_it_is():
    for name, metric in METRICS.items():
        assert len(metric.what) > 10, name
        assert not re.search(r"_mm3?$", name) or name.endswith(metric.unit), name
