"""Folders that cannot be run folders are refused before anything is written."""

import os

import pytest

from autoseg import records
from autoseg.contracts import CaseScan, Settings
from autoseg.errors import ChangedInputs, UsageError
from autoseg.row import opening
from autoseg.workspace import Workspace
from tests import oof_world


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


def refused(out, source, match):
    with pytest.raises(UsageError, match=match) as caught:
        opening.check(Workspace(out), source)
    assert caught.value.exit_code == 2


def test_output_inside_or_equal_to_source(source):
    refused(source, source, "inside the source")
    refused(source / "deep" / "out", source, "inside the source")
    assert list(source.iterdir()) == []


def test_source_missing_or_a_file(tmp_path, source):
    refused(tmp_path / "out", tmp_path / "absent", "does not exist")
    (source / "a.txt").write_text("")
    refused(tmp_path / "out", source / "a.txt", "is a file")


@pytest.mark.fault(92, "a model of another origin where a run is to write", "exit 2 at once; it stays as it is")
def test_a_model_in_the_way_is_kept(tmp_path, source):
    record = tmp_path / "out" / "model" / "model.json"
    record.parent.mkdir(parents=True)
    record.write_text("{}")
    refused(tmp_path / "out", source, "not a run folder")
    refused(tmp_path / "out" / "model", source, "not a run folder")
    assert record.read_text() == "{}"


def test_output_with_foreign_content_or_a_file(tmp_path, source):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.doc").write_text("")
    refused(out, source, "not a run folder")
    refused(out / "thesis.doc", source, "is a file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_unwritable_output(tmp_path, source):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    refused(locked / "out", source, "cannot be written")


def test_output_below_a_file_cannot_be_made(tmp_path, source):
    (tmp_path / "file").write_text("")
    refused(tmp_path / "file" / "out", source, "cannot be written")


def test_the_plan_may_divide_the_cases_into_fewer_folds(tmp_path):
    world = oof_world.make(tmp_path, cases=10, folds=5)
    scans = [records.read(world.workspace.dataset.scan(case), CaseScan) for case in world.dataset.development]
    assert opening.divided(world.dataset, scans, None) == world.dataset
    assert opening.divided(world.dataset, scans, 5) == world.dataset
    again = opening.divided(world.dataset, scans, 2).split
    assert [len(fold) for fold in again.folds] == [5, 5]
    assert sorted(case for fold in again.folds for case in fold) == sorted(world.dataset.development)
    assert "by the plan 2 folds" in again.because


def test_other_settings_are_taken_while_nothing_is_trained(tmp_path, source):
    workspace, said = Workspace(tmp_path / "out"), []
    asked = Settings(hours=1.0)
    opening.begin(workspace, source, asked, replan=False)
    for step in ("dataset", "fingerprint", "budget", "plan"):
        workspace.record(step).write_text("{}")
    assert opening.begin(workspace, None, None, replan=False).settings == asked
    asked = asked.model_copy(update={"hours": 2.0})
    assert opening.begin(workspace, source, asked, replan=False, notify=said.append).settings == asked
    assert "--hours: 1.0 -> 2.0" in said[0].detail
    assert [step for step in ("dataset", "fingerprint", "budget", "plan") if workspace.record(step).exists()] == [
        "dataset",
        "fingerprint",
    ]
    asked = asked.model_copy(update={"holdout": 0.2})
    assert opening.begin(workspace, source, asked, replan=False).settings == asked
    assert not workspace.record("dataset").exists()


def test_other_settings_are_listed_and_need_replan_once_something_is_trained(tmp_path, source):
    workspace = Workspace(tmp_path / "out")
    opening.begin(workspace, source, Settings(hours=1.0), replan=False)
    workspace.folder("train").mkdir()
    assert opening.begin(workspace, source, Settings(hours=1.0), replan=False).settings.hours == 1.0
    other = Settings(hours=2.0, device_gb=3.0, spacing_mm=(1.0, 2.0, 3.0))
    for _ in range(2):  # refused again, and nothing was written
        with pytest.raises(ChangedInputs, match=r"--hours: 1.0 -> 2.0") as caught:
            opening.begin(workspace, source, other, replan=False)
    assert caught.value.exit_code == 3
    said = str(caught.value)
    assert "--device-gb: not given -> 3.0" in said
    assert "--spacing: not given -> 1.0,2.0,3.0" in said
    assert all(way in said for way in ("--keep-plan", "--replan", "--init"))
    assert opening.begin(workspace, source, other, replan=True).settings.hours == 2.0


def test_another_source_needs_replan_whatever_is_trained(tmp_path, source):
    workspace, another = Workspace(tmp_path / "out"), tmp_path / "another"
    opening.begin(workspace, source, Settings(), replan=False)
    with pytest.raises(ChangedInputs, match="another"):
        opening.begin(workspace, another, Settings(), replan=False)


def test_a_device_or_a_model_that_is_not_there_is_told_before_anything_is_written(tmp_path, source):
    for settings, match in ((Settings(device="gpu"), "auto"), (Settings(init=str(tmp_path)), "model")):
        with pytest.raises(UsageError, match=match):
            opening.check(Workspace(tmp_path / "out"), source, settings)
    assert not (tmp_path / "out").exists()


def test_a_stage_of_no_run_folder(tmp_path):
    refused(tmp_path, None, "not a run folder")
