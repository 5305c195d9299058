"""Images smaller than a network's patch, and single slices: masks have the exact shape of their image."""

import nibabel
import numpy as np
import pytest

from autoseg import model
from autoseg.contracts import Case
from autoseg.predicted_files import Options
from autoseg.stages.predict import predict
from autoseg.workspace import ModelFolder
from tests.made import nifti
from tests.model import tiny


@pytest.mark.fault(
    28, "an image to predict that is smaller than the patch", "padded for the network; the mask has the image's shape"
)
@pytest.mark.parametrize("shape", [(5, 40, 6), (3, 2, 4), (16, 16, 1), (1, 1, 1)])
def test_images_smaller_than_the_patch(tmp_path, shape):
    tiny.make(tmp_path / "model")
    nifti(tmp_path / "a.nii.gz", np.random.default_rng(0).normal(size=shape).astype(np.float32))
    case = Case(case="a", subject="a", images=("a.nii.gz",))
    [made] = predict(ModelFolder(tmp_path / "model"), [case], tmp_path, tmp_path / "out", Options("cpu")).cases
    assert (made.status, made.error) == ("done", "")
    assert nibabel.load(tmp_path / "out" / "a.nii.gz").shape == shape


def test_small_arrays_too(tmp_path):
    tiny.make(tmp_path / "model")
    array = np.random.default_rng(0).normal(size=(3, 9, 30)).astype(np.float32)
    assert model.load(tmp_path / "model", device="cpu").predict(array, (1.0, 1.0, 1.0)).shape == array.shape
