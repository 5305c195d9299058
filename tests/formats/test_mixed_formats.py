"""Files of several formats in one folder: each is read by its own reader, and answered in its own format."""

import numpy as np
import pytest
import SimpleITK
from typer.testing import CliRunner

from autoseg import formats, records
from autoseg.cli import app
from autoseg.contracts import Prediction, Settings
from autoseg.stages import dataset as stage
from tests.made import ball, noise
from tests.model import tiny

SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")


def write(path, array_xyz):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = SimpleITK.GetImageFromArray(array_xyz.T)
    image.SetSpacing((1.0, 1.25, 1.5))
    image.SetOrigin((-30.0, 20.0, 7.0))
    SimpleITK.WriteImage(image, str(path))
    return path


@pytest.mark.fault(10, "several formats in one data set", "a reader per file; all lie where they should")
def test_a_data_set_of_many_formats(tmp_path):
    for number, suffix in enumerate(SUFFIXES):
        write(tmp_path / "images" / f"case_{number}{suffix}", noise(number))
        write(tmp_path / "masks" / f"case_{number}{SUFFIXES[-1 - number]}", ball())
    made, scans = stage.inspect(tmp_path, Settings())
    assert [entry.verdict for entry in made.audit.entries if entry.case != "(all)"] == ["ok"] * len(SUFFIXES)
    assert {(scan.shape, scan.orientation) for scan in scans} == {((8, 10, 12), "LPS")}
    np.testing.assert_allclose([scan.spacing_mm for scan in scans], [(1.5, 1.25, 1.0)] * len(SUFFIXES), rtol=1e-6)
    assert {scan.targets[0].voxels for scan in scans} == {27}


@pytest.mark.fault(10, "images to predict in several formats", "each mask in the format and on the grid of its image")
def test_masks_follow_the_format_of_their_image(tmp_path):
    tiny.make(tmp_path / "model")
    for number, suffix in enumerate(SUFFIXES):
        write(tmp_path / "new" / f"case_{number}{suffix}", noise(number, (16, 14, 12)))
    arguments = ["predict", str(tmp_path / "model"), str(tmp_path / "new"), str(tmp_path / "out"), "--device", "cpu"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    told = records.read(tmp_path / "out" / "predict.json", Prediction).cases
    assert [case.output for case in told] == [f"case_{number}{suffix}" for number, suffix in enumerate(SUFFIXES)]
    for case in told:
        mask, image = (formats.read(tmp_path / folder / case.output) for folder in ("out", "new"))
        assert mask.grid.shape == image.grid.shape
        np.testing.assert_allclose(mask.grid.affine, image.grid.affine, atol=1e-6)
