"""Predicting many cases of which some are strange and some bad: each is told for itself, none stops the others."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from autoseg import records
from autoseg.cli import app
from autoseg.contracts import Prediction
from autoseg.errors import DataError
from autoseg.intake.scanning import sketch
from autoseg.model import population
from tests.made import nifti
from tests.model import tiny

SHAPE = (16, 16, 16)


def tissue(seed):
    return np.random.default_rng(seed).gamma(2.0, 50.0, SHAPE).astype(np.float32)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "model"
    known = population.of_channel([sketch(tissue(seed).ravel()) for seed in range(20)], hounsfield=False)
    drafted = tiny.draft()
    tiny.make(folder, drafted.model_copy(update={"card": drafted.card.model_copy(update={"intensities": (known,)})}))
    return folder


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    nifti(folder / "a_good.nii.gz", tissue(50))
    nifti(folder / "b_inverted.nii.gz", 900 - tissue(51))
    nifti(folder / "c_thick.nii.gz", tissue(52), np.diag([-1.0, -1.0, 9.0, 1.0]))
    nifti(folder / "d_flat.nii.gz", np.full(SHAPE, 5, np.int16))
    return folder


def predict(model, images, out, *options):
    return CliRunner().invoke(app, ["predict", str(model), str(images), str(out), "--device", "cpu", *options])


def written(out):
    return {case.case: case for case in records.read(out / "predict.json", Prediction).cases}


@pytest.mark.fault(
    91,
    "a model used on images unlike its own",
    "all are segmented and told, exit 0; with --strict exit 3 once all are written",
)
@pytest.mark.parametrize("strict", [True, False])
def test_strange_images_are_segmented_and_told(model, images, tmp_path, strict):
    out = tmp_path / "out"
    ended = predict(model, images, out, *(["--strict"] if strict else []))
    cases = written(out)
    assert [case.ood for case in cases.values()] == [False, True, True, True]
    assert all(case.status == "done" and (out / case.output).is_file() for case in cases.values())
    assert cases["a_good"].warnings == ()
    assert "inverted" in cases["b_inverted"].warnings[0]
    assert "9 x 1 x 1 mm" in cases["c_thick"].warnings[0]
    assert any("no signal" in warning for warning in cases["d_flat"].warnings)
    if not strict:
        assert ended.exit_code == 0
        return
    assert isinstance(ended.exception, DataError) and ended.exception.exit_code == 3
    assert "3 cases are unlike those the model was made from" in str(ended.exception)
    assert "b_inverted: channel 0: values seem inverted" in str(ended.exception)


@pytest.mark.fault(
    93, "many cases to predict, some bad", "the others finish; outputs and failures are the inputs; exit 3 at the end"
)
def test_bad_cases_stop_no_other(model, images, tmp_path):
    out = tmp_path / "out"
    (images / "e_cut.nii.gz").write_bytes((images / "a_good.nii.gz").read_bytes()[:300])
    (images / "aa_empty.nii.gz").touch()
    nifti(images / "z_nan.nii.gz", np.full(SHAPE, np.nan, np.float32))
    ended = predict(model, images, out)
    cases = written(out)
    assert sorted(cases) == ["a_good", "aa_empty", "b_inverted", "c_thick", "d_flat", "e_cut", "z_nan"]
    failed = {name for name, case in cases.items() if case.status == "failed"}
    assert failed == {"aa_empty", "e_cut", "z_nan"}
    assert sorted(path.name for path in out.glob("*.nii.gz")) == sorted(
        case.output for name, case in cases.items() if name not in failed
    )
    assert all(cases[name].error and cases[name].output is None for name in failed)
    for name in cases.keys() - failed:
        told = json.loads((out / "provenance" / f"{name}.json").read_text())
        assert told["predicted"]["ood"] == cases[name].ood
    assert isinstance(ended.exception, DataError) and ended.exception.exit_code == 3
    assert "3 of 7 cases failed" in str(ended.exception) and "e_cut" in str(ended.exception)


def test_finished_cases_keep_their_doubts(model, images, tmp_path):
    first = predict(model, images, tmp_path / "out")
    before = written(tmp_path / "out")
    assert predict(model, images, tmp_path / "out").exit_code == first.exit_code == 0
    assert written(tmp_path / "out") == before


@pytest.mark.fault(
    50, "masks in the folder of images to predict", "told on screen and in predict.json, each with the reason"
)
def test_what_is_left_over_is_told(model, tmp_path):
    nifti(tmp_path / "new" / "p1" / "ct.nii.gz", tissue(1))
    nifti(tmp_path / "new" / "p1" / "ct_seg.nii.gz", np.ones(SHAPE, np.uint8))
    ended = predict(model, tmp_path / "new", tmp_path / "new" / "out")
    for _ in range(2):  # the masks are no images the second time
        assert ended.exit_code == 0
        assert "1 of 1 segmented" in ended.output
        assert "left over: p1/ct_seg.nii.gz: called a mask" in ended.output
        made = records.read(tmp_path / "new" / "out" / "predict.json", Prediction)
        assert made.left_over == ("p1/ct_seg.nii.gz",) and len(made.left_over_because) == 1
        ended = predict(model, tmp_path / "new", tmp_path / "new" / "out")
