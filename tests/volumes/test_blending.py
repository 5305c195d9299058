import numpy as np
import pytest

from autoseg.volumes.blending import mean, on_scale


def heads(kind: str, seed: int = 0) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(0, 3, (3, 4, 5, 6)).astype(np.float32)
    if kind == "regions":
        return 1 / (1 + np.exp(-logits))
    return np.exp(logits) / np.exp(logits).sum(axis=0)


@pytest.mark.parametrize("kind", ["exclusive", "regions"])
@pytest.mark.parametrize("scale", ["probabilities", "logits"])
def test_one_member_alone_stays_as_it_is(kind, scale):
    one = heads(kind)
    assert mean([on_scale(one, kind, scale, 1.0)], [0.3], kind, scale) == pytest.approx(one, abs=5e-3)


@pytest.mark.parametrize("kind", ["exclusive", "regions"])
@pytest.mark.parametrize(("scale", "temperature"), [("probabilities", 1.0), ("probabilities", 0.5), ("logits", 1.0)])
def test_blends_are_probabilities_between_those_of_the_members(kind, scale, temperature):
    parts = [on_scale(heads(kind, seed), kind, scale, temperature) for seed in (0, 1)]
    kept = [part.copy() for part in parts]
    found = mean(parts, [1, 3], kind, scale)
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.max() <= 1
    if kind == "exclusive":
        assert found.sum(axis=0) == pytest.approx(np.ones(found.shape[1:]), abs=1e-5)
    assert all(np.array_equal(part, before) for part, before in zip(parts, kept, strict=True))


def test_a_temperature_below_one_moves_the_mean_towards_a_vote():
    sure, two_unsure = np.float32([[0.02], [0.98]]), [np.float32([[0.7], [0.3]])] * 2
    decided = {
        temperature: mean(
            [on_scale(part, "exclusive", "probabilities", temperature) for part in (sure, *two_unsure)],
            [1, 1, 1],
            "exclusive",
            "probabilities",
        ).argmax()
        for temperature in (1.0, 0.1)
    }
    assert decided == {1.0: 1, 0.1: 0}


def test_logits_of_certain_voxels_are_finite():
    certain = np.float32([[1.0, 0.0], [0.0, 1.0]])
    for kind in ("exclusive", "regions"):
        found = mean([on_scale(certain, kind, "logits", 1.0)] * 2, [1, 1], kind, "logits")
        assert np.isfinite(found).all()
        assert found.round(2).tolist() == certain.tolist()


def test_nothing_to_blend():
    with pytest.raises(ValueError, match="no members"):
        mean([], [], "exclusive", "logits")
