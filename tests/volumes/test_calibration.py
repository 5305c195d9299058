import numpy as np
import pytest
import torch
from monai.metrics.calibration import CalibrationErrorMetric

from autoseg.volumes import calibration
from autoseg.volumes.calibration import BINS, reliability


def made(power: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, and outcomes that come true as often as the probability to this power says."""
    rng = np.random.default_rng(seed)
    probabilities = rng.random((20, 30, 40))
    return probabilities, rng.random(probabilities.shape) < probabilities**power


def test_honest_probabilities_have_no_error_and_boastful_ones_have_theirs():
    assert reliability(*made(1.0)).expected_error() < 0.01
    assert reliability(*made(2.0)).expected_error() == pytest.approx(1 / 6, abs=0.01)  # integral of p - p^2


def test_certainty():
    right = np.array([True, False])
    assert reliability(np.array([1.0, 0.0]), right).expected_error() == 0.0
    assert reliability(np.array([0.0, 1.0]), right).expected_error() == 1.0


def test_cases_add_up():
    one, other = made(2.0, 1), made(0.5, 2)
    together = reliability(*(np.concatenate(pair) for pair in zip(one, other, strict=True)))
    added = reliability(*one) + reliability(*other)
    assert added.expected_error() == pytest.approx(together.expected_error(), abs=1e-12)


def test_nothing_predicted_is_undefined():
    assert reliability(np.zeros(0), np.zeros(0, dtype=bool)).expected_error() is None


def test_half_precision_counts_like_any_other():
    probabilities, truth = made(2.0)
    half = reliability(probabilities.astype(np.float16), truth).expected_error()
    assert half == pytest.approx(reliability(probabilities, truth).expected_error(), abs=1e-3)


@pytest.mark.parametrize("wrong", [np.nan, -0.1, 1.1])
def test_what_is_no_probability_is_refused(wrong):
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        reliability(np.array([0.5, wrong]), np.array([True, False]))
    with pytest.raises(ValueError, match="differ in shape"):
        reliability(np.zeros(3), np.zeros(2, dtype=bool))


def test_monai_agrees():
    """It rounds to float32, and its bins end an epsilon higher."""
    probabilities, truth = made(1.7)
    metric = CalibrationErrorMetric(num_bins=BINS, include_background=True)
    tensors = (torch.from_numpy(array.astype(np.float32))[None, None] for array in (probabilities, truth))
    metric(*tensors)
    assert calibration.reliability(probabilities, truth).expected_error() == pytest.approx(
        metric.aggregate().item(), abs=1e-6
    )
