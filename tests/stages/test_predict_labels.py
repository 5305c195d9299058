"""Masks come out as the training masks were stored: in their colours, on the grid of the channel that counted."""

import nibabel
import numpy as np
from PIL import Image

from autoseg.contracts import Case, Label, LabelSet
from autoseg.predicted_files import Options
from autoseg.stages.predict import predict
from autoseg.workspace import ModelFolder
from tests.made import nifti, noise
from tests.model import tiny

CPU = Options(device="cpu")
COLOURS = LabelSet(
    labels=(Label(name="red", value=0xFF0000), Label(name="green", value=0x00A000)),
    background_value=0xFFFFFF,
    coding="rgb",
)


def test_colour_labels_are_written_as_colours(tmp_path):
    tiny.make(tmp_path / "model", tiny.draft(2, ("R", "G", "B"), COLOURS))
    picture = np.random.default_rng(0).integers(0, 255, (8, 9, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    Image.fromarray(picture).save(tmp_path / "a.png")
    case = Case(case="a", subject="a", images=("a.png",))
    made = predict(ModelFolder(tmp_path / "model"), [case], tmp_path, tmp_path / "out", CPU).cases[0]
    assert (made.status, made.error) == ("done", "")
    written = np.array(Image.open(tmp_path / "out" / "a.png"))
    found = {tuple(map(int, colour)) for colour in written.reshape(-1, 3)}
    assert found <= {(255, 255, 255), (255, 0, 0), (0, 160, 0)}
    assert len(found) > 1


def test_the_mask_lies_on_the_reference_channel(tmp_path):
    tiny.make(tmp_path / "model", tiny.draft(channels=("T1", "T2")))
    nifti(tmp_path / "t1.nii.gz", noise(1, (9, 8, 10)), np.diag([-2.0, -2.0, 2.0, 1.0]))
    fine = np.diag([-1.0, -1.0, 1.0, 1.0])
    fine[:3, 3] = (0.5, 0.5, -0.5)
    nifti(tmp_path / "t2.nii.gz", noise(2, (18, 16, 20)), fine)
    case = Case(case="a", subject="a", images=("t1.nii.gz", "t2.nii.gz"), reference=1)
    made = predict(ModelFolder(tmp_path / "model"), [case], tmp_path, tmp_path / "out", CPU).cases[0]
    assert made.status == "done"
    mask = nibabel.load(tmp_path / "out" / "a.nii.gz")
    assert mask.shape == (18, 16, 20)
    np.testing.assert_array_equal(mask.affine, fine)
