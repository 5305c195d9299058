import os

import numpy as np
import pytest

from autoseg import model, records
from autoseg.contracts import CaseScan, Settings
from autoseg.errors import UsageError
from autoseg.page import card
from autoseg.phantoms import write_msd, write_nnunet
from autoseg.stages import dataset
from autoseg.stages.fingerprint import fingerprint
from autoseg.workspace import DatasetFolder
from planners.registry import plan
from tests.made import ball, folder_of_pairs, nifti, noise
from tests.model import tiny
from tests.real_data import copy
from tests.strategies import gpu


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def look(source, tmp_path, **settings):
    out = DatasetFolder(tmp_path / "run")
    made = dataset.dataset(source, out, Settings(**settings))
    return made, [records.read(out.scan(case.case), CaseScan) for case in made.cases]


def test_known_numbers(tmp_path):
    made, scans = look(folder_of_pairs(tmp_path / "data", 3), tmp_path)
    found = fingerprint(made, scans)
    assert (found.dimension, found.heads, found.kind, found.has_ignore) == (3, 2, "exclusive", False)
    assert found.subjects == 3
    [label] = found.labels
    assert label.cases == 3
    assert label.volume_mm3 == 27
    assert label.components == 1
    assert label.extent_mm == (3, 3, 3)
    assert label.voxel_fraction == pytest.approx(27 / 960)
    assert found.cases[0].foreground_box == ((2, 5), (2, 5), (2, 5))
    assert found.cases[0].cropped_shape == (8, 10, 12)
    every = np.concatenate([noise(n).ravel() for n in range(3)]).astype(float)
    overall = found.channels[0].overall
    assert overall.count == every.size
    assert overall.mean == pytest.approx(every.mean())
    assert overall.std == pytest.approx(every.std())
    assert (overall.minimum, overall.maximum) == (every.min(), every.max())
    assert overall.median == pytest.approx(np.median(every), abs=1)
    assert overall.percentile_99_5 == pytest.approx(np.percentile(every, 99.5), abs=2)


def test_the_order_of_scans_does_not_matter(tmp_path):
    write_msd(tmp_path / "data", 5)
    made, scans = look(tmp_path / "data", tmp_path)
    assert records.digest(fingerprint(made, scans)) == records.digest(fingerprint(made, scans[::-1]))


def test_held_out_voxels_change_nothing(tmp_path):
    source = folder_of_pairs(tmp_path / "data", 8)
    made, scans = look(source, tmp_path, holdout=0.25)
    before = fingerprint(made, scans)
    assert len(before.cases) == 6
    for number, case in enumerate(made.split.holdout):
        nifti(source / "images" / f"{case}.nii.gz", -50 * noise(70 + number))
        nifti(source / "masks" / f"{case}.nii.gz", ball()[::-1, ::-1].copy())
    again, scans = look(source, tmp_path, holdout=0.25)
    assert again.split == made.split
    assert records.digest(again) != records.digest(made)
    assert records.digest(fingerprint(again, scans)) == records.digest(before)


def test_a_held_out_file_that_breaks_changes_nothing_for_the_others(tmp_path):
    source = folder_of_pairs(tmp_path / "data", 8)
    made, scans = look(source, tmp_path, holdout=0.25)
    (source / "images" / f"{made.split.holdout[0]}.nii.gz").write_bytes(b"broken")
    again, scans_again = look(source, tmp_path, holdout=0.25)
    assert again.split.folds == made.split.folds
    assert again.split.holdout == made.split.holdout[1:]
    assert records.digest(fingerprint(again, scans_again)) == records.digest(fingerprint(made, scans))


def test_regions_and_ignore(tmp_path):
    write_nnunet(tmp_path / "regions", 3, kind="regions")
    found = fingerprint(*look(tmp_path / "regions", tmp_path))
    assert (found.kind, found.heads, [label.name for label in found.labels]) == ("regions", 2, ["whole", "core"])
    assert found.labels[0].volume_mm3 > found.labels[1].volume_mm3
    write_nnunet(tmp_path / "ignore", 3, kind="ignore")
    assert fingerprint(*look(tmp_path / "ignore", tmp_path)).has_ignore


def test_a_negative_case_has_no_box_and_does_not_count(tmp_path):
    source = folder_of_pairs(tmp_path / "data", 4)
    nifti(source / "masks" / "case_0.nii.gz", np.zeros((12, 10, 8), np.uint8))
    found = fingerprint(*look(source, tmp_path))
    assert found.cases[0].foreground_box is None
    assert found.labels[0].cases == 3
    assert found.labels[0].volume_mm3 == 27


@pytest.mark.parametrize(
    ("name", "offset", "expected"),
    [("CT", 0, "ct"), ("T1w", 0, "mri"), ("MRI cine", 0, "mri"), ("unknown", 0, "other"), ("unknown", -1000, "ct")],
)
def test_modality_by_name_or_by_values(tmp_path, name, offset, expected):
    write_msd(tmp_path / "data", 3)
    text = (tmp_path / "data" / "dataset.json").read_text()
    (tmp_path / "data" / "dataset.json").write_text(text.replace("MRI0", name))
    for path in (tmp_path / "data" / "imagesTr").iterdir():
        values = np.random.default_rng(0).integers(0, 2000, (24, 28, 20)).astype(np.int16)
        nifti(path, values + np.int16(offset))
    assert fingerprint(*look(tmp_path / "data", tmp_path)).channels[0].modality == expected


def test_an_outlier_is_named(tmp_path):
    source = folder_of_pairs(tmp_path / "data", 8)
    affine = np.diag([-1.0, -1.0, 5.0, 1.0])
    nifti(source / "images" / "case_6.nii.gz", noise(6), affine)
    nifti(source / "masks" / "case_6.nii.gz", ball(), affine)
    found = {(outlier.case, outlier.what) for outlier in fingerprint(*look(source, tmp_path)).outliers}
    assert ("case_6", "spacing along z (mm)") in found
    assert {case for case, _ in found} == {"case_6"}


def test_real_colour_pictures(tmp_path):
    found = fingerprint(*look(copy("nuclei_png", tmp_path / "data", keep=5), tmp_path))
    assert [channel.modality for channel in found.channels] == ["rgb"] * 3
    assert not found.spacing_known
    assert found.dimension == 2


def test_real_ct(tmp_path):
    found = fingerprint(*look(copy("sts_ct", tmp_path / "data", keep=2), tmp_path))
    assert found.channels[0].modality == "ct"
    assert found.channels[0].overall.minimum < -500
    assert found.cases[0].spacing_mm == pytest.approx((3.27, 0.977, 0.977), abs=0.01)


def two_sided(root):
    """Two blobs that mirror each other across the body's middle, and one in the middle; nobody named them."""
    for number in range(4):
        label = np.zeros((40, 20, 10), np.uint8)
        label[6 + number % 2 : 11 + number % 2, 8:12, 3:7] = 1
        label[29:34, 8:12, 3:7] = 2
        label[18:22, 2:5, 3:7] = 3
        nifti(root / "images" / f"case_{number}.nii.gz", noise(number, (40, 20, 10)))
        nifti(root / "masks" / f"case_{number}.nii.gz", label)
    return root


def test_partners_by_name_and_by_symmetry(tmp_path):
    made, scans = look(two_sided(tmp_path / "data"), tmp_path)
    assert [label.partner for label in fingerprint(made, scans).labels] == ["label_2", "label_1", None]
    assert scans[0].targets[1].centroid_vox == pytest.approx((4.5, 9.5, 31.0))
    named = made.labels.model_copy(
        update={
            "labels": tuple(
                label.model_copy(update={"name": name})
                for label, name in zip(made.labels.labels, ("lung_right", "spleen", "lung_left"), strict=True)
            )
        }
    )
    found = fingerprint(made.model_copy(update={"labels": named}), scans)
    assert [label.partner for label in found.labels] == ["lung_left", None, "lung_right"]


def mirrored(data):
    """Axes that a plan for a long training mirrors along."""
    [chosen] = plan(data, gpu(hours=100.0), "auto").configurations[:1]
    return chosen.training.augmentation.mirror_axes


def test_sides_that_nobody_named_are_minded_from_plan_to_prediction(tmp_path):
    made, scans = look(two_sided(tmp_path / "data"), tmp_path)
    found = fingerprint(made, scans)
    unaware = [label.model_copy(update={"partner": None}) for label in found.labels]
    assert mirrored(found.model_copy(update={"labels": tuple(unaware)})) == (0, 1, 2)
    assert mirrored(found) == (0, 1)
    described = card.make(made, found, None, None)
    assert described.sided == ("label_1", "label_2")
    tiny.make(tmp_path / "model", tiny.draft().model_copy(update={"card": described}))
    loaded = model.load(tmp_path / "model", device="cpu")
    image = noise(shape=(16, 16, 16))
    with pytest.raises(UsageError, match="label_1, label_2 have left and right"):
        loaded.predict(image, (1.0, 1.0, 1.0))
    assert loaded.predict(image, (1.0, 1.0, 1.0), "RAS").shape == image.shape


def test_partners_forbid_mirroring(tmp_path):
    from planners.augmentation import directed_axes
    from tests.strategies import fingerprint as made_up

    data = made_up(((40, 40, 40),) * 3, ((1.0, 1.0, 1.0),) * 3)
    [label, *others] = data.labels
    assert 2 not in directed_axes(data)
    sided = data.model_copy(update={"labels": (label.model_copy(update={"partner": "other"}), *others)})
    assert directed_axes(sided) == {2: (label.name,)}
