import numpy as np
import pytest

from autoseg.volumes import doubt
from autoseg.volumes.overlap import dice


def test_the_expected_dice_is_what_comes_out_on_average():
    """Of truths that are drawn as the probabilities say, which is what calibrated means."""
    rng = np.random.default_rng(0)
    probabilities = rng.random((8, 20, 20)) ** 3
    mask = probabilities > 0.4
    drawn = []
    for _ in range(200):
        truth = rng.random(probabilities.shape) < probabilities
        drawn.append(dice(int((truth & mask).sum()), int(truth.sum()), int(mask.sum())))
    found = doubt.of(probabilities, mask, plane=False)
    assert found.expected_dice == pytest.approx(np.mean(drawn), abs=0.003)


def test_a_sure_mask_leaves_no_doubt_and_an_even_one_all():
    mask = np.zeros((1, 6, 6), dtype=bool)
    mask[0, 1:5, 1:5] = True
    sure = doubt.of(mask.astype(np.float32), mask, plane=True)
    assert sure.expected_dice == 1.0
    assert max(sure.inside, sure.outside, sure.outline) < 1e-4
    even = doubt.of(np.full(mask.shape, 0.5, dtype=np.float32), mask, plane=True)
    assert even.expected_dice == pytest.approx(16 / (16 + 18))
    assert (even.inside, even.outline) == pytest.approx((1.0, 1.0))
    assert even.outside == pytest.approx(20 / 16)


def test_agreement_of_one_alone_and_of_empty_masks_is_whole():
    empty = np.zeros((2, 3, 3), dtype=bool)
    assert doubt.agreement([]) == doubt.agreement([~empty]) == doubt.agreement([empty, empty]) == 1.0
    assert doubt.agreement([empty, ~empty]) == 0.0
