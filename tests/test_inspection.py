"""``autoseg inspect``: it answers also where nothing can be made of a folder, and exits with 3 only then."""

import json
import os

import numpy as np
import pytest
from typer.testing import CliRunner

from autoseg.cli import app
from autoseg.errors import DataError
from autoseg.phantoms import write_pairs
from tests.made import ball, folder_of_pairs, nifti, noise


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def source(tmp_path):
    return folder_of_pairs(tmp_path / "data")


def inspect(source, *options):
    return CliRunner().invoke(app, ["inspect", str(source), *options])


def spoil(source, *numbers):
    for number in numbers:
        (source / "images" / f"case_{number}.nii.gz").write_bytes(b"broken")


def verdicts(ended):
    return {entry["case"]: entry["verdict"] for entry in json.loads(ended.stdout)["audit"]}


def test_a_quarantined_case_is_no_reason_to_fail(source):
    spoil(source, 2)
    ended = inspect(source, "--json")
    assert ended.exit_code == 0
    assert verdicts(ended)["case_2"] == "quarantined"
    assert json.loads(ended.stdout)["cases"] == 5


@pytest.mark.parametrize("options", [(), ("--strict",)])
def test_a_folder_that_cannot_be_used_is_told_case_by_case(source, options):
    spoil(source, *((2,) if options else (1, 2)))
    ended = inspect(source, "--json", *options)
    assert isinstance(ended.exception, DataError) and ended.exception.exit_code == 3
    found = verdicts(ended)
    assert found["(all)"] == "fatal"
    assert (found["case_2"], found["case_0"]) == ("quarantined", "ok")
    told = json.loads(ended.stdout)
    assert (told["layout"], told["dimension"], told["cases"]) == ("pairs", 3, 4 + len(options))


def test_a_label_set_that_makes_no_sense_is_fatal_and_shown(source):
    for path in (source / "masks").iterdir():
        halves = np.ones(ball().shape, np.uint8)
        halves[: len(halves) // 2] = 2
        nifti(path, halves)
    ended = inspect(source, "--json")
    assert "background is unknown" in str(ended.exception)
    assert verdicts(ended) == {"(all)": "fatal", **{f"case_{n}": "ok" for n in range(6)}}


def test_the_table_tells_every_story_once_and_takes_no_markup(source):
    spoil(source, 2)
    for number in (0, 1, 3, 4, 5):
        nifti(source / "masks" / f"case_{number}.nii.gz", np.zeros((12, 10, 8), np.uint8))
    for folder in ("images", "masks"):
        nifti(source / folder / "[bold]x[-red].nii.gz", noise(9) if folder == "images" else ball())
    (source / "masks" / "[bold]x[-red].nii.gz").replace(source / "masks" / "[red]nobody.nii.gz")
    nifti(source / "masks" / "case_0.nii.gz", ball())
    ended = inspect(source)
    assert ended.exit_code == 0
    assert ended.stdout.count("a negative example") == 1
    assert "case_1, case_3, case_4 and 1 more" in ended.stdout
    assert "[bold]x[-red]" in ended.stdout and "[red]nobody" in ended.stdout
    assert ended.stdout.index("quarantined") < ended.stdout.index("negative example")


def test_modality_and_split_are_shown(tmp_path):
    write_pairs(tmp_path, 6)
    told = json.loads(inspect(tmp_path, "--json").stdout)
    assert told["modalities"] == ["colour picture"] * 3
    assert "5 folds of 6 cases" in told["split"]
    shown = inspect(tmp_path).stdout
    assert "R (colour picture)" in shown and "5 folds of 6 cases" in shown


def test_a_split_of_the_users_is_checked(source, tmp_path):
    (tmp_path / "mine.json").write_text('[{"train": ["case_0"], "val": ["nobody"]}]')
    ended = inspect(source, "--splits", str(tmp_path / "mine.json"))
    assert "no such case: nobody" in str(ended.exception)
    assert ended.exception.exit_code == 3


def test_the_dataset_stage_takes_the_same_options(source, tmp_path):
    spoil(source, 2)
    asked = ["dataset", str(tmp_path / "strict"), "--source", str(source), "--strict"]
    ended = CliRunner().invoke(app, asked)
    assert isinstance(ended.exception, DataError) and "--strict allows none" in str(ended.exception)
    ended = CliRunner().invoke(app, ["dataset", str(tmp_path / "out"), "--source", str(source), "--layout", "pairs"])
    assert ended.exit_code == 0, ended.output
