import json

import nibabel
import numpy as np
import pytest
from PIL import Image

from autoseg.contracts import Label, LabelSet
from autoseg.errors import GeometryError, LabelError, UsageError
from autoseg.evaluation.comparison import evaluate
from tests.evaluation.folders import AFFINE, mask, pairs, write


@pytest.fixture
def folders(tmp_path):
    return pairs(tmp_path, (0, 2))


def test_labels_come_from_the_references(folders):
    scores = evaluate(*folders)
    assert [target.target for target in scores.targets] == ["label_4", "label_7"]
    assert scores.tolerance_mm == pytest.approx(1.6)
    first, second = scores.cases
    assert [target.dice for target in first.targets] == [1.0, 1.0]
    assert second.targets[1].dice == 0.0  # two voxels wide, moved by two
    assert second.targets[1].hd95_mm == pytest.approx(1.6)
    assert first.targets[1].reference_mm3 == pytest.approx(2 * 3 * 2 * 0.8 * 0.8 * 3.0)
    assert scores.mean_dice.n == 2


def test_given_labels_name_the_targets_and_leave_the_unannotated_out(folders):
    labels = LabelSet(labels=(Label(name="organ", value=4),), ignore_value=7)
    write(folders[1], "case_1.nii.gz", np.where(mask() == 7, 7, mask()))
    write(folders[0], "case_1.nii.gz", np.where(mask() == 7, 0, mask()))
    write(folders[0], "case_0.nii.gz", np.where(mask() == 7, 4, mask()))
    scores = evaluate(*folders, labels, tolerance_mm=1.0)
    assert [case.targets[0].dice for case in scores.cases] == [1.0, 1.0]
    assert (scores.tolerance_mm, scores.targets[0].target) == (1.0, "organ")


def test_other_axes_of_the_same_voxels_are_the_same(folders):
    turned = nibabel.Nifti1Image(mask(), AFFINE).as_reoriented(nibabel.io_orientation(AFFINE))
    turned.to_filename(folders[0] / "case_1.nii.gz")
    assert evaluate(*folders).mean_dice.value == 1.0


def test_two_single_files(tmp_path):
    prediction, reference = write(tmp_path, "mine.nii.gz", mask()), write(tmp_path, "truth.nii.gz", mask())
    scores = evaluate(prediction, reference)
    assert (scores.cases[0].case, scores.mean_dice.value) == ("truth", 1.0)


def test_pictures(tmp_path):
    array = np.zeros((20, 30), dtype=np.uint8)
    array[5:15, 5:15] = 255
    for folder in ("p", "r"):
        (tmp_path / folder).mkdir()
    Image.fromarray(array).save(tmp_path / "r" / "a.png")
    Image.fromarray(np.stack([array] * 3, axis=-1)).save(tmp_path / "p" / "a.png")
    scores = evaluate(tmp_path / "p", tmp_path / "r")
    assert (scores.targets[0].target, scores.mean_dice.value, scores.tolerance_mm) == ("label_255", 1.0, 2.0)


def test_missing_predictions_are_listed_and_extra_ones_are_mentioned(folders):
    (folders[0] / "case_1.nii.gz").rename(folders[0] / "other.nii.gz")
    with pytest.raises(UsageError, match="1 of 2 references have no prediction: case_1;"):
        evaluate(*folders)
    (folders[1] / "case_1.nii.gz").unlink()
    events = []
    evaluate(*folders, notify=events.append)
    assert [event.detail for event in events if event.what == "warning"] == ["other: has no reference and is left out"]


def test_another_grid_is_an_error(folders):
    write(folders[0], "case_1.nii.gz", mask(), np.diag([-1.6, -1.6, 3.0, 1.0]))
    with pytest.raises(GeometryError, match=r"case case_1: .*case_1\.nii\.gz does not lie on the grid"):
        evaluate(*folders)
    write(folders[0], "case_1.nii.gz", mask()[:-1])
    with pytest.raises(GeometryError, match="shape"):
        evaluate(*folders)


def test_wrong_values_are_errors(folders):
    for case in ("case_0", "case_1"):
        write(folders[0], f"{case}.nii.gz", np.where(mask() > 0, 3, 0).astype(np.uint8))
    with pytest.raises(LabelError, match="the predictions show label_3, the references label_4, label_7, and none is"):
        evaluate(*folders)
    named = LabelSet(labels=(Label(name="organ", value=4), Label(name="tumor", value=7)))
    with pytest.raises(LabelError, match=r"case_0\.nii\.gz: the label has values that are not declared: 3 "):
        evaluate(*folders, named)
    write(folders[1], "case_1.nii.gz", np.random.default_rng(0).random((16, 14, 8)).astype(np.float32))
    with pytest.raises(LabelError, match="not whole numbers"):
        evaluate(*folders)
    for case in ("case_0", "case_1"):
        write(folders[1], f"{case}.nii.gz", np.zeros_like(mask()))
    with pytest.raises(LabelError, match="the references hold no structure"):
        evaluate(*folders)


def test_values_beyond_those_of_the_references_are_left_out_and_told(folders):
    write(folders[0], "case_0.nii.gz", np.where(mask() == 7, 3, mask()))
    events = []
    scores = evaluate(*folders, notify=events.append)
    assert [target.dice for target in scores.cases[0].targets] == [1.0, 0.0]
    assert [event.detail for event in events if event.what == "warning"] == ["no reference knows label_3; left out"]


def test_a_single_value_on_either_side_is_the_same_structure(folders):
    for case in ("case_0", "case_1"):
        write(folders[0], f"{case}.nii.gz", (mask() > 0).astype(np.uint8))
        write(folders[1], f"{case}.nii.gz", np.where(mask() > 0, 255, 0).astype(np.uint8))
    events = []
    scores = evaluate(*folders, notify=events.append)
    assert (scores.targets[0].target, scores.mean_dice.value) == ("label_255", 1.0)
    assert "label_1 is compared with label_255" in events[0].detail


def test_labels_are_called_what_the_references_folder_calls_them(folders):
    declared = {"labels": {"0": "background", "4": "organ", "7": "tumor"}, "numTraining": 2}
    (folders[1].parent / "dataset.json").write_text(json.dumps(declared))
    assert [target.target for target in evaluate(*folders).targets] == ["organ", "tumor"]


def test_nothing_to_compare(tmp_path, folders):
    with pytest.raises(UsageError, match="no such file or folder"):
        evaluate(tmp_path / "nowhere", folders[1])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="holds no masks"):
        evaluate(folders[0], tmp_path / "empty")
    write(folders[0], "case_1.nii", mask())
    with pytest.raises(UsageError, match="share one name"):
        evaluate(*folders)
