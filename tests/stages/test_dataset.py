import gzip
import json
import os
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest

from autoseg import machine, records
from autoseg.contracts import CaseScan, Settings
from autoseg.errors import DataError, Interrupted
from autoseg.intake import stamping, workload
from autoseg.intake.examination import Task
from autoseg.phantoms import write_msd, write_nnunet, write_pairs
from autoseg.stages import dataset as stage
from autoseg.workspace import DatasetFolder
from tests.made import ball, folder_of_pairs, nifti, noise, png
from tests.real_data import copy

SHAPE = (12, 10, 8)


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def out(tmp_path):
    return DatasetFolder(tmp_path / "run" / "dataset")


@pytest.fixture
def source(tmp_path):
    return folder_of_pairs(tmp_path / "data")


def run(source, out, **settings):
    return stage.dataset(source, out, Settings(**settings))


def entry(made, case):
    [found] = [entry for entry in made.audit.entries if entry.case == case]
    return found


def scan(out, case):
    return records.read(out.scan(case), CaseScan)


def stored(out, case):
    return np.load(out.image(case)), np.load(out.label(case))


# ---------------------------------------------------------------------------------------------- what comes out


@pytest.mark.parametrize("write", [write_msd, write_nnunet, write_pairs])
def test_phantoms_come_out_as_they_were_made(tmp_path, out, write):
    phantoms = write(tmp_path / "data", 4)
    made = run(tmp_path / "data", out)
    assert [case.case for case in made.cases] == sorted(phantoms)
    assert made.dimension == (2 if write is write_pairs else 3)
    for name, phantom in phantoms.items():
        image, label = stored(out, name)
        if write is write_pairs:
            assert np.array_equal(label, phantom.label > 0)
            assert image.shape == (3, 1, 64, 72)
        else:
            assert np.array_equal(image, phantom.image)
            assert np.array_equal(label, phantom.label)
        measured = scan(out, name)
        expected = [phantom.label > 0] if write is write_pairs else [phantom.label == 1, phantom.label == 2]
        assert [target.voxels for target in measured.targets] == [int(mask.sum()) for mask in expected]
        assert measured.shape == phantom.label.shape
        assert measured.overall[0].count == phantom.label.size
        assert measured.overall[0].quantiles[0] == image[0].min()
        inside = image[0][phantom.label > 0]
        assert measured.foreground[0].count == inside.size
        assert measured.foreground[0].mean == pytest.approx(float(inside.mean()), rel=1e-5)


def test_regions_and_ignore_are_measured(tmp_path, out):
    phantoms = write_nnunet(tmp_path / "regions", 3, kind="regions")
    made = run(tmp_path / "regions", out)
    assert made.labels.targets == ("whole", "core")
    for name, phantom in phantoms.items():
        whole, core = scan(out, name).targets
        assert (whole.voxels, core.voxels) == (int((phantom.label > 0).sum()), int((phantom.label == 2).sum()))
    phantoms = write_nnunet(tmp_path / "ignore", 3, kind="ignore")
    made = run(tmp_path / "ignore", out)
    assert made.labels.ignore_index == 3
    for name, phantom in phantoms.items():
        assert np.array_equal(stored(out, name)[1], phantom.label)
        assert scan(out, name).foreground[0].count == int(((phantom.label > 0) & (phantom.label < 3)).sum())


def test_components_and_box_of_a_known_label(source, out):
    label = ball()
    label[8, 8, 6] = 1
    nifti(source / "masks" / "case_0.nii.gz", label)
    run(source, out)
    [target] = scan(out, "case_0").targets
    assert (target.voxels, target.components, target.component_voxels) == (28, 2, (27, 1))
    assert target.box == ((2, 7), (2, 9), (2, 9))


@pytest.mark.fault(
    18, "orientations mixed in one data set", "all are made canonical on reading; the file's own is kept in the record"
)
def test_orientation_is_made_canonical(source, out):
    label = ball()
    image = noise()
    for codes in ("RAS", "PIR", "LPS", "AIL"):
        turn = nibabel.orientations.ornt_transform(
            nibabel.orientations.axcodes2ornt("LPS"), nibabel.orientations.axcodes2ornt(codes)
        )
        for folder, array in (("images", image), ("masks", label)):
            straight = nibabel.Nifti1Image(array, np.diag([-2.0, -1.0, 3.0, 1.0]))
            straight.as_reoriented(turn).to_filename(source / folder / f"case_{codes}.nii.gz")
    run(source, out)
    for codes in ("RAS", "PIR", "LPS", "AIL"):
        found_image, found_label = stored(out, f"case_{codes}")
        assert np.array_equal(found_image[0], image.T)
        assert np.array_equal(found_label, label.T)
        assert scan(out, f"case_{codes}").spacing_mm == pytest.approx((3, 1, 2))
        assert scan(out, f"case_{codes}").orientation == codes


def test_a_four_dimensional_file_holds_channels(tmp_path, out):
    write_msd(tmp_path / "data", 3, channels=2)
    made = run(tmp_path / "data", out)
    assert [channel.name for channel in made.channels] == ["MRI0", "MRI1"]
    assert stored(out, "phantom_000")[0].shape[0] == 2


def test_the_source_is_not_touched_and_inspect_writes_nothing(source, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    made, scans = stage.inspect(source, Settings())
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert len(made.cases) == len(scans) == 6


def test_inspect_says_the_same_as_dataset(source, out):
    assert records.digest(stage.inspect(source, Settings())[0]) == records.digest(run(source, out))


def test_the_digest_covers_content_and_nothing_else(source, tmp_path, out):
    first = run(source, out)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for file in sorted(source.rglob("*.nii.gz"), reverse=True):
        (moved / file.parent.name).mkdir(exist_ok=True)
        shutil.copyfile(file, moved / file.parent.name / file.name)
    assert records.digest(run(moved, out)) == records.digest(first)
    nifti(moved / "images" / "case_0.nii.gz", noise(99))
    assert records.digest(run(moved, out)) != records.digest(first)


def test_processes_give_the_same_as_none(source, tmp_path, monkeypatch):
    one = run(source, DatasetFolder(tmp_path / "a"))
    monkeypatch.setattr(workload, "_PAYS_FROM_BYTES", 0)
    monkeypatch.setattr(machine, "cores", lambda: 2)
    assert workload.processes([Task(source, case, 1, None, None) for case in one.cases]) == 2
    two = run(source, DatasetFolder(tmp_path / "b"))
    assert records.digest(one) == records.digest(two)
    for case in one.cases:
        for name in (f"{case.case}_image.npy", f"{case.case}_label.npy"):
            a, b = (tmp_path / run / "volumes" / name for run in "ab")
            assert a.read_bytes() == b.read_bytes()


def test_progress_is_told_and_may_interrupt(source, out):
    told = []
    stage.dataset(source, out, Settings(), notify=told.append)
    assert [(event.done, event.total) for event in told] == [(n, 6) for n in range(1, 7)]

    def stop(event):
        raise Interrupted("stopped")

    with pytest.raises(Interrupted):
        stage.dataset(source, out, Settings(), notify=stop)
    assert not stamping.unchanged(source, out)  # so the next run looks again


def test_unchanged_sees_edits_additions_and_removals(source, out):
    assert not stamping.unchanged(source, out)
    run(source, out)
    assert stamping.unchanged(source, out)
    os.utime(source / "images" / "case_0.nii.gz", ns=(1, 1))
    assert not stamping.unchanged(source, out)
    stamping.remember(source, out)
    assert stamping.unchanged(source, out)
    (source / "images" / "case_1.nii.gz").unlink()
    assert not stamping.unchanged(source, out)


def test_the_split_follows_the_settings(tmp_path, out):
    made = run(folder_of_pairs(tmp_path / "data", 10), out, holdout=0.2, folds=4, seed=5)
    assert len(made.split.holdout) == 2
    assert [len(fold) for fold in made.split.folds] == [2, 2, 2, 2]
    assert made.split.seed == 5
    assert len(made.development) == 8


# ------------------------------------------------------------------------------------------------- label values


def test_gaps_and_values_that_some_cases_lack(source, out):
    for number, values in enumerate([(3,), (7,), (3, 7), (), (3,), (3,)]):
        label = np.zeros(SHAPE, np.int16)
        for position, value in enumerate(values):
            label[2 + position, 2:5, 2:5] = value
        nifti(source / "masks" / f"case_{number}.nii.gz", label)
    made = run(source, out)
    assert [(label.name, label.value) for label in made.labels.labels] == [("label_3", 3), ("label_7", 7)]
    assert sorted(np.unique(stored(out, "case_1")[1])) == [0, 2]
    assert sorted(np.unique(stored(out, "case_2")[1])) == [0, 1, 2]
    assert [target.voxels for target in scan(out, "case_1").targets] == [0, 9]
    assert [target.name for target in scan(out, "case_3").targets] == ["label_3", "label_7"]
    assert scan(out, "case_2").label_values == (0, 3, 7)
    assert entry(made, "case_3").verdict == "ok"
    assert "negative" in entry(made, "case_3").reason


def test_255_is_a_foreground(tmp_path, out):
    write_pairs(tmp_path, 3)
    made = run(tmp_path, out)
    assert [(label.name, label.value) for label in made.labels.labels] == [("foreground", 255)]
    assert stored(out, "slide_000")[1].max() == 1


def test_whole_floats_are_fine_almost_whole_ones_are_rounded(source, out):
    nifti(source / "masks" / "case_0.nii.gz", ball(dtype=np.float32))
    nifti(source / "masks" / "case_1.nii.gz", ball(dtype=np.float32) * np.float32(0.9999))
    made = run(source, out)
    assert entry(made, "case_0").verdict == "ok"
    assert entry(made, "case_1").verdict == "repaired"
    assert np.array_equal(stored(out, "case_1")[1], ball().T)


def test_an_interpolated_label_is_quarantined(source, out):
    nifti(source / "masks" / "case_0.nii.gz", ball(dtype=np.float32) * np.float32(0.4))
    made = run(source, out)
    assert entry(made, "case_0").verdict == "quarantined"
    assert "not whole numbers" in entry(made, "case_0").reason
    assert [case.case for case in made.cases] == [f"case_{n}" for n in range(1, 6)]
    assert not out.image("case_0").exists()


def test_an_image_in_place_of_a_mask_is_quarantined(source, out):
    nifti(source / "masks" / "case_0.nii.gz", np.arange(960, dtype=np.int16).reshape(SHAPE))
    assert "looks like an image" in entry(run(source, out), "case_0").reason


def test_values_that_nobody_declared_quarantine_the_case(tmp_path, out):
    write_msd(tmp_path, 6)
    label = np.zeros((24, 28, 20), np.uint8)
    label[2:5, 2:5, 2:5] = 9
    nifti(tmp_path / "labelsTr" / "phantom_000.nii.gz", label)
    made = run(tmp_path, out)
    assert entry(made, "phantom_000").verdict == "quarantined"
    assert "9 (27 voxels)" in entry(made, "phantom_000").reason


def test_a_declared_label_that_nobody_drew_is_told(tmp_path, out):
    write_msd(tmp_path, 2)
    path = tmp_path / "dataset.json"
    content = json.loads(path.read_text())
    content["labels"]["3"] = "spleen"
    path.write_text(json.dumps(content))
    assert "spleen is declared but occurs in no case" in entry(run(tmp_path, out), "(all)").reason


def test_all_labels_empty_is_fatal(source, out):
    for path in (source / "masks").iterdir():
        nifti(path, np.zeros(SHAPE, np.uint8))
    with pytest.raises(DataError, match="all 6 labels are empty"):
        run(source, out)


# ------------------------------------------------------------------------------------------------ files and grids


def truncated(path: Path):
    path.write_bytes(path.read_bytes()[:200])


def bad_checksum(path: Path):
    content = bytearray(path.read_bytes())
    content[-8] ^= 0xFF
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("damage", [truncated, bad_checksum, Path.unlink, lambda p: p.write_bytes(b"")])
@pytest.mark.parametrize("folder", ["imagesTr", "labelsTr"])
def test_one_bad_file_costs_one_case(tmp_path, out, damage, folder):
    write_msd(tmp_path, 6)
    damage(tmp_path / folder / "phantom_002.nii.gz")
    made = run(tmp_path, out)
    assert len(made.cases) == 5
    assert entry(made, "phantom_002").verdict == "quarantined"
    assert f"{folder}/phantom_002.nii.gz" in entry(made, "phantom_002").reason


def test_a_broken_link_costs_one_case(source, out):
    path = source / "images" / "case_3.nii.gz"
    path.unlink()
    path.symlink_to(source / "gone.nii.gz")
    assert entry(run(source, out), "case_3").verdict == "quarantined"


def test_too_many_bad_files_are_fatal_and_named(source, out):
    for number in (0, 1):
        (source / "images" / f"case_{number}.nii.gz").write_bytes(gzip.compress(b"nothing"))
    with pytest.raises(DataError, match=r"2 of 6 cases cannot be used(.|\n)*case_0(.|\n)*case_1"):
        run(source, out)


def shifted(millimetres):
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    affine[2, 3] = millimetres
    return affine


def test_rounding_in_a_header_is_silent(source, out):
    nifti(source / "masks" / "case_0.nii.gz", ball(), shifted(1e-5))
    assert entry(run(source, out), "case_0").verdict == "ok"


def test_an_offset_below_half_a_voxel_is_repaired_by_index(source, out):
    nifti(source / "masks" / "case_0.nii.gz", ball(), shifted(0.3))
    found = entry(run(source, out), "case_0")
    assert (found.verdict, found.repair) == ("repaired", "taken by index")
    assert "0.3 voxel" in found.reason
    assert np.array_equal(stored(out, "case_0")[1], ball().T)


def test_another_grid_of_the_same_space_is_resampled(source, out):
    fine = np.repeat(np.repeat(np.repeat(ball(), 2, 0), 2, 1), 2, 2)
    affine = np.diag([-0.5, -0.5, 0.5, 1.0])
    affine[:3, 3] = (0.25, 0.25, -0.25)
    nifti(source / "masks" / "case_0.nii.gz", fine, affine)
    found = entry(run(source, out), "case_0")
    assert found.verdict == "repaired"
    assert "resampled" in found.repair
    assert np.array_equal(stored(out, "case_0")[1], ball().T)


def test_another_place_is_quarantined_with_numbers(source, out):
    nifti(source / "masks" / "case_0.nii.gz", ball(), shifted(100))
    found = entry(run(source, out), "case_0")
    assert found.verdict == "quarantined"
    assert "overlap 0.0%" in found.reason


def test_masks_without_geometry_must_have_the_shape_of_the_image(tmp_path, out):
    write_pairs(tmp_path, 6)
    png(tmp_path / "masks" / "slide_000.png", np.zeros((63, 72), np.uint8))
    assert "expected the same shape" in entry(run(tmp_path, out), "slide_000").reason


# -------------------------------------------------------------------------------------------------- intensities


@pytest.mark.fault(31, "some voxels are NaN", "replaced by the smallest finite value, with their number")
@pytest.mark.fault(
    32, "some voxels are infinite", "replaced by the smallest or largest finite value, with their number"
)
def test_nan_and_infinity_are_replaced_and_told(source, out):
    image = noise()
    low, high = image.min(), image.max()
    image[0, 0, 0], image[1, 0, 0], image[2, 0, 0] = np.nan, np.inf, -np.inf
    nifti(source / "images" / "case_0.nii.gz", image)
    found = entry(run(source, out), "case_0")
    assert found.verdict == "repaired"
    assert "3 of 960 voxels" in found.reason
    kept = stored(out, "case_0")[0][0]
    assert kept[0, 0, :3].tolist() == [low, high, low]


@pytest.mark.fault(31, "more than nine tenths of the voxels are NaN", "quarantined, with their number")
@pytest.mark.parametrize("finite", [0, 20])
def test_hardly_anything_but_nan_is_quarantined(source, out, finite):
    image = np.full(SHAPE, np.nan, np.float32)
    image.ravel()[:finite] = 1.0
    nifti(source / "images" / "case_0.nii.gz", image)
    assert entry(run(source, out), "case_0").verdict == "quarantined"
    assert f"{960 - finite} of 960" in entry(run(source, out), "case_0").reason


@pytest.mark.fault(33, "every voxel of the image has one value", "quarantined if something is labelled, else told")
def test_a_constant_image_with_a_label_is_quarantined_without_one_it_is_a_negative(source, out):
    nifti(source / "images" / "case_0.nii.gz", np.zeros(SHAPE, np.float32))
    assert "every voxel" in entry(run(source, out), "case_0").reason
    nifti(source / "masks" / "case_0.nii.gz", np.zeros(SHAPE, np.uint8))
    assert entry(run(source, out), "case_0").verdict == "ok"


@pytest.mark.fault(38, "a grey image among colour images", "repeated for red, green and blue, and told")
def test_grey_images_among_colour_ones_are_repeated(tmp_path, out):
    write_pairs(tmp_path, 5)
    grey = np.random.default_rng(0).integers(0, 255, (64, 72), dtype=np.uint8)
    png(tmp_path / "images" / "slide_001.png", grey)
    made = run(tmp_path, out)
    assert [channel.name for channel in made.channels] == ["R", "G", "B"]
    assert entry(made, "slide_001").verdict == "repaired"
    assert np.array_equal(stored(out, "slide_001")[0], np.repeat(grey[None, None], 3, 0))
    assert len(scan(out, "slide_001").overall) == 3


def test_a_missing_channel_quarantines_the_case(tmp_path, out):
    write_nnunet(tmp_path, 6, channels=2)
    (tmp_path / "imagesTr" / "phantom_003_0001.nii.gz").unlink()
    found = entry(run(tmp_path, out), "phantom_003")
    assert (found.verdict, "expected 2" in found.reason) == ("quarantined", True)


@pytest.mark.fault(
    39,
    "a case whose files have other channel numbers than the rest",
    "never taken for the channel missing; quarantined",
)
def test_another_channel_does_not_stand_in_for_a_missing_one(tmp_path, out):
    write_nnunet(tmp_path, 6, channels=2)
    image = tmp_path / "imagesTr" / "phantom_003_0001.nii.gz"
    image.rename(image.with_name("phantom_003_0002.nii.gz"))
    found = entry(run(tmp_path, out), "phantom_003")
    assert (found.verdict, "expected 2" in found.reason) == ("quarantined", True)


def test_an_odd_number_of_channels_is_quarantined_by_majority(source, out):
    nifti(source / "images" / "case_4.nii.gz", np.stack([noise(), noise(1)], -1))
    assert "expected 1" in entry(run(source, out, axis4="channel"), "case_4").reason


# ------------------------------------------------------------------------------------------------- whole data sets


def test_duplicates_share_a_subject(source, out):
    shutil.copyfile(source / "images" / "case_0.nii.gz", source / "images" / "case_5.nii.gz")
    made = run(source, out, folds=5)
    assert made.case("case_5").subject == made.case("case_0").subject
    assert "identical to that of case case_0" in entry(made, "case_5").reason
    [fold] = [fold for fold in made.split.folds if "case_0" in fold]
    assert "case_5" in fold


def test_one_case_runs_without_validation(tmp_path, out):
    made = run(folder_of_pairs(tmp_path / "data", 1), out, holdout=0.2)
    assert made.split.folds == ((),)
    assert "no validation" in made.split.because


def test_unlabelled_cases_are_kept_for_prediction(source, out):
    nifti(source / "images" / "new.nii.gz", noise(7))
    made = run(source, out)
    assert made.case("new").label is None
    assert "new" not in made.development
    assert scan(out, "new").targets == ()
    assert not out.image("new").exists()
    assert any("1 of 7 cases have no label" in item.reason for item in made.audit.entries)


def test_labels_for_none_of_the_images_is_fatal(tmp_path, out):
    write_msd(tmp_path, 2)
    content = json.loads((tmp_path / "dataset.json").read_text())
    content["training"] = [case["image"] for case in content["training"]]
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="none of the 2 cases has a label"):
        run(tmp_path, out)


def test_a_second_look_forgets_cases_that_went_away(source, out):
    run(source, out)
    (source / "images" / "case_0.nii.gz").unlink()
    run(source, out)
    assert not out.image("case_0").exists()
    assert not out.scan("case_0").exists()


def test_hostile_names_are_only_names(tmp_path, out):
    for name in ("-rf", "=cmd()", "a b'c\"d", "<script>", "größe%s", "x{0}"):
        nifti(tmp_path / "data" / "images" / f"{name}.nii.gz", noise(hash(name) % 100))
        nifti(tmp_path / "data" / "masks" / f"{name}.nii.gz", ball())
    made = run(tmp_path / "data", out)
    assert len(made.cases) == 6
    assert all(out.image(case.case).is_file() for case in made.cases)


# ------------------------------------------------------------------------------------------------------ real data


def test_sunnybrook(tmp_path, out):
    made = run(copy("sunnybrook_cine", tmp_path / "data"), out, holdout=0.2)
    assert len(made.split.holdout) == 2
    assert len(made.split.folds) == 4
    assert made.split.because.startswith("5 subjects from the names of 10 cases, by dropping _ED, _ES")
    for part in (made.split.holdout, *made.split.folds):
        assert {case[-2:] for case in part} == {"ED", "ES"}
    assert made.audit.left_over == ("labelsTr_lv_myo_ED/ (4 files)",)
    assert {item.verdict for item in made.audit.entries} == {"ok"}
    assert scan(out, "SCD0000401_ED").shape[2] == 9  # its slices lie along x once canonical


def test_nuclei(tmp_path, out):
    made = run(copy("nuclei_png", tmp_path / "data", keep=6), out)
    assert made.dimension == 2
    assert [channel.name for channel in made.channels] == ["R", "G", "B"]
    assert [(label.name, label.value) for label in made.labels.labels] == [("foreground", 255)]
    assert not scan(out, made.cases[0].case).spacing_known
    assert scan(out, made.cases[0].case).dtype == "uint8"


def test_unpaired(tmp_path, out):
    made = run(copy("negatives/unpaired", tmp_path / "data"), out)
    assert made.development == ("hippocampus_007",)
    assert made.audit.left_over == ("labels/hippocampus_014.nii.gz",)
    assert "will be predicted only" in entry(made, "hippocampus_118").reason


@pytest.mark.parametrize(("name", "case"), [("origin_only", "004"), ("origin_and_sform_scale", "006")])
def test_a_shifted_affine_is_repaired(tmp_path, out, name, case):
    made = run(copy(f"negatives/affine_shifted/{name}", tmp_path / "data"), out)
    assert entry(made, f"hippocampus_{case}").verdict == "repaired"


@pytest.mark.parametrize(
    ("name", "message"),
    [("foreign_label", r"shape \(94, 512, 512\)"), ("dirty_mask", r"130 \(5 voxels.*233 \(4 voxels")],
)
def test_what_cannot_be_repaired_is_fatal_where_it_is_all_there_is(tmp_path, out, name, message):
    with pytest.raises(DataError, match=message):
        run(copy(f"negatives/{name}", tmp_path / "data"), out)


def test_alpha_is_dropped(tmp_path, out):
    made = run(copy("negatives/alpha_channel", tmp_path / "data"), out)
    assert len(made.channels) == 1
    assert [label.value for label in made.labels.labels] == [127, 255]
