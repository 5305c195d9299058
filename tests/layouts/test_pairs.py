import numpy as np
import pytest

from autoseg import layouts
from autoseg.errors import LayoutError
from autoseg.layouts.subjects import subjects
from tests.made import ball, nifti, noise, png


def pairs(found):
    return {case.images: case.label for case in found.cases}


def write(root, images, masks):
    for number, path in enumerate(images):
        nifti(root / path, noise(number))
    for path in masks:
        nifti(root / path, ball())
    return root


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("images/{}.nii.gz", "masks/{}.nii.gz"),
        ("img/{}.nii.gz", "labels/{}.nii.gz"),
        ("scans/ct_{}.nii.gz", "Segmentations/ct_{}.nii.gz"),
        ("images/img_{}.nii.gz", "gt/mask_{}.nii.gz"),
        ("images/{}.nii.gz", "annotations/{}_seg.nii.gz"),
        ("A/prostate_{}_t2.nii.gz", "ground_truth/prostate_{}_whole_gland.nii.gz"),
        ("volumes/{}.nii.gz", "alice/{}.nii.gz"),  # the names say nothing, the contents do
        ("{}.nii.gz", "{}_mask.nii.gz"),
        ("image_{}.nii.gz", "label_{}.nii.gz"),
        ("{}_img.nii.gz", "{}_seg.nii.gz"),
    ],
)
def test_masks_are_found(tmp_path, image, mask):
    names = ("04", "10", "11")
    write(tmp_path, [image.format(name) for name in names], [mask.format(name) for name in names])
    found = layouts.find(tmp_path)
    assert found.layout == "pairs"
    assert pairs(found) == {(image.format(name),): mask.format(name) for name in names}
    assert found.labels is None
    assert found.channels is None


def test_words_that_all_images_share_and_masks_in_any_case(tmp_path):
    images = [f"{name}_T1.nii.gz" for name in ("Patient 07", "x9", "case.10")]
    masks = ["Patient 07_seg.nii.gz", "x9_Seg.nii.gz", "case.10_SEG.nii.gz"]
    found = layouts.find(write(tmp_path, images, masks))
    assert pairs(found) == {(image,): mask for image, mask in zip(images, masks, strict=True)}


def test_a_missing_mask_does_not_shift_the_others(tmp_path):
    write(tmp_path, [f"images/case_{n}.nii.gz" for n in (10, 11, 25)], [f"masks/seg_{n}.nii.gz" for n in (10, 11)])
    assert pairs(layouts.find(tmp_path)) == {
        ("images/case_10.nii.gz",): "masks/seg_10.nii.gz",
        ("images/case_11.nii.gz",): "masks/seg_11.nii.gz",
        ("images/case_25.nii.gz",): None,
    }


def test_channel_files_in_a_folder_of_pairs(tmp_path):
    files = [f"images/{name}_{channel:04d}.nii.gz" for name in "ab" for channel in range(2)]
    write(tmp_path, files, ["masks/a.nii.gz", "masks/b.nii.gz"])
    assert pairs(layouts.find(tmp_path)) == {tuple(files[:2]): "masks/a.nii.gz", tuple(files[2:]): "masks/b.nii.gz"}


def test_case_numbers_are_not_channels(tmp_path):
    write(tmp_path, [f"images/x_{n:04d}.nii.gz" for n in range(3)], [f"masks/x_{n:04d}.nii.gz" for n in range(3)])
    assert len(layouts.find(tmp_path).cases) == 3


def test_unrelated_names_are_not_paired(tmp_path):
    write(tmp_path, ["images/anna.nii.gz"], ["masks/berta.nii.gz"])
    with pytest.raises(LayoutError):
        layouts.find(tmp_path)


def test_two_folders_of_masks_are_ambiguous(tmp_path):
    write(tmp_path, [], [f"{folder}/{n}.nii.gz" for folder in ("left_side", "right_side") for n in range(2)])
    with pytest.raises(LayoutError, match="both look like masks"):
        layouts.find(tmp_path)


def test_the_larger_mask_folder_wins_and_the_other_is_left_over(tmp_path):
    names = [f"{n}.nii.gz" for n in range(3)]
    write(
        tmp_path, [f"images/{n}" for n in names], [f"labels/{n}" for n in names] + [f"labels_b/{n}" for n in names[:2]]
    )
    found = layouts.find(tmp_path)
    assert all(case.label.startswith("labels/") for case in found.cases)
    assert found.left_over == ("labels_b/ (2 files)",)


def test_subfolders_become_part_of_the_name(tmp_path):
    write(tmp_path, ["images/a/1.nii.gz", "images/b/1.nii.gz"], ["masks/a/1.nii.gz", "masks/b/1.nii.gz"])
    assert [case.case for case in layouts.find(tmp_path).cases] == ["a_1", "b_1"]


def test_formats_may_differ(tmp_path):
    png(tmp_path / "images" / "one.png", np.zeros((4, 4, 3), np.uint8))
    png(tmp_path / "masks" / "one.bmp", np.zeros((4, 4), np.uint8))
    assert layouts.find(tmp_path).cases[0].label == "masks/one.bmp"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["P1_ED", "P1_ES", "P2_ED"], {"P1", "P2"}),
        (["patient001_frame01", "patient001_frame12", "patient002_frame01"], {"patient001", "patient002"}),
        (["sub-01_ses-1_T1w", "sub-01_ses-2_T1w", "sub-02_ses-1_T1w"], {"sub-01", "sub-02"}),
        (["a_visit1_left", "a_visit1_right", "a_visit2_left", "b_visit1_left"], {"a", "b"}),
        (["p1_slice01", "p1_slice02", "p2_slice01"], {"p1", "p2"}),
        (["hippocampus_004", "hippocampus_006"], {"hippocampus_004", "hippocampus_006"}),
        (["P1_ED", "P1_ES", "P2"], {"P1_ED", "P1_ES", "P2"}),  # not consistent
        (["P1_ED", "P2_ED"], {"P1_ED", "P2_ED"}),  # groups nothing
        (["brain_scan_1", "brain_scan_2"], {"brain_scan_1", "brain_scan_2"}),  # the number is the person
    ],
)
def test_subjects(names, expected):
    assert set(subjects(names)[0].values()) == expected
