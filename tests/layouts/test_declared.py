"""``dataset.json`` of Decathlon and nnU-Net folders, good and bad."""

import json

import pytest

from autoseg import layouts
from autoseg.contracts import Region
from autoseg.errors import DataError, LabelError, RefusedError
from autoseg.phantoms import write_msd, write_nnunet
from tests.made import ball, nifti, noise


def edit(folder, **changes):
    path = folder / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return folder


@pytest.fixture
def nnunet(tmp_path):
    write_nnunet(tmp_path, cases=2)
    return tmp_path


@pytest.fixture
def msd(tmp_path):
    write_msd(tmp_path, cases=2)
    return tmp_path


def test_nnunet_channels_are_files_in_order(tmp_path):
    write_nnunet(tmp_path, cases=1, channels=2)
    found = layouts.find(tmp_path)
    assert found.channels == ("T1", "T2")
    assert found.cases[0].images == ("imagesTr/phantom_000_0000.nii.gz", "imagesTr/phantom_000_0001.nii.gz")


def test_regions_keep_their_painting_order(tmp_path):
    write_nnunet(tmp_path, cases=1, kind="regions")
    labels = layouts.find(tmp_path).labels
    assert labels.kind == "regions"
    assert labels.regions == (
        Region(name="whole", members=(1, 2), writes=1),
        Region(name="core", members=(2,), writes=2),
    )
    assert [label.value for label in labels.labels] == [1, 2]


def test_ignore_is_no_label(tmp_path):
    write_nnunet(tmp_path, cases=1, kind="ignore")
    labels = layouts.find(tmp_path).labels
    assert (labels.targets, labels.ignore_value, labels.ignore_index) == (("organ", "lesion"), 3, 3)


def test_ignore_inside_a_region_is_refused(nnunet):
    edit(nnunet, labels={"background": 0, "whole": [1, 2], "ignore": 2}, regions_class_order=[1])
    with pytest.raises(LabelError, match="ignore"):
        layouts.find(nnunet)


def test_regions_without_painting_order_are_refused(nnunet):
    edit(nnunet, labels={"background": 0, "whole": [1, 2]})
    with pytest.raises(LabelError, match="regions_class_order"):
        layouts.find(nnunet)


def test_two_labels_with_one_value_are_refused(nnunet):
    edit(nnunet, labels={"background": 0, "a": 1, "b": 1})
    with pytest.raises(LabelError, match="several labels"):
        layouts.find(nnunet)


def test_file_ending_is_optional_and_respected(nnunet):
    path = nnunet / "dataset.json"
    content = json.loads(path.read_text())
    del content["file_ending"]
    path.write_text(json.dumps(content))
    nifti(nnunet / "imagesTr" / "other_0000.nii", noise())
    assert len(layouts.find(nnunet).cases) == 3
    edit(nnunet, file_ending=".nii.gz")
    found = layouts.find(nnunet)
    assert len(found.cases) == 2
    assert found.left_over == ("imagesTr/other_0000.nii",)


@pytest.mark.parametrize("write", [write_msd, write_nnunet])
def test_a_labelled_test_set_is_the_hold_out(tmp_path, write):
    write(tmp_path, cases=2)
    ending = "_0000" if write is write_nnunet else ""
    nifti(tmp_path / "imagesTs" / f"late{ending}.nii.gz", noise())
    nifti(tmp_path / "labelsTs" / "late.nii.gz", ball())
    nifti(tmp_path / "imagesTs" / f"unknown{ending}.nii.gz", noise())
    cases = {case.case: case for case in layouts.find(tmp_path).cases}
    assert cases["late"].given_holdout
    assert cases["unknown"].label is None
    assert not cases["unknown"].given_holdout
    assert not cases["phantom_000"].given_holdout


def test_msd_lists_count_and_other_files_are_left_over(msd):
    nifti(msd / "imagesTr" / "unlisted.nii.gz", noise())
    found = layouts.find(msd)
    assert [case.case for case in found.cases] == ["phantom_000", "phantom_001"]
    assert found.left_over == ("imagesTr/unlisted.nii.gz",)


def test_msd_without_a_list_is_read_off_the_folders(msd):
    edit(msd, training=[])
    assert all(case.label for case in layouts.find(msd).cases)


def test_msd_case_numbers_are_not_channels(tmp_path):
    write_msd(tmp_path, cases=1)
    for name in ("la_0000", "la_0001"):
        nifti(tmp_path / "imagesTr" / f"{name}.nii.gz", noise())
        nifti(tmp_path / "labelsTr" / f"{name}.nii.gz", ball())
    edit(tmp_path, training=[])
    assert [case.case for case in layouts.find(tmp_path).cases] == ["la_0000", "la_0001", "phantom_000"]


def test_nnunet_v1_wrote_msd_json_over_channel_files(tmp_path):
    write_msd(tmp_path, cases=1)
    image = tmp_path / "imagesTr" / "phantom_000.nii.gz"
    image.rename(tmp_path / "imagesTr" / "phantom_000_0000.nii.gz")
    nifti(tmp_path / "imagesTr" / "phantom_000_0001.nii.gz", noise())
    [case] = layouts.find(tmp_path).cases
    assert case.images == ("imagesTr/phantom_000_0000.nii.gz", "imagesTr/phantom_000_0001.nii.gz")


@pytest.mark.parametrize("evil", ["../../etc/passwd", "/etc/passwd", "C:\\secret.nii.gz", "..\\up.nii.gz"])
def test_paths_out_of_the_folder_are_refused(msd, evil):
    edit(msd, training=[{"image": evil, "label": "labelsTr/phantom_000.nii.gz"}])
    with pytest.raises(RefusedError, match=r"\$\.training\[0\]\.image"):
        layouts.find(msd)


def test_broken_json_names_line_and_column(msd):
    (msd / "dataset.json").write_text('{\n "name": "x",\n}')
    with pytest.raises(DataError, match=r"line 3, column 1|line 2, column 1\d"):
        layouts.find(msd)


def test_byte_order_mark_is_tolerated(msd):
    path = msd / "dataset.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert layouts.find(msd).layout == "msd"


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"training": "all"}, r"\$\.training"),
        ({"training": [3]}, r"\$\.training\[0\]"),
        ({"labels": {"0": "background", "one": 1.5}}, r"\$\.labels"),
        ({"labels": ["a"]}, r"\$\.labels"),
        ({"labels": {"0": "background"}}, r"\$\.labels"),
        ({"modality": {"1": "MRI"}}, r"\$\.modality"),
        ({"modality": 7}, r"\$\.modality"),
    ],
)
def test_wrong_types_name_the_json_path(msd, changes, where):
    edit(msd, **changes)
    with pytest.raises(DataError, match=where):
        layouts.find(msd)
