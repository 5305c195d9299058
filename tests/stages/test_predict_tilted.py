"""Masks of scans whose axes are not at right angles: segmented upright, and back on the tilted grid."""

import nibabel
import numpy as np
import pytest

from autoseg.contracts import Case
from autoseg.predicted_files import Options
from autoseg.stages.predict import predict
from autoseg.workspace import ModelFolder
from tests.model import tiny
from tests.stages.test_predict import blocks

TILTED = np.array([[-1.0, 0, 0, 5], [0, -1.0, 0.75, 7], [0, 0, 1.5, 9], [0, 0, 0, 1]])


@pytest.mark.fault(24, "tilted gantry at prediction", "the mask lies on the tilted grid, under the image's header")
@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
def test_masks_of_tilted_scans_lie_on_the_tilted_grid(tmp_path, suffix):
    tiny.make(tmp_path / "model")
    array = blocks((20, 24, 16))
    path = tmp_path / f"a{suffix}"
    if suffix == ".nrrd":
        steps = " ".join("({},{},{})".format(*column) for column in TILTED[:3, :3].T)
        head = f"NRRD0005\ntype: float\ndimension: 3\nspace: RAS\nsizes: 20 24 16\nspace directions: {steps}\n"
        origin = "space origin: (5,7,9)\nencoding: raw\nendian: little\n\n"
        path.write_bytes((head + origin).encode() + array.T.astype("<f4").tobytes())
    else:
        nibabel.Nifti1Image(array, TILTED).to_filename(path)
    options = Options(device="cpu", probabilities=True)
    case = Case(case="a", subject="a", images=(path.name,))
    [made] = predict(ModelFolder(tmp_path / "model"), [case], tmp_path, tmp_path / "out", options).cases
    assert made.status == "done"
    assert any("tilted gantry" in warning for warning in made.warnings)
    mask_path = tmp_path / "out" / f"a{suffix}"
    if suffix == ".nrrd":
        assert f"space directions: {steps}".encode() in mask_path.read_bytes()
    else:
        mask = nibabel.load(mask_path)
        assert np.array_equal(mask.affine, nibabel.load(path).affine)
        found = np.asarray(mask.dataobj)
        assert found.shape == array.shape
        voxel_mm3 = abs(np.linalg.det(TILTED[:3, :3]))
        assert made.volumes_mm3 == pytest.approx([(found == value).sum() * voxel_mm3 for value in (3, 7)])
    probabilities = np.load(tmp_path / "out" / "a.npz")["probabilities"].astype(np.float32)
    assert probabilities.shape[1:] == (16, 24, 20)
    assert np.allclose(probabilities.sum(0), 1, atol=0.01)


@pytest.mark.fault(23, "axes a little off right angles, at prediction", "the mask has the very header of the image")
def test_masks_of_slightly_sheared_scans_keep_the_header(tmp_path):
    tiny.make(tmp_path / "model")
    sheared = TILTED.copy()
    sheared[1, 2] = 0.005
    nibabel.Nifti1Image(blocks((20, 24, 16)), sheared).to_filename(tmp_path / "a.nii.gz")
    case = Case(case="a", subject="a", images=("a.nii.gz",))
    [made] = predict(ModelFolder(tmp_path / "model"), [case], tmp_path, tmp_path / "out", Options("cpu")).cases
    assert made.status == "done"
    mask, image = (nibabel.load(folder / "a.nii.gz") for folder in (tmp_path / "out", tmp_path))
    assert mask.shape == image.shape
    assert np.array_equal(mask.affine, image.affine)
    assert np.array_equal(mask.header["srow_y"], image.header["srow_y"])
