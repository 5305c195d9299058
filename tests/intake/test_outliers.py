"""Cases unlike the others are pointed out with the numbers, whichever way they differ, and stay in."""

import os

import numpy as np
import pytest
from PIL import Image

from autoseg import records
from autoseg.contracts import Settings
from autoseg.phantoms import write_nnunet, write_pairs
from autoseg.row import opening
from autoseg.stages import dataset as stage
from tests.made import ball, folder_of_pairs, nifti
from tests.real_data import real

SHAPE = (12, 10, 8)


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def affine(x=0.98, y=0.98, z=3.3):
    return np.diag([-x, -y, z, 1.0])


def tissue(seed, shape=SHAPE):
    """A skewed histogram, so that turning it over shows."""
    return np.random.default_rng(seed).gamma(2.0, 50.0, shape).astype(np.float32)


@pytest.fixture
def source(tmp_path):
    """Twenty cases with voxels of 3.3 x 0.98 x 0.98 mm."""
    folder_of_pairs(tmp_path, 20)
    for number in range(20):
        write(tmp_path, number, tissue(number))
    return tmp_path


def write(source, number, image, grid=None, label=None):
    grid = affine() if grid is None else grid
    nifti(source / "images" / f"case_{number}.nii.gz", image, grid)
    nifti(source / "masks" / f"case_{number}.nii.gz", ball(shape=image.shape) if label is None else label, grid)


def told(source, **settings):
    """What is said of each case that stands out."""
    made, _ = stage.inspect(source, Settings(**settings))
    assert {entry.verdict for entry in made.audit.entries} <= {"ok", "repaired"}
    assert len(made.cases) == 20
    return {entry.case: entry.reason for entry in made.audit.entries if "outlier" in entry.kinds}


def test_cases_that_are_alike_are_left_in_peace(source):
    assert told(source) == {}


@pytest.mark.fault(21, "placeholder spacing 1 x 1 x 1 amid real ones", "pointed out with both, never rescaled")
def test_a_placeholder_spacing(source):
    write(source, 4, tissue(4), affine(1, 1, 1))
    assert told(source) == {
        "case_4": "spacing 1 x 1 x 1 mm along (z, y, x); the other 19 cases have 3.3 x 0.98 x 0.98; it looks like a "
        "placeholder, so correct the header if the true size is known"
    }


def test_a_placeholder_close_to_the_real_spacing(tmp_path):
    folder_of_pairs(tmp_path, 20)
    for number in range(20):
        write(tmp_path, number, tissue(number), affine(0.9, 0.9, 1.1))
    write(tmp_path, 4, tissue(4), affine(1, 1, 1))
    assert "placeholder" in told(tmp_path)["case_4"]


def test_where_all_have_1_mm_nothing_is_a_placeholder(tmp_path):
    folder_of_pairs(tmp_path, 20)
    for number in range(20):
        write(tmp_path, number, tissue(number), affine(1, 1, 1))
    assert told(tmp_path) == {}


@pytest.mark.fault(21, "micrometres in the header", "pointed out with the factor, never rescaled")
@pytest.mark.parametrize(("usual", "odd", "unit"), [(0.01, 10, "micrometres"), (1, 0.1, "centimetres")])
def test_other_units(tmp_path, usual, odd, unit):
    folder_of_pairs(tmp_path, 20)
    for number in range(20):
        size = odd if number == 7 else usual
        write(tmp_path, number, tissue(number), affine(0.98 * size, 0.98 * size, 3.3 * size))
    assert f"looks like {unit} taken for millimetres" in told(tmp_path)["case_7"]


@pytest.mark.fault(30, "one case with another slice distance", "pointed out with the axis and what the others have")
def test_one_thick_case(source):
    write(source, 3, tissue(3), affine(z=10))
    [(case, reason)] = told(source).items()
    assert (case, "spacing 10 x 0.98 x 0.98" in reason, "only z differs" in reason) == ("case_3", True, True)


@pytest.mark.fault(30, "extreme anisotropy in all cases", "accepted; no case is an outlier for it")
def test_extreme_anisotropy(tmp_path):
    folder_of_pairs(tmp_path, 20)
    for number in range(20):
        write(tmp_path, number, tissue(number), affine(0.3, 0.3, 10))
    assert told(tmp_path) == {}


@pytest.mark.fault(22, "spacing absent in one case only", "pointed out with what the others have")
def test_spacing_known_of_all_but_one(tmp_path):
    write_pairs(tmp_path, 20)
    for number in range(19):
        for folder in ("images", "masks"):
            path = tmp_path / folder / f"slide_{number:03d}"
            grey = np.asarray(Image.open(path.with_suffix(".png")).convert("L"))
            path.with_suffix(".png").unlink()
            nifti(path.with_suffix(".nii.gz"), grey.T[..., None])
    found = told(tmp_path)
    assert "the file knows no voxel size; the other 19 cases have" in found["slide_019"]


def test_another_orientation_and_field_of_view(source):
    turned = np.diag([1.0 * 0.98, -0.98, 3.3, 1.0])
    write(source, 5, tissue(5), turned)
    write(source, 6, tissue(6, (12, 10, 40)))
    found = told(source)
    assert found["case_5"] == "orientation RPS; the other 19 cases have LPS"
    assert found["case_6"].startswith("extent along z (mm) is 132; the other 19 cases have 26.4 to 26.4")
    assert set(found) == {"case_5", "case_6"}


def test_a_label_of_another_size(source):
    label = np.zeros(SHAPE, np.uint8)
    label[1:11, 1:9, 1:7] = 1
    write(source, 8, tissue(8), label=label)
    assert "volume of foreground (mm3) is 1521; the other 19 cases have 85.57 to 85.57" in told(source)["case_8"]


@pytest.mark.fault(36, "one inverted image (MONOCHROME1)", "pointed out with the distance of the histograms")
def test_an_inverted_image(source):
    image = tissue(2)
    write(source, 2, image.max() - image)
    [(case, reason)] = told(source).items()
    assert case == "case_2" and reason.startswith("values seem inverted: their histogram is")


def test_another_scale_is_not_strange(source):
    write(source, 2, 1000 * tissue(2) + 7)
    assert told(source) == {}


def body(seed):
    """Air, fat and soft tissue in whole Hounsfield units."""
    generator = np.random.default_rng(seed)
    kinds = generator.choice([-1000, -100, 50], SHAPE, p=[0.4, 0.2, 0.4])
    return np.clip(kinds + generator.normal(0, 20, SHAPE), -1024, 3071).astype(np.int16)


@pytest.mark.fault(36, "HU of one case offset by 1024", "pointed out with the offset")
@pytest.mark.parametrize("offset", [1024, -1024])
def test_an_offset_of_hounsfield_units(source, offset):
    for number in range(20):
        write(source, number, body(number) + np.int16(offset * (number == 9)))
    [(case, reason)] = told(source).items()
    assert case == "case_9"
    assert f"about 1024 HU {'above' if offset > 0 else 'below'} the range seen" in reason


@pytest.mark.fault(36, "all values of a CT shifted to 0 and above", "a remark on the data set: no Hounsfield units")
def test_all_of_a_ct_without_its_offset(tmp_path):
    write_nnunet(tmp_path, 6)
    text = (tmp_path / "dataset.json").read_text()
    (tmp_path / "dataset.json").write_text(text.replace('"T1"', '"CT"'))
    for path in (tmp_path / "imagesTr").iterdir():
        nifti(path, np.random.default_rng(0).integers(0, 3000, (24, 28, 20)).astype(np.int16))
    made, _ = stage.inspect(tmp_path, Settings())
    assert any("no Hounsfield units" in entry.reason for entry in made.audit.entries if entry.case == "(all)")


@pytest.mark.fault(35, "one hot pixel", "absurd values are clipped and recorded; large ones are pointed out")
@pytest.mark.parametrize("value", [1e30, -1e30, 1e5])
def test_a_hot_pixel(source, value):
    image = tissue(1)
    sane = image.copy()
    image[5, 5, 5] = value
    write(source, 1, image)
    made, scans = stage.inspect(source, Settings())
    [entry] = [entry for entry in made.audit.entries if entry.case == "case_1"]
    [scan] = [scan for scan in scans if scan.case == "case_1"]
    assert entry.kinds == ("outlier",)
    if abs(value) > 1e6:
        assert (entry.verdict, f"up to {value:.3g}" in entry.reason) == ("repaired", True)
        assert sane.min() <= scan.overall[0].quantiles[0] and scan.overall[0].quantiles[-1] <= sane.max()
    else:
        assert (entry.verdict, "a few voxels reach 1e+05" in entry.reason) == ("ok", True)
        assert scan.overall[0].quantiles[-1] == value


@pytest.mark.fault(35, "negative values stored without sign", "pointed out with the gap")
def test_wrapped_values(source):
    for number in range(20):
        write(source, number, body(number))
    write(source, 1, body(1).astype(np.uint16))
    assert "negative values stored without sign" in told(source)["case_1"]


@pytest.mark.fault(40, "channels swapped in one case", "pointed out with the two channels")
def test_swapped_channels(tmp_path):
    write_nnunet(tmp_path, 20, (8, 10, 12), channels=2)
    for number in range(20):
        pair = tissue(number), np.random.default_rng(100 + number).normal(0, 1, SHAPE).astype(np.float32)
        for channel, image in enumerate(pair[:: -1 if number == 6 else 1]):
            nifti(tmp_path / "imagesTr" / f"phantom_{number:03d}_{channel:04d}.nii.gz", image)
    [(case, reason)] = told(tmp_path).items()
    assert case == "phantom_006"
    assert reason.startswith("channels T1 and T2 look swapped")


def test_an_empty_channel_is_told(tmp_path):
    write_nnunet(tmp_path, 20, (8, 10, 12), channels=2)
    nifti(tmp_path / "imagesTr" / "phantom_006_0001.nii.gz", np.zeros(SHAPE, np.float32))
    assert "channel T2: every voxel is 0" in told(tmp_path)["phantom_006"]


def test_held_out_cases_say_nothing_of_others(source):
    """A remark on a case that trains must not depend on what is held out."""
    write(source, 4, tissue(4), affine(1, 1, 1))
    settings = {"holdout": 0.3, "seed": 5}
    made, _ = stage.inspect(source, Settings(**settings))
    before = told(source, **settings)
    assert "case_4" not in made.split.holdout
    for case in made.split.holdout:
        write(source, int(case.split("_")[1]), 9 - tissue(77), affine(5, 5, 5))
    after = told(source, **settings)
    assert before["case_4"] == after["case_4"]
    assert "the other 13 cases" in before["case_4"]
    assert set(after) == {"case_4", *made.split.holdout}


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "most"), [("Task04_Hippocampus", 0), ("sts_ct", 0), ("sunnybrook_cine", 0), ("nuclei_png", 5)]
)
def test_hardly_any_real_case_is_odd(name, most):
    made, _ = stage.inspect(real(name), Settings())
    assert sum("outlier" in entry.kinds for entry in made.audit.entries) <= most


def test_the_development_record_does_not_depend_on_held_out_files(source):
    """All later stages are made from this record: it must stay the same to the last digit."""
    settings = Settings(holdout=0.3, seed=5)
    made, _ = stage.inspect(source, settings)
    before = records.digest(opening.without_holdout(made))
    for case in made.split.holdout:
        write(source, int(case.split("_")[1]), 9 - tissue(77), affine(5, 5, 5))
    changed, _ = stage.inspect(source, settings)
    assert records.digest(changed) != records.digest(made)
    assert records.digest(opening.without_holdout(changed)) == before
