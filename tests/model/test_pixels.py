"""A model that was made from pictures without a pixel size, and images that have one."""

import numpy as np
import pytest

from autoseg import model
from autoseg.contracts import Case, Postprocessing
from autoseg.predicted_files import Options
from autoseg.stages.predict import predict
from autoseg.workspace import ModelFolder
from tests.made import nifti
from tests.model import tiny

CLEANED = (Postprocessing(target="nucleus", minimum_mm3=4.0),)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pixels") / "model"
    tiny.make(folder, tiny.draft(2, ("grey",), tiny.NUCLEI, postprocessing=CLEANED))
    return folder


@pytest.fixture
def plane():
    return np.random.default_rng(0).integers(0, 256, (1, 40, 32)).astype(np.uint8)


def test_a_pixel_stays_a_pixel_whatever_its_size(made, plane):
    loaded = model.load(made, device="cpu")
    expected = loaded.predict(plane, (1.0, 1.0))
    assert 0 < np.count_nonzero(expected) < expected.size
    np.testing.assert_array_equal(loaded.predict(plane, (0.0002, 0.0002)), expected)


def test_of_files_too(made, plane, tmp_path):
    """A file in micrometres would be shrunk to nothing."""
    nifti(tmp_path / "a.nii.gz", plane.T, np.diag([-2e-4, -2e-4, 1.0, 1.0]))
    case = Case(case="a", subject="a", images=("a.nii.gz",))
    [done] = predict(ModelFolder(made), [case], tmp_path, tmp_path / "out", Options("cpu")).cases
    expected = model.load(made, device="cpu").predict(plane, (1.0, 1.0))
    assert done.volumes_mm3[0] == pytest.approx(np.count_nonzero(expected) * 4e-8)
