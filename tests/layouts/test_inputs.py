import pytest

from autoseg import layouts
from autoseg.errors import LayoutError, UsageError
from tests.layouts.folders import make
from tests.made import nifti, noise


def listed(path, channels):
    return {case.case: case.images for case in layouts.find_inputs(path, [f"c{n}" for n in range(channels)])}


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
        layouts.find_inputs(tmp_path, ["c0"])
    with pytest.raises(UsageError, match="does not exist"):
        layouts.find_inputs(tmp_path / "none", ["c0"])
    (tmp_path / "text.txt").write_text("x")
    with pytest.raises(UsageError, match="not an image"):
        layouts.find_inputs(tmp_path / "text.txt", ["c0"])


def by_name(path, *channels):
    return {case.case: case.images for case in layouts.find_inputs(path, channels)}


def test_a_folder_per_case_with_a_file_per_channel(tmp_path):
    for file in ("p1/T1.nii.gz", "p1/flair.nii.gz", "p1/T1POST.nii.gz", "p1/label.nii.gz", "p2/p2_T1.nii.gz"):
        nifti(tmp_path / file, noise())
    found = by_name(tmp_path, "FLAIR", "T1", "T1POST")
    assert found == {
        "p1": ("p1/flair.nii.gz", "p1/T1.nii.gz", "p1/T1POST.nii.gz"),
        "p2": ("p2/p2_T1.nii.gz",),
    }, "p2 lacks channels: it is listed, and will fail alone"


def test_channels_by_name_in_one_folder(tmp_path):
    for file in ("BraTS_1_flair.nii.gz", "BraTS_1_t1.nii.gz", "BraTS_2_flair.nii.gz", "BraTS_2_t1.nii.gz"):
        nifti(tmp_path / "many" / file, noise())
    assert list(by_name(tmp_path / "many", "flair", "t1")) == ["BraTS_1", "BraTS_2"]
    for file in ("flair.nii.gz", "t1.nii.gz"):
        nifti(tmp_path / "one" / file, noise())
    assert by_name(tmp_path / "one", "flair", "t1") == {"one": ("flair.nii.gz", "t1.nii.gz")}


def test_one_channel_in_subfolders(tmp_path):
    for file in ("s1/ct.nii.gz", "s2/ct.nii.gz", "s1/segmentations/liver.nii.gz", "s2/ct_mask.nii.gz"):
        nifti(tmp_path / file, noise())
    assert by_name(tmp_path, "CT") == {"s1_ct": ("s1/ct.nii.gz",), "s2_ct": ("s2/ct.nii.gz",)}


def test_subfolders_without_the_channels_are_no_cases(tmp_path):
    nifti(tmp_path / "p1" / "t2.nii.gz", noise())
    with pytest.raises(LayoutError, match=r"for each of the model's channels \(flair, t1\)"):
        by_name(tmp_path, "flair", "t1")


def test_what_fits_no_channel_is_not_passed_over(tmp_path):
    for file in ("a_flair.nii.gz", "a_t1.nii.gz", "stray.nii.gz"):
        nifti(tmp_path / file, noise())
    assert by_name(tmp_path, "flair", "t1") == {"a": ("a_flair.nii.gz", "a_t1.nii.gz"), "stray": ("stray.nii.gz",)}


def unused(path, channels, exclude=None):
    return layouts.unused_inputs(path, layouts.find_inputs(path, channels, exclude), exclude)


@pytest.mark.fault(
    50, "masks, and images laid out otherwise, among images to predict", "not predicted, and listed with the reason"
)
def test_what_is_not_predicted_is_listed(tmp_path):
    make(tmp_path, "s{0,1}/ct.nii.gz \n s{0,1}/segmentations/liver.nii.gz # \n s0/ct_mask.nii.gz #")
    assert by_name(tmp_path, "CT") == {"s0_ct": ("s0/ct.nii.gz",), "s1_ct": ("s1/ct.nii.gz",)}
    told = unused(tmp_path, ["CT"])
    assert sorted(told) == [
        "s0/ct_mask.nii.gz",
        "s0/segmentations/liver.nii.gz",
        "s1/segmentations/liver.nii.gz",
    ]
    assert all("called a mask" in why for why in told.values())


def test_subfolders_beside_images_are_listed(tmp_path):
    make(tmp_path, "a.nii.gz \n later/{b,c}.nii.gz")
    assert list(by_name(tmp_path, "CT")) == ["a"]
    [(folder, why)] = unused(tmp_path, ["CT"]).items()
    assert (folder, "in a subfolder" in why) == ("later/ (2 files)", True)


def test_masks_of_an_earlier_prediction_are_neither_inputs_nor_left_over(tmp_path):
    make(tmp_path, "s0/ct.nii.gz \n out/s0_ct.nii.gz #")
    cases = layouts.find_inputs(tmp_path, ["CT"], tmp_path / "out")
    assert [case.case for case in cases] == ["s0_ct"]
    assert unused(tmp_path, ["CT"], tmp_path / "out") == {}


def test_a_single_file_leaves_nothing_over(tmp_path):
    make(tmp_path, "a.nii.gz \n b.nii.gz")
    assert unused(tmp_path / "a.nii.gz", ["CT"]) == {}
