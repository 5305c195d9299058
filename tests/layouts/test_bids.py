"""BIDS folders."""

import pytest

from autoseg import layouts
from autoseg.errors import LayoutError
from tests.layouts.folders import make, read

RAW = """
    dataset_description.json
    participants.tsv
    sub-0{1,2,3}/anat/sub-0{1,2,3}_{T1w,FLAIR}.nii.gz
"""


def by_subject(line: str) -> str:
    return "\n".join(line.replace("%", number) for number in ("01", "02", "03"))


ANAT = by_subject("sub-%/anat/sub-%_{T1w,FLAIR}.nii.gz") + "\n" + by_subject("sub-%/func/sub-%_task-rest_bold.nii.gz")


def test_masks_of_a_session_take_all_shared_contrasts(tmp_path):
    masks = by_subject("derivatives/manual/sub-%/anat/sub-%_label-lesion_mask.nii.gz #")
    found = layouts.find(make(tmp_path, ANAT + "\n" + masks))
    assert (found.layout, found.channels) == ("bids", ("FLAIR", "T1w"))
    start = "sub-02/anat/sub-02"
    label = "derivatives/manual/sub-02/anat/sub-02_label-lesion_mask.nii.gz"
    assert read(found)["sub-02"] == (f"{start}_FLAIR.nii.gz", f"{start}_T1w.nii.gz", "->", label)
    assert "sub-01/func/sub-01_task-rest_bold.nii.gz" in found.left_over


def test_masks_called_after_an_image_make_it_a_case(tmp_path):
    masks = by_subject("derivatives/labels/sub-%/anat/sub-%_{T1w,FLAIR}_seg-manual.nii.gz #")
    found = layouts.find(make(tmp_path, ANAT + "\n" + masks))
    assert len(found.cases) == 6
    assert len({case.subject for case in found.cases}) == 3
    assert read(found)["sub-01_FLAIR"] == (
        "sub-01/anat/sub-01_FLAIR.nii.gz",
        "->",
        "derivatives/labels/sub-01/anat/sub-01_FLAIR_seg-manual.nii.gz",
    )


def test_sessions_are_cases_of_one_subject_and_names_come_from_the_sidecar(tmp_path):
    tree = """
        sub-{a}/ses-{1,2}/anat/sub-a_T1w.nii.gz
        derivatives/fs/sub-a/ses-{1,2}/anat/sub-a_dseg.nii.gz #
        sub-b/ses-1/anat/sub-b_T1w.nii.gz
        derivatives/fs/sub-b/ses-1/anat/sub-b_dseg.nii.gz #
    """
    root = make(tmp_path, tree)
    (root / "derivatives" / "fs" / "desc-all_dseg.tsv").write_text("index\tname\n0\tbackground\n1\thippocampus\n")
    found = layouts.find(root)
    assert {case.case: case.subject for case in found.cases} == {
        "sub-a_ses-1": "sub-a",
        "sub-a_ses-2": "sub-a",
        "sub-b_ses-1": "sub-b",
    }
    assert found.label_names[1] == "hippocampus"


def test_several_labels_are_structures_and_brains_come_last(tmp_path):
    masks = by_subject("derivatives/m/sub-%/anat/sub-%_{label-GM_mask,label-WM_mask,desc-brain_mask}.nii.gz #")
    found = layouts.find(make(tmp_path, ANAT + "\n" + masks))
    assert [each.name for each in found.cases[0].structures] == ["GM", "WM"]


def test_two_pipelines_are_asked_about(tmp_path):
    masks = by_subject("derivatives/{anna,ben}/sub-%/anat/sub-%_dseg.nii.gz #")
    with pytest.raises(LayoutError, match=r"(?s)--layout bids:anna.*--layout bids:ben"):
        layouts.find(make(tmp_path, ANAT + "\n" + masks))
    assert "derivatives/ben/" in layouts.find(tmp_path, layout="bids:ben").cases[0].label


def test_a_subject_without_a_contrast_is_listed_and_one_without_a_mask_predicted(tmp_path):
    masks = "derivatives/m/sub-0{1,2}/anat/x.txt\n" + "\n".join(
        f"derivatives/m/sub-{n}/anat/sub-{n}_dseg.nii.gz #" for n in ("01", "02")
    )
    root = make(tmp_path, ANAT + "\n" + masks)
    (root / "sub-02" / "anat" / "sub-02_FLAIR.nii.gz").unlink()
    found = layouts.find(root)
    assert [(case.case, len(case.images), case.labelled) for case in found.cases] == [
        ("sub-01", 2, True),
        ("sub-02", 1, True),
        ("sub-03", 2, False),
    ]
    assert "sub-02 lacks FLAIR" in found.notes


def test_masks_without_a_data_type(tmp_path):  # as ISLES 2022
    tree = "\n".join(
        f"sub-{n}/ses-1/dwi/sub-{n}_ses-1_{{dwi,adc}}.nii.gz \n derivatives/sub-{n}/ses-1/sub-{n}_ses-1_msk.nii.gz #"
        for n in (1, 2)
    )
    found = layouts.find(make(tmp_path, tree))
    assert (found.layout, found.channels, [case.labelled for case in found.cases]) == (
        "bids",
        ("adc", "dwi"),
        [True] * 2,
    )


def test_masks_beside_images_that_were_made_in_two_ways(tmp_path):  # as FeTA
    tree = """
        sub-1/anat/sub-1_rec-mial_T2w.nii.gz
        sub-1/anat/sub-1_rec-mial_dseg.nii.gz #
        sub-2/anat/sub-2_rec-irtk_T2w.nii.gz
        sub-2/anat/sub-2_rec-irtk_dseg.nii.gz #
    """
    found = layouts.find(make(tmp_path, tree))
    assert read(found)["sub-2"] == (
        "sub-2/anat/sub-2_rec-irtk_T2w.nii.gz",
        "->",
        "sub-2/anat/sub-2_rec-irtk_dseg.nii.gz",
    )
    assert len(found.cases) == 2
