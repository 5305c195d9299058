import numpy as np
import pytest

from autoseg.volumes.spikes import clipped


def image(dtype=np.float32):
    return np.random.default_rng(0).normal(0, 100, (2, 8, 30, 30)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_absurd_voxels_become_the_largest_sane_ones(dtype):
    made = image(dtype)
    before = made.copy()
    made[1, 0, 0, :2] = 1e30, -1e30
    given = made.copy()
    result, told = clipped(made)
    assert np.array_equal(made, given)  # the input is left alone
    assert np.array_equal(result[0], before[0])
    assert np.array_equal(result[1, 1:], before[1, 1:])
    rest = np.delete(before[1].ravel(), [0, 1])
    assert result[1, 0, 0, :2].tolist() == [rest.max(), rest.min()]
    assert len(told) == 1 and told[0][0].startswith("2 of 7200 voxels of channel 1")


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a,
        lambda a: a.__setitem__((0, 0, 0, 0), 1e5) or a,  # metal is bright, not absurd
        lambda a: a.__setitem__((0, 0), 1e30) or a,  # too many to be spikes
        lambda a: a * 0,
    ],
)
def test_what_may_be_meant_is_kept(change):
    made = change(image())
    assert clipped(made)[0] is made


def test_small_integers_have_no_room_for_absurd_values():
    made = np.zeros((1, 4, 40, 40), np.int16)
    made[0, 0, 0, 0] = 32767
    assert clipped(made) == (made, []) or clipped(made)[0] is made
