"""The same image under other names and in other containers is found, told, and kept on one side of every split."""

import os

import nibabel
import numpy as np
import pytest
import SimpleITK
from PIL import Image

from autoseg.contracts import Settings
from autoseg.phantoms import write_pairs
from autoseg.stages import dataset as stage
from tests.made import ball, folder_of_pairs, nifti, noise


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def look(source, **settings):
    return stage.inspect(source, Settings(**settings))[0]


def entry(made, case):
    [found] = [entry for entry in made.audit.entries if entry.case == case]
    return found


def as_float64(path, values):
    nifti(path, values.astype(np.float64))


def in_another_container(path, values):
    path.unlink()
    image = SimpleITK.GetImageFromArray(values.T)
    SimpleITK.WriteImage(image, str(path.with_name("case_5.mha")), True)


def in_another_orientation(path, values):
    straight = nibabel.Nifti1Image(values, np.diag([-1.0, -1.0, 1.0, 1.0]))
    turn = nibabel.orientations.axcodes2ornt("RAS"), nibabel.orientations.axcodes2ornt("LPS")
    straight.as_reoriented(nibabel.orientations.ornt_transform(turn[1], turn[0])).to_filename(path)


@pytest.mark.fault(
    55,
    "the same image under several names or in another container",
    "one subject, so never on two sides of a split; listed",
)
@pytest.mark.parametrize("store", [nifti, as_float64, in_another_container, in_another_orientation])
@pytest.mark.parametrize("seed", [0, 1])
def test_copies_are_found_by_their_voxels(tmp_path, store, seed):
    source = folder_of_pairs(tmp_path)
    values = np.round(noise(0))
    nifti(source / "images" / "case_0.nii.gz", values.astype(np.int16))
    store(source / "images" / "case_5.nii.gz", values)
    made = look(source, holdout=0.3, folds=3, seed=seed)
    assert made.case("case_5").subject == made.case("case_0").subject
    found = entry(made, "case_5")
    assert "identical to that of case case_0" in found.reason
    assert found.kinds == ("duplicate",)
    parts = [part for part in (made.split.holdout, *made.split.folds) if {"case_0", "case_5"} & set(part)]
    assert len(parts) == 1 and {"case_0", "case_5"} <= set(parts[0])


def test_a_picture_and_its_colour_copy_are_one(tmp_path):
    write_pairs(tmp_path, 6)
    grey = np.random.default_rng(0).integers(0, 255, (64, 72), dtype=np.uint8)
    Image.fromarray(grey).save(tmp_path / "images" / "slide_001.png")
    Image.fromarray(grey).convert("RGB").save(tmp_path / "images" / "slide_004.png")
    assert "case slide_001" in entry(look(tmp_path), "slide_004").reason


def test_copies_with_different_labels_are_told_to_be_so(tmp_path):
    source = folder_of_pairs(tmp_path)
    nifti(source / "images" / "case_5.nii.gz", noise(0))
    assert "label is another" not in entry(look(source), "case_5").reason
    label = ball()
    label[8, 8, 6] = 1
    nifti(source / "masks" / "case_5.nii.gz", label)
    assert "label is another" in entry(look(source), "case_5").reason


def test_one_changed_voxel_makes_another_image(tmp_path):
    source = folder_of_pairs(tmp_path)
    image = noise(0)
    image[5, 5, 5] += 0.5
    nifti(source / "images" / "case_5.nii.gz", image)
    assert entry(look(source), "case_5").kinds == ()


@pytest.mark.fault(
    55, "the same patient under several ids", "told from the ids where every id ends on a phase or session; one subject"
)
def test_sessions_of_a_patient_stay_together(tmp_path):
    source = folder_of_pairs(tmp_path, 8)
    for number in range(8):
        for folder in ("images", "masks"):
            name = f"patient{number // 2}_ses-{number % 2 + 1}.nii.gz"
            (source / folder / f"case_{number}.nii.gz").rename(source / folder / name)
    made = look(source, holdout=0.25, folds=3)
    for part in (made.split.holdout, *made.split.folds):
        assert len(part) == 2 and len({case.split("_")[0] for case in part}) == 1
    assert "4 subjects from the names of 8 cases" in made.split.because
