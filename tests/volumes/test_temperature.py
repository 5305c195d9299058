"""A temperature that is known is found again, errors fall, and no voxel changes its class."""

import numpy as np
import pytest

from autoseg.volumes import temperature
from autoseg.volumes.blending import tempered
from autoseg.volumes.rounding import rounded


def outcomes(true: float, voxels: int = 60_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three heads that need the temperature ``true``, and what came true. Half of the voxels are certain and right."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (3, voxels))
    honest = np.exp(logits) / np.exp(logits).sum(axis=0)
    truth = (rng.random(voxels) > honest.cumsum(axis=0)).sum(axis=0).clip(max=2)
    heads = tempered(honest.astype(np.float32), "exclusive", 1 / true)
    certain = np.zeros((3, voxels), dtype=np.float32)
    certain[0] = 1
    return np.concatenate([heads, certain], axis=1), np.concatenate([truth, np.zeros(voxels, dtype=np.intp)])


def error(samples, at: float) -> float:
    found = [sample.reliability(at) for sample in samples]
    return sum(found[1:], found[0]).expected_error()


@pytest.mark.parametrize("true", [0.6, 1.0, 1.5, 2.5])
def test_a_known_temperature_is_found_again(true):
    heads, truth = outcomes(true)
    sample = temperature.draw(heads, truth)
    assert temperature.fit([sample]) == pytest.approx(true, rel=0.03)
    if true != 1.0:
        assert error([sample], true) < error([sample], 1.0) / 3


@pytest.mark.parametrize("true", [0.6, 1.5])
def test_what_is_rounded_in_the_store_gives_nearly_the_same(true):
    heads, truth = outcomes(true)
    sample = temperature.draw(rounded(heads, exclusive=True), truth)
    assert temperature.fit([sample]) == pytest.approx(true, rel=0.06)


def test_a_sample_speaks_for_all_voxels():
    heads, truth = outcomes(1.5)
    whole, some = temperature.draw(heads, truth), temperature.draw(heads, truth, most=8000, seed=1)
    assert len(whole.truth) > 50_000 and len(some.truth) == 8000
    assert some.count == whole.count == 120_000
    assert temperature.fit([some]) == pytest.approx(temperature.fit([whole]), rel=0.05)
    assert error([some], 1.0) == pytest.approx(error([whole], 1.0), abs=0.005)
    again = temperature.draw(heads, truth, most=8000, seed=1)
    np.testing.assert_array_equal(some.heads, again.heads)


def test_certain_voxels_count_right_or_wrong_and_fit_nothing():
    heads, truth = outcomes(1.5, voxels=1000)
    before = temperature.fit([temperature.draw(heads, truth)])
    truth[1000:1200] = 1  # certain of head 0, and wrong
    sample = temperature.draw(heads, truth)
    assert sample.certain - sample.certain_right >= 200
    assert temperature.fit([sample]) == before
    assert error([sample], before) > 0.09


def test_nothing_to_fit_leaves_probabilities_alone():
    sample = temperature.draw(np.float32([[1, 1], [0, 0]]), np.array([0, 0]))
    assert temperature.fit([sample]) == temperature.fit([]) == 1.0
    empty = temperature.draw(np.zeros((2, 0), dtype=np.float32), np.zeros(0, dtype=np.intp))
    assert (empty.count, empty.reliability(2.0).expected_error()) == (0, None)


def test_a_temperature_is_cut_where_probabilities_mean_nothing():
    heads = np.full((2, 500), [[0.9], [0.1]], dtype=np.float32)
    assert temperature.fit([temperature.draw(heads, np.ones(500, dtype=np.intp))]) == pytest.approx(4.0, rel=0.01)


@pytest.mark.parametrize("kind", ["exclusive", "regions"])
def test_no_class_changes_and_one_is_no_temperature(kind):
    heads = outcomes(1.0, 500)[0]
    for at in (0.3, 3.0):
        found = temperature.calibrated(heads, kind, at)
        assert found.min() >= 0 and found.max() <= 1
        if kind == "exclusive":
            np.testing.assert_array_equal(found.argmax(axis=0), heads.argmax(axis=0))
            np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-5)
        else:
            np.testing.assert_array_equal(found > 0.5, heads > 0.5)
    assert temperature.calibrated(heads, kind, 1.0) is heads
