import numpy as np
import pytest

from autoseg.volumes import lesions


def row(*spans: tuple[int, int]) -> np.ndarray:
    """Lesions along one line of a plane."""
    mask = np.zeros((1, 3, 60), dtype=bool)
    for start, stop in spans:
        mask[0, 1, start:stop] = True
    return mask


def test_found_missed_and_extra():
    found = lesions.match(row((0, 10), (20, 24), (30, 40)), row((2, 10), (23, 28), (50, 52)))
    assert (found.reference, found.predicted) == (3, 3)
    assert (found.found, found.missed, found.extra) == (2, 1, 1)
    assert found.f1() == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))


def test_panoptic_quality_counts_only_pairs_above_a_half():
    found = lesions.match(row((0, 10), (20, 24), (30, 40)), row((2, 10), (23, 28), (50, 52)))
    assert found.matched_iou.tolist() == [0.8]  # the second pair shares 1 of 8
    assert found.recognition_quality() == pytest.approx(1 / 3)
    assert found.segmentation_quality() == pytest.approx(0.8)
    assert found.panoptic_quality() == pytest.approx(0.8 / 3)


def test_exactly_a_half_is_no_match():
    assert lesions.match(row((0, 10)), row((0, 5))).matched_iou.tolist() == []


def test_a_prediction_that_joins_two_lesions_has_found_both():
    joined = lesions.match(row((0, 10), (12, 14)), row((0, 14)))
    assert (joined.found, joined.missed, joined.extra) == (2, 0, 0)
    assert joined.f1() == 1.0
    assert joined.panoptic_quality() == pytest.approx(2 * (10 / 14) / 3)  # one pair, of three components


def test_a_lesion_in_two_pieces_is_found_once():
    split = lesions.match(row((0, 10)), row((0, 4), (6, 10)))
    assert (split.found, split.extra, len(split.matched_iou)) == (1, 0, 0)


def test_corners_connect():
    mask = np.zeros((3, 3, 3), dtype=bool)
    mask[0, 0, 0] = mask[1, 1, 1] = True
    assert lesions.match(mask, mask).reference == 1


def test_no_lesions_have_no_score():
    nothing = lesions.match(row(), row())
    assert (nothing.f1(), nothing.panoptic_quality(), nothing.recognition_quality()) == (None, None, None)


def test_many_lesions_of_which_few_meet():
    """More pairs are possible than there are voxels."""
    grid = np.zeros((1, 40, 40), dtype=bool)
    grid[:, ::2, ::2] = True
    shifted = np.roll(grid, 1, axis=2)
    shifted[0, 0, :2] = True
    found = lesions.match(grid, shifted)
    assert (found.reference, found.found, found.extra) == (400, 1, found.predicted - 1)
