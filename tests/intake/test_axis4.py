"""A fourth axis: channels where somebody says so, points in time where that is asked for, and else a question."""

import nibabel
import numpy as np
import pytest
from typer.testing import CliRunner

from autoseg import records
from autoseg.cli import app
from autoseg.contracts import Prediction
from autoseg.errors import DataError, UsageError
from autoseg.phantoms import write_msd
from autoseg.stages import dataset as stage
from tests.intake.whole import entry, notes, run, stored
from tests.made import ball, folder_of_pairs, nifti, noise
from tests.model import tiny

SHAPE = (12, 10, 8)


def series(seed, count):
    return np.stack([noise(100 * seed + k) for k in range(count)], -1)


def drawn(count, empty=()):
    """A box at each point in time, of another size each time."""
    label = np.zeros((*SHAPE, count), np.uint8)
    for k in range(count):
        if k not in empty:
            label[2 : 4 + k, 2:5, 2:5, k] = 1
    return label


def folder(root, counts, labels=None):
    for number, count in enumerate(counts):
        nifti(root / "images" / f"case_{number}.nii.gz", series(number, count))
        label = ball() if labels is None else labels[number]
        if label is not None:
            nifti(root / "masks" / f"case_{number}.nii.gz", label)
    return root


@pytest.mark.fault(
    27,
    "a fourth axis of which nothing says what it counts",
    "exit 2, asking for --axis4 channel or --axis4 time; nothing is guessed, whether cases agree in its length or not",
)
@pytest.mark.parametrize(("counts", "long"), [((3, 3, 3, 3), "3 long"), ((2, 3, 4, 5), "2 to 5 long")])
@pytest.mark.parametrize("verb", ["inspect", "run"])
def test_the_question(tmp_path, counts, long, verb):
    source = folder(tmp_path / "data", counts)
    ended = CliRunner().invoke(app, [verb, str(source), *([str(tmp_path / "out")] if verb == "run" else [])])
    assert isinstance(ended.exception, UsageError) and ended.exception.exit_code == 2
    said = str(ended.exception)
    assert f"4 of 4 cases have a fourth axis ({long})" in said
    assert "--axis4 channel if" in said and "--axis4 time if" in said and "images/case_0.nii.gz" in said


@pytest.mark.fault(27, "a fourth axis in a few cases only", "quarantined, with both answers; the others go on")
def test_a_few_odd_cases_stop_no_others(source, out):
    image = nibabel.Nifti1Image(series(4, 2), np.diag([-1.0, -1.0, 1.0, 1.0]))
    image.header.set_xyzt_units("mm", "sec")
    image.to_filename(source / "images" / "case_4.nii.gz")
    found = entry(run(source, out), "case_4")
    assert found.verdict == "quarantined"
    assert "a fourth axis of 2 (its 2 volumes are 1 apart in time by the header)" in found.reason
    assert "--axis4 channel" in found.reason and "--axis4 time" in found.reason


@pytest.mark.fault(27, "a fourth axis as long as the declared channels", "channels, even if the header calls it time")
def test_a_declaration_decides(tmp_path, out):
    write_msd(tmp_path, 3, channels=2)
    for path in (tmp_path / "imagesTr").iterdir():
        image = nibabel.load(path)
        image.header.set_xyzt_units("mm", "sec")
        nibabel.Nifti1Image(np.asarray(image.dataobj), None, image.header).to_filename(path)
    made = run(tmp_path, out)
    assert len(made.channels) == 2
    assert "apart in time" in entry(made, "phantom_000").reason


@pytest.mark.fault(27, "--axis4 channel", "each volume is a channel; cases that have another number are quarantined")
def test_channels(tmp_path, out):
    made = run(folder(tmp_path, (2, 2, 2, 2, 2, 3)), out, axis4="channel")
    assert len(made.channels) == 2
    np.testing.assert_array_equal(stored(out, "case_1")[0], series(1, 2).T)
    assert "expected 2" in entry(made, "case_5").reason


@pytest.mark.fault(
    27,
    "--axis4 time, with a label for each point in time",
    "each is a case; those of a file are never torn apart",
)
def test_points_in_time(tmp_path, out):
    counts = (3, 12, 2, 2)
    made = run(folder(tmp_path, counts, [drawn(count) for count in counts]), out, axis4="time", folds=2)
    assert len(made.cases) == len(made.development) == sum(counts)
    assert {case.subject for case in made.cases} == {f"case_{n}" for n in range(4)}
    assert "4 of 4 cases hold points in time" in notes(made)
    for name, number, frame in (("case_0_t2", 0, 2), ("case_1_t07", 1, 7), ("case_3_t0", 3, 0)):
        image, label = stored(out, name)
        np.testing.assert_array_equal(image[0], series(number, counts[number])[..., frame].T)
        np.testing.assert_array_equal(label, drawn(counts[number])[..., frame].T)
    for fold in made.split.folds:
        torn = {made.case(name).subject for name in fold} & {
            case.subject for case in made.cases if case.case not in fold
        }
        assert not torn


@pytest.mark.fault(
    27, "--axis4 time, but one label for all points in time", "refused: at which it was drawn is unknown"
)
@pytest.mark.parametrize("label", [ball(), drawn(2)])
def test_a_label_of_no_known_point_in_time(tmp_path, label):
    with pytest.raises(DataError, match="holds 3 points in time.*nobody knows to which of them the label belongs"):
        stage.inspect(folder(tmp_path, (3, 3), [label] * 2), stage.Settings(axis4="time"))


@pytest.mark.fault(27, "--axis4 time, nothing drawn at some points in time", "not annotated: predicted only, and told")
def test_points_in_time_that_nobody_annotated(tmp_path, out):
    labels = [drawn(4, empty=(1, 2)), drawn(4), None]
    made = run(folder(tmp_path, (4, 4, 4), labels), out, axis4="time")
    unlabelled = sorted(case.case for case in made.cases if not case.labelled)
    assert unlabelled == ["case_0_t1", "case_0_t2", *(f"case_2_t{k}" for k in range(4))]
    assert "at 2 points in time nothing is drawn" in notes(made)


def test_flat_images_stay_what_they_are(source, tmp_path, out):
    made = run(source, out, axis4="time")
    assert [case.case for case in made.cases] == [f"case_{n}" for n in range(6)]


def test_two_cases_of_one_name_are_refused(tmp_path):
    folder_of_pairs(tmp_path, 2)
    folder(tmp_path, (2,), [drawn(2)])
    nifti(tmp_path / "images" / "case_0_t1.nii.gz", noise())
    nifti(tmp_path / "masks" / "case_0_t1.nii.gz", ball())
    with pytest.raises(DataError, match="both be called case_0_t1"):
        stage.inspect(tmp_path, stage.Settings(axis4="time"))


@pytest.mark.fault(
    27,
    "an image to predict with a fourth axis that is no channels of the model",
    "fails with both answers, others do not; with --axis4 time a mask for each point in time",
)
def test_prediction(tmp_path):
    tiny.make(tmp_path / "model")
    nifti(tmp_path / "new" / "cine.nii.gz", series(1, 3))
    nifti(tmp_path / "new" / "still.nii.gz", noise(2))

    def predict(out, *options):
        arguments = [str(tmp_path / "model"), str(tmp_path / "new"), str(tmp_path / out), "--device", "cpu"]
        ended = CliRunner().invoke(app, ["predict", *arguments, *options])
        return ended, records.read(tmp_path / out / "predict.json", Prediction).cases

    ended, cases = predict("asked")
    assert ended.exception.exit_code == 3
    assert [case.status for case in cases] == ["failed", "done"]
    assert "a fourth axis of 3" in cases[0].error and "--axis4 time" in cases[0].error
    ended, cases = predict("timed", "--axis4", "time")
    assert ended.exit_code == 0
    assert [case.output for case in cases] == [*(f"cine_t{k}.nii.gz" for k in range(3)), "still.nii.gz"]
    nifti(tmp_path / "new" / "alone.nii.gz", series(1, 3)[..., 1])
    alone = predict("alone", "--axis4", "time")[1][0].output
    masks = [nibabel.load(path) for path in (tmp_path / "timed" / "cine_t1.nii.gz", tmp_path / "alone" / alone)]
    assert masks[0].shape == SHAPE
    np.testing.assert_array_equal(*(np.asarray(mask.dataobj) for mask in masks))
