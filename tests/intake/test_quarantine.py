"""When leaving cases out is no longer honest: strictly none, a whole class, too many."""

import os

import numpy as np
import pytest

from autoseg.contracts import Settings
from autoseg.errors import DataError, UnusableDataset
from autoseg.phantoms import write_msd
from autoseg.stages import dataset as stage
from tests.made import ball, folder_of_pairs, nifti, noise


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def source(tmp_path):
    return folder_of_pairs(tmp_path)


def look(source, **settings):
    return stage.inspect(source, Settings(**settings))[0]


def whole(made):
    return "; ".join(entry.reason for entry in made.audit.entries if entry.case == "(all)")


def test_strict_allows_no_unusable_case_and_lists_them(source):
    (source / "images" / "case_2.nii.gz").write_bytes(b"broken")
    assert len(look(source).cases) == 5
    with pytest.raises(UnusableDataset, match=r"1 of 6 cases(.|\n)*--strict(.|\n)*case_2: ") as caught:
        look(source, strict=True)
    assert caught.value.exit_code == 3
    assert [entry.verdict for entry in caught.value.entries].count("quarantined") == 1


def test_strict_lets_repairs_pass(source):
    image = noise()
    image[0, 0, 0] = np.nan
    nifti(source / "images" / "case_0.nii.gz", image)
    assert len(look(source, strict=True).cases) == 6


@pytest.mark.parametrize("declared", [True, False])
def test_a_class_that_only_unusable_cases_show_is_fatal(tmp_path, declared):
    if declared:
        write_msd(tmp_path, 6, (8, 10, 12))
        images, masks = tmp_path / "imagesTr", tmp_path / "labelsTr"
        one = np.zeros((12, 10, 8), np.uint8)
        one[2:5, 2:5, 2:5] = 1
        for path in masks.iterdir():
            nifti(path, one)
        name = "phantom_003"
    else:
        folder_of_pairs(tmp_path)
        images, masks, name = tmp_path / "images", tmp_path / "masks", "case_3"
    nifti(masks / f"{name}.nii.gz", ball(2))
    (images / f"{name}.nii.gz").write_bytes(b"broken")
    with pytest.raises(UnusableDataset, match=rf"label .*2.* would be lost(.|\n)*{name}: "):
        look(tmp_path)


def structures(root, tumour_in, cases=6):
    """A folder per case with a file per structure; a tumour is drawn in one of them only."""
    for number in range(cases):
        folder = root / f"p{number}"
        nifti(folder / "ct.nii.gz", noise(number))
        nifti(folder / "segmentations" / "liver.nii.gz", ball())
        nifti(folder / "segmentations" / "tumour.nii.gz", ball() if number == tumour_in else 0 * ball())
    return root


def broken(folder):
    (folder / "ct.nii.gz").write_bytes(b"broken")


def with_another_channel(folder):
    nifti(folder / "ct.nii.gz", np.stack([noise(), noise(1)], -1)[:, :, :, None])


def with_a_broken_mask(folder):
    (folder / "segmentations" / "tumour.nii.gz").write_bytes(b"broken")


@pytest.mark.fault(
    48,
    "the only case that shows a class cannot be used",
    "exit 3 with class and case, whether masks hold values or not",
)
@pytest.mark.parametrize("damage", [broken, with_another_channel, with_a_broken_mask])
def test_a_structure_that_only_unusable_cases_show_is_fatal(tmp_path, damage):
    structures(tmp_path, 3)
    damage(tmp_path / "p3")
    with pytest.raises(UnusableDataset, match=r"label tumour would be lost(.|\n)*p3: ") as caught:
        look(tmp_path)
    assert caught.value.exit_code == 3


def test_a_structure_that_others_show_is_not_lost(tmp_path):
    structures(tmp_path, 3)
    broken(tmp_path / "p2")
    assert len(look(tmp_path).cases) == 5


def test_values_that_are_no_declared_class_are_not_missed(tmp_path):
    write_msd(tmp_path, 6, (8, 10, 12))
    nifti(tmp_path / "labelsTr" / "phantom_003.nii.gz", ball(9))
    (tmp_path / "imagesTr" / "phantom_003.nii.gz").write_bytes(b"broken")
    assert len(look(tmp_path).cases) == 5


@pytest.mark.fault(47, "empty label in one case, or in all", "one is a negative example; all are fatal, exit 3")
def test_empty_labels(source):
    nifti(source / "masks" / "case_0.nii.gz", np.zeros((12, 10, 8), np.uint8))
    [found] = [entry for entry in look(source).audit.entries if entry.case == "case_0"]
    assert (found.verdict, "negative example" in found.reason) == ("ok", True)
    for path in (source / "masks").iterdir():
        nifti(path, np.zeros((12, 10, 8), np.uint8))
    with pytest.raises(DataError, match="all 6 labels are empty") as caught:
        look(source)
    assert caught.value.exit_code == 3


@pytest.mark.fault(
    48,
    "a class that only one subject, or no training fold, shows",
    "told with its name; others with the class are spread over the folds",
)
def test_a_class_of_one_subject_is_told(tmp_path):
    source = folder_of_pairs(tmp_path, 10)
    nifti(source / "masks" / "case_3.nii.gz", ball(7))
    made = look(source)
    assert "label_7 occurs in one subject only (case_3)" in whole(made)
    for number in (4, 5, 6, 7):
        label = ball(1)
        label[8, 8, 6] = 7
        nifti(source / "masks" / f"case_{number}.nii.gz", label)
    made = look(source)
    assert "label_7" not in whole(made)
    assert [len({f"case_{n}" for n in (3, 4, 5, 6, 7)} & set(fold)) for fold in made.split.folds] == [1] * 5


@pytest.mark.fault(33, "constant image", "quarantined where something is labelled; with an empty label a remark")
def test_a_constant_image(source):
    nifti(source / "images" / "case_0.nii.gz", np.full((12, 10, 8), 7, np.int16))
    [found] = [entry for entry in look(source).audit.entries if entry.case == "case_0"]
    assert found.verdict == "quarantined"
    assert "every voxel of the image is 7" in found.reason
