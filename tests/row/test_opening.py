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


def test_other_settings_are_listed_and_need_replan(tmp_path, source):
    workspace = Workspace(tmp_path / "out")
    opening.begin(workspace, source, Settings(hours=1.0), replan=False)
    assert opening.begin(workspace, source, Settings(hours=1.0), replan=False).settings.hours == 1.0
    assert opening.begin(workspace, None, None, replan=False).settings.hours == 1.0
    with pytest.raises(ChangedInputs, match=r"--hours: 1.0 -> 2.0") as caught:
        opening.begin(workspace, source, Settings(hours=2.0), replan=False)
    assert caught.value.exit_code == 3
    assert opening.begin(workspace, source, Settings(hours=2.0), replan=True).settings.hours == 2.0


def test_a_stage_of_no_run_folder(tmp_path):
    refused(tmp_path, None, "not a run folder")
