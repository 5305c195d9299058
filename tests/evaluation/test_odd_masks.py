"""Masks at the edge of what can be scored: the stated convention holds, through files, records and tables."""

import nibabel
import numpy as np
import pytest
from PIL import Image

from autoseg.contracts import Label, LabelSet
from autoseg.errors import LabelError
from autoseg.evaluation import tables
from autoseg.evaluation.comparison import evaluate
from autoseg.volumes.metrics import METRICS
from tests.evaluation.folders import AFFINE, mask, pairs, write


def test_one_case_has_scores_and_no_interval(tmp_path):
    scores = evaluate(*pairs(tmp_path, (1,)))
    for name in METRICS:
        mean = getattr(scores.targets[0], name)
        assert mean.value == getattr(scores.cases[0].targets[0], name)
        assert (mean.low, mean.high, mean.n) == (None, None, 1), name


def test_a_label_that_nobody_shows_is_undefined_by_every_metric(tmp_path):
    labels = LabelSet(labels=tuple(Label(name=name, value=value) for name, value in (("a", 4), ("b", 7), ("rare", 9))))
    scores = evaluate(*pairs(tmp_path, (0, 1)), labels)
    rare = scores.targets[2]
    assert (rare.absent, rare.missed) == (2, 0)
    for name in METRICS:
        assert (getattr(rare, name).value, getattr(rare, name).n) == (None, 0), name
    assert scores.means.iou.value == pytest.approx((scores.targets[0].iou.value + scores.targets[1].iou.value) / 2)
    assert tables.summary(scores)["dice"].iloc[2] == "-"
    assert tables.to_table(scores)["dice"].isna().sum() == 2


def test_predictions_that_are_empty_everywhere(tmp_path):
    folders = pairs(tmp_path, (0, 0))
    for index in range(2):
        write(folders[0], f"case_{index}.nii.gz", np.zeros_like(mask()))
    scores = evaluate(*folders)
    organ = scores.targets[0]
    assert (organ.missed, organ.dice.value, organ.nsd.value, organ.lesion_f1.value) == (2, 0.0, 0.0, 0.0)
    assert (organ.specificity.value, organ.relative_volume_error.value, organ.precision.n) == (1.0, -1.0, 0)
    assert (organ.hd95_mm.value, organ.hd_mm.n, organ.assd_mm.n) == (None, 0, 0)
    assert tables.summary(scores)["hd95_mm"].tolist() == ["-"] * 3


def test_labels_of_one_voxel(tmp_path):
    for folder, place in (("r", 3), ("p", 4)):
        array = np.zeros((8, 8, 4), dtype=np.uint8)
        array[place, 2, 2] = 1
        write(tmp_path / folder, "a.nii.gz", array)
    [target] = evaluate(tmp_path / "p", tmp_path / "r").cases[0].targets
    assert (target.dice, target.hd95_mm, target.hd_mm, target.assd_mm) == (0.0, *[pytest.approx(0.8)] * 3)
    assert (target.nsd, target.lesions_missed, target.lesions_extra) == (1.0, 1.0, 1.0)  # 0.8 mm, of 1.6 forgiven


def test_a_picture_is_a_plane(tmp_path):
    for folder, stop in (("r", 20), ("p", 21)):
        array = np.zeros((40, 50), dtype=np.uint8)
        array[10:stop, 10:20] = 255
        (tmp_path / folder).mkdir()
        Image.fromarray(array).save(tmp_path / folder / "a.png")
    [target] = evaluate(tmp_path / "p", tmp_path / "r", tolerance_mm=0.5).cases[0].targets
    outline, longer, shared = 36, 38, 28  # all but the last row and its inner neighbours
    assert target.nsd == pytest.approx(2 * shared / (outline + longer))
    assert (target.hd_mm, target.lesion_f1, target.volume_error_mm3) == (1.0, 1.0, 10.0)


@pytest.mark.parametrize("value", [300, 65_535, 2**31 - 1, 2**40])
def test_huge_values_are_labels_like_any_other(tmp_path, value):
    for folder, shift in (("r", 0), ("p", 1)):
        array = mask(shift).astype(np.int64)
        array[array == 4] = value
        (tmp_path / folder).mkdir()
        nibabel.Nifti1Image(array, AFFINE, dtype=np.int64).to_filename(tmp_path / folder / "a.nii.gz")
    scores = evaluate(tmp_path / "p", tmp_path / "r")
    assert [target.target for target in scores.targets] == ["label_7", f"label_{value}"]
    assert scores.targets[1].dice.value == evaluate(*pairs(tmp_path / "small", (1,))).targets[0].dice.value


def test_references_that_hold_nothing_are_an_error(tmp_path):
    folders = pairs(tmp_path, (0,))
    write(folders[1], "case_0.nii.gz", np.zeros_like(mask()))
    with pytest.raises(LabelError, match="the references hold no structure"):
        evaluate(*folders)
