"""Prepared files that break while a job trains: named, read once more, and then the job ends with everything saved."""

import errno
import os
import time

import pytest
import torch

from autoseg import job_cases
from autoseg.errors import DoesNotFit, UnreadableFile
from autoseg.learn import loader
from autoseg.learn.cases import CaseSource
from autoseg.learn.loader import Batches
from autoseg.stages import train as stage
from autoseg.stages.train import train
from autoseg.workspace import JobFolder
from tests.learn.tiny import ball_case, training_plan
from tests.stages.test_train import job, prepared_cases

CASE = "case2"


@pytest.fixture(autouse=True)
def mapped(monkeypatch):
    """No case is kept in memory, nobody waits, and one thread computes."""
    monkeypatch.setattr(stage.devices, "prepare", lambda device, deterministic: torch.set_num_threads(1))
    monkeypatch.setattr(job_cases, "CACHE_SHARE", 0.0)
    monkeypatch.setattr(loader, "PAUSE_S", 0.0)


@pytest.fixture
def folder(tmp_path):
    return prepared_cases(tmp_path / "preprocess")


@pytest.fixture
def out(tmp_path):
    return JobFolder(tmp_path / "train" / "3d_fullres" / "fold_0")


def at_step(step, action):
    """A listener that acts once, and keeps what is warned of."""

    def notify(event):
        if event.what == "warning":
            notify.warned.append(event.detail)
        elif event.done == step and event.unit == "step":
            action()

    notify.warned = []
    return notify


def cut(path, size):
    """Cut a file short, while nobody reads: what is read ahead is read by then."""
    time.sleep(0.1)
    os.truncate(path, size)


@pytest.mark.parametrize("kept_bytes", [0, 60, 400])
def test_a_file_that_is_cut_short_ends_the_job_and_mended_it_goes_on_to_the_same_weights(
    folder, out, tmp_path, kept_bytes
):
    unbroken = train(job(steps=12), folder, JobFolder(tmp_path / "unbroken"))
    path = folder.image("3d_fullres", CASE)
    whole = path.read_bytes()
    with pytest.raises(UnreadableFile, match=f"{CASE}_image.npy: not a whole prepared array.*same command"):
        train(job(steps=12), folder, out, notify=at_step(3, lambda: cut(path, kept_bytes)))
    assert list(out.checkpoint.iterdir()), "what was learned is not saved"
    path.write_bytes(whole)
    steps = []
    mended = train(job(steps=12), folder, out, notify=lambda event: steps.append(event.done))
    assert steps[0] > 3
    assert mended.weights == unbroken.weights


@pytest.mark.fault(
    76, "a file that cannot be read while training", "tried again once, then exit 3 naming case and file; all is saved"
)
def test_a_file_that_is_gone_is_tried_again_once_and_named(folder, out):
    path = folder.label("3d_fullres", CASE)
    path.unlink()
    notify = at_step(0, lambda: None)
    with pytest.raises(
        UnreadableFile, match=f"{CASE}_label.npy: case {CASE}: No such file or directory, twice; .*anew"
    ):
        train(job(), folder, out, notify=notify)
    assert notify.warned == [f"case {CASE} could not be read (No such file or directory); trying once more"]


def test_a_file_that_can_be_read_again_costs_a_warning_and_nothing_else(folder, out, tmp_path):
    unbroken = train(job(), folder, JobFolder(tmp_path / "unbroken"))
    path = folder.image("3d_fullres", CASE)
    away = path.with_suffix(".away")
    path.rename(away)
    path.mkdir()  # opening it now is an error of the system

    def mend(event):
        if event.what == "warning":
            warned.append(event.detail)
            path.rmdir()
            away.rename(path)

    warned = []
    model = train(job(), folder, out, notify=mend)
    assert warned == [f"case {CASE} could not be read (Is a directory); trying once more"]
    assert model.weights == unbroken.weights


def batches(load, warned):
    return Batches(CaseSource(("a",), load, ((1,),)), training_plan(), torch.device("cpu"), 0, 0, warn=warned.append)


@pytest.mark.fault(
    76, "a disk that fails for a moment while training", "read once more, with a warning; training goes on"
)
def test_a_disk_that_fails_for_a_moment_is_forgiven():
    errors = [OSError(errno.EIO, "Input/output error", "a.npy")]

    def load(case):
        if errors:
            raise errors.pop()
        return ball_case(0)

    warned = []
    with batches(load, warned) as reading:
        images, _ = reading.next()
    assert images.shape[0] == 2
    assert warned == ["case a could not be read (Input/output error); trying once more"]


def test_memory_that_runs_out_while_reading_is_said_with_the_case():
    def load(case):
        raise MemoryError

    warned = []
    with (
        batches(load, warned) as reading,
        pytest.raises(DoesNotFit, match="case a: no memory to read it .* twice; free"),
    ):
        reading.next()
    assert len(warned) == 1
