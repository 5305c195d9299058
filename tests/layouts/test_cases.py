"""Case folders that are not all alike."""

import json

import pytest
from typer.testing import CliRunner

from autoseg import layouts
from autoseg.cli import app
from autoseg.errors import LayoutError
from tests.layouts.folders import make, read


@pytest.mark.fault(39, "a case folder without one of the channels", "listed, and quarantined; said which is missing")
def test_a_missing_channel(tmp_path):
    make(tmp_path, "p{0,1,2,3,4,5}/{flair,t1,t2}.nii.gz \n p{0,1,2,3,4,5}/seg.nii.gz #")
    (tmp_path / "p3" / "t1.nii.gz").unlink()
    found = layouts.find(tmp_path)
    assert found.channels == ("flair", "t1", "t2")
    assert read(found)["p3"] == ("p3/flair.nii.gz", "p3/t2.nii.gz", "->", "p3/seg.nii.gz")
    assert "p3 lacks t1" in found.notes
    said = json.loads(CliRunner().invoke(app, ["inspect", str(tmp_path), "--json"]).stdout)
    assert [entry["case"] for entry in said["audit"] if entry["verdict"] == "quarantined"] == ["p3"]
    assert said["cases"] == 5


def test_a_file_that_few_cases_have_is_no_channel(tmp_path):
    make(tmp_path, "p{0,1,2}/{t1,t2}.nii.gz \n p{0,1,2}/seg.nii.gz # \n p0/repeat.nii.gz")
    found = layouts.find(tmp_path)
    assert found.channels == ("t1", "t2")
    assert found.left_over == ("p0/repeat.nii.gz",)
    assert "too few cases" in found.left_over_because[0]


def test_a_case_without_a_mask_is_to_be_predicted(tmp_path):
    make(tmp_path, "p{0,1,2}/ct.nii.gz \n p{0,1}/mask.nii.gz #")
    assert [case.labelled for case in layouts.find(tmp_path).cases] == [True, True, False]


def test_a_mask_without_its_name_saying_so_is_no_channel(tmp_path):
    make(tmp_path, "p{0,1}/{t1,t2}.nii.gz \n p{0,1}/label.nii.gz # \n p{0,1}/lesion.nii.gz #")
    found = layouts.find(tmp_path)
    assert found.channels == ("t1", "t2")
    assert read(found)["p0"][-1] == "p0/label.nii.gz"
    assert found.left_over == ("p0/lesion.nii.gz", "p1/lesion.nii.gz")


def test_the_label_goes_before_a_mask_of_the_brain(tmp_path):
    found = layouts.find(make(tmp_path, "p{0,1}/t1.nii.gz \n p{0,1}/{brain_mask,seg}.nii.gz #"))
    assert read(found)["p0"] == ("p0/t1.nii.gz", "->", "p0/seg.nii.gz")
    assert found.left_over_because == ("seg is the label", "seg is the label")


def test_inner_folders_for_images_and_masks(tmp_path):
    found = layouts.find(make(tmp_path, "p{0,1,2}/image/{t1,t2}.nii.gz \n p{0,1,2}/label/seg.nii.gz #"))
    assert found.channels == ("t1", "t2")
    assert read(found)["p0"] == ("p0/image/t1.nii.gz", "p0/image/t2.nii.gz", "->", "p0/label/seg.nii.gz")


def test_a_prefix_that_is_not_the_name_of_the_folder(tmp_path):
    tree = "Patient-{1,2}/x.txt\n" + "\n".join(
        f"Patient-{n}/{n}-{{T1,Flair}}.nii.gz \n Patient-{n}/{n}-LesionSeg.nii.gz #" for n in (1, 2)
    )
    found = layouts.find(make(tmp_path, tree))
    assert found.channels == ("Flair", "T1")
    assert read(found)["Patient-2"][-1] == "Patient-2/2-LesionSeg.nii.gz"


def test_images_and_masks_of_each_contrast_are_cases_of_their_own(tmp_path):
    found = layouts.find(make(tmp_path, "p{0,1}/{t1,t2}.nii.gz \n p{0,1}/{t1,t2}_seg.nii.gz #"))
    assert read(found)["p0_t1"] == ("p0/t1.nii.gz", "->", "p0/t1_seg.nii.gz")
    assert {case.subject for case in found.cases} == {"p0", "p1"}


def test_folders_without_masks_are_no_data_set(tmp_path):
    with pytest.raises(LayoutError):
        layouts.find(make(tmp_path, "p{0,1}/{t1,t2}.nii.gz"))


def test_several_data_sets_below_one_folder_are_not_cases(tmp_path):
    with pytest.raises(LayoutError, match="several data sets"):
        layouts.find(make(tmp_path, "{liver,heart}/images/{a,b}.nii.gz \n {liver,heart}/masks/{a,b}.nii.gz #"))
