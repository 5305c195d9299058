"""Folders that can be read in several ways, and how to say which is meant."""

import pytest
from typer.testing import CliRunner

from autoseg import layouts
from autoseg.cli import app
from autoseg.errors import LayoutError, UsageError
from tests.layouts.folders import make, read


@pytest.fixture
def two_mask_folders(tmp_path):
    return make(tmp_path, "images/{1,2}.nii.gz \n {masks_a,masks_b}/{1,2}.nii.gz #")


def test_two_folders_of_masks(two_mask_folders):
    with pytest.raises(LayoutError) as raised:
        layouts.find(two_mask_folders)
    said = str(raised.value)
    assert "--layout pairs:images,masks_a\n      2 cases, 2 with a label, e.g. 1: images/1.nii.gz -> masks_a" in said
    assert "--layout pairs:images,masks_b\n" in said
    assert "also: pairs:images,masks_a+masks_b" in said


@pytest.mark.parametrize(
    ("layout", "labels"),
    [
        ("pairs:images,masks_b", ("masks_b/1.nii.gz",)),
        ("pairs:images,masks_a+masks_b", ("masks_a/1.nii.gz", "masks_b/1.nii.gz")),
    ],
)
def test_the_reading_that_is_asked_for_is_used(two_mask_folders, layout, labels):
    found = layouts.find(two_mask_folders, layout=layout)
    assert read(found)["1"] == ("images/1.nii.gz", "->", *labels)
    result = CliRunner().invoke(app, ["inspect", str(two_mask_folders), "--layout", "pairs:images,masks_a"])
    assert result.exit_code == 0
    assert 'left over: "masks_b/ (2 files)"' in result.stdout


def test_two_folders_of_images(tmp_path):
    make(tmp_path, "{scans_old,scans_new}/{1,2}.nii.gz \n masks/{1,2}.nii.gz #")
    with pytest.raises(LayoutError, match=r"(?s)pairs:scans_new,masks.*pairs:scans_old,masks.*scans_new\+scans_old"):
        layouts.find(tmp_path)
    found = layouts.find(tmp_path, layout="pairs:scans_new+scans_old,masks")
    assert found.channels == ("scans_new", "scans_old")


def test_a_folder_called_images_is_the_images_and_the_other_is_left_over(tmp_path):
    make(tmp_path, "{images,overlays}/{1,2}.nii.gz \n masks/{1,2}.nii.gz #")
    found = layouts.find(tmp_path)
    assert read(found)["1"] == ("images/1.nii.gz", "->", "masks/1.nii.gz")
    assert found.left_over == ("overlays/ (2 files)",)


def test_a_reading_that_there_is_not(two_mask_folders):
    with pytest.raises(UsageError, match=r"it can be read as: pairs:images,masks_a, "):
        layouts.find(two_mask_folders, layout="bids")


def test_a_clear_majority_is_taken_and_the_rest_told(tmp_path):
    make(tmp_path, "images/{1,2,3,4}.nii.gz \n labels/{1,2,3,4}.nii.gz # \n labels_b/1.nii.gz #")
    found = layouts.find(tmp_path)
    assert all(case.label.startswith("labels/") for case in found.cases)
    assert found.left_over == ("labels_b/1.nii.gz",)
    assert "whose label is labels/1.nii.gz" in found.left_over_because[0]


def test_data_sets_side_by_side_are_one_if_that_is_asked_for(tmp_path):
    make(tmp_path, "{anna,ben}/images/{1,2}.nii.gz \n {anna,ben}/masks/{1,2}.nii.gz #")
    with pytest.raises(LayoutError, match=r"several data sets \(anna, ben\).*--layout together"):
        layouts.find(tmp_path)
    found = layouts.find(tmp_path, layout="together")
    assert read(found)["ben_2"] == ("ben/images/2.nii.gz", "->", "ben/masks/2.nii.gz")
    with pytest.raises(UsageError, match="expected several data sets"):
        layouts.find(tmp_path / "anna", layout="together")


@pytest.mark.parametrize(
    ("tree", "wanted", "label"),
    [
        (
            "{train,test}/images/{1,2}.png \n {train,test}/{masks_a,masks_b}/{1,2}.png #",
            "pairs:images,masks_b",
            "train/masks_b/1.png",
        ),
        (
            "{train,test}_images/{1,2}.png \n train_{masks_a,masks_b}/{1,2}.png # \n test_masks/{1,2}.png #",
            "pairs:train_images,train_masks_b/test_images,test_masks",
            "train_masks_b/1.png",
        ),
    ],
)
def test_a_doubt_in_one_part_of_a_split_is_asked_about(tmp_path, tree, wanted, label):
    make(tmp_path, tree)
    with pytest.raises(LayoutError, match=f"--layout {wanted}"):
        layouts.find(tmp_path)
    cases = layouts.find(tmp_path, layout=wanted).cases
    assert label in [case.label for case in cases]
    assert [case.given_holdout for case in cases].count(True) == 2
