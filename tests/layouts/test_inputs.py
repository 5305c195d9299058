import pytest

from autoseg import layouts
from autoseg.errors import LayoutError, UsageError
from tests.made import nifti, noise


def listed(path, channels):
    return {case.case: case.images for case in layouts.find_inputs(path, channels)}


def test_a_file_is_one_case(tmp_path):
    path = nifti(tmp_path / "one.nii.gz", noise())
    assert listed(path, 1) == {"one": ("one.nii.gz",)}


def test_a_folder_is_one_case_per_file(tmp_path):
    nifti(tmp_path / "b.nii.gz", noise())
    nifti(tmp_path / "a.nii", noise())
    nifti(tmp_path / "below" / "c.nii", noise())
    assert listed(tmp_path, 1) == {"a": ("a.nii",), "b": ("b.nii.gz",)}


def test_channel_numbers_are_grouped_and_a_gap_is_kept(tmp_path):
    for name in ("a_0000", "a_0001", "b_0000"):
        nifti(tmp_path / f"{name}.nii.gz", noise())
    assert listed(tmp_path, 2) == {"a": ("a_0000.nii.gz", "a_0001.nii.gz"), "b": ("b_0000.nii.gz",)}


def test_the_channel_number_of_a_single_channel_is_no_part_of_the_name(tmp_path):
    nifti(tmp_path / "a_0000.nii.gz", noise())
    assert listed(tmp_path, 1) == {"a": ("a_0000.nii.gz",)}


def test_more_numbers_than_channels_are_case_numbers(tmp_path):
    for number in range(3):
        nifti(tmp_path / f"x_{number:04d}.nii.gz", noise())
    assert list(listed(tmp_path, 2)) == ["x_0000", "x_0001", "x_0002"]


def test_nothing_to_predict(tmp_path):
    with pytest.raises(LayoutError, match="no images"):
        layouts.find_inputs(tmp_path, 1)
    with pytest.raises(UsageError, match="does not exist"):
        layouts.find_inputs(tmp_path / "none", 1)
    (tmp_path / "text.txt").write_text("x")
    with pytest.raises(UsageError, match="not an image"):
        layouts.find_inputs(tmp_path / "text.txt", 1)
