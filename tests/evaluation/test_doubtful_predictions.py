"""Predictions that are no masks, or do not quite lie on their reference."""

import numpy as np
import pytest

from autoseg.errors import LabelError
from autoseg.evaluation.comparison import evaluate
from tests.made import nifti


@pytest.fixture
def truth(tmp_path):
    mask = np.zeros((8, 8, 8), np.uint8)
    mask[2:6, 2:6, 2:6] = 2
    mask[0, 0, 0] = 1
    nifti(tmp_path / "references" / "a.nii.gz", mask)
    return mask


def test_probabilities_are_refused_by_name(tmp_path, truth):
    """Values between whole numbers would be cut down to lower labels."""
    nifti(tmp_path / "predictions" / "a.nii.gz", (truth * 0.7).astype(np.float32))
    with pytest.raises(LabelError, match=r"predictions/a\.nii\.gz.*not whole numbers"):
        evaluate(tmp_path / "predictions", tmp_path / "references")


def test_rounding_of_stored_values_changes_no_label(tmp_path, truth):
    nifti(tmp_path / "predictions" / "a.nii.gz", (truth * 0.9998).astype(np.float32))
    assert evaluate(tmp_path / "predictions", tmp_path / "references").mean_dice.value == 1.0


@pytest.mark.parametrize(("shift_mm", "told"), [(0.0, 0), (0.3, 1)])
def test_a_prediction_a_little_off_is_told(tmp_path, truth, shift_mm, told):
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    affine[0, 3] += shift_mm
    nifti(tmp_path / "predictions" / "a.nii.gz", truth, affine)
    events = []
    scores = evaluate(tmp_path / "predictions", tmp_path / "references", notify=events.append)
    assert scores.mean_dice.value == 1.0
    warnings = [event.detail for event in events if event.what == "warning"]
    assert len(warnings) == told and all("0.3 voxels off its reference" in text for text in warnings)
