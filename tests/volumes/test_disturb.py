import numpy as np
import pytest

from autoseg.volumes.disturb import LOST_SHARE, disturb


def two_masks(shape=(12, 16, 16)):
    masks = np.zeros((2, *shape), np.float32)
    middle = tuple(slice(edge // 4, edge - edge // 4) for edge in shape)
    masks[0][middle] = 1
    masks[1, :, :2] = 1
    return masks


def test_nothing_happens_unless_drawn():
    masks = two_masks()
    disturb(masks, np.random.default_rng(0), 0.0, 0.0)
    np.testing.assert_array_equal(masks, two_masks())


@pytest.mark.parametrize("shape", [(12, 16, 16), (1, 16, 16), (2, 3, 40)])
def test_borders_move_and_masks_never_overlap(shape):
    changed = 0
    for seed in range(40):
        masks = two_masks(shape)
        masks[1] *= 1 - masks[0]
        before = masks.copy()
        disturb(masks, np.random.default_rng(seed), 1.0, 0.0)
        assert set(np.unique(masks)) <= {0.0, 1.0}
        assert masks.sum(0).max() <= 1
        changed += not np.array_equal(masks, before)
    assert 10 < changed < 40  # each mask by itself has an even chance


def test_only_small_components_are_lost_and_one_at_a_time():
    lost = 0
    for seed in range(40):
        masks = np.zeros((1, 10, 10, 10), np.float32)
        masks[0, :4] = 1  # too large to be lost
        masks[0, 6:8, :2, :2] = masks[0, 6:8, 6:8, 6:8] = 1
        disturb(masks, np.random.default_rng(seed), 0.0, 1.0)
        assert masks[0, :4].all()
        left = masks[0, 6:].sum()
        assert left in (8, 16)
        lost += left == 8
    assert 10 < lost < 30
    assert LOST_SHARE < 400 / 1000


def test_the_same_draws_give_the_same_masks():
    first, again = two_masks(), two_masks()
    disturb(first, np.random.default_rng(3), 1.0, 1.0)
    disturb(again, np.random.default_rng(3), 1.0, 1.0)
    np.testing.assert_array_equal(first, again)
