"""Training that is killed, and training on a disk that is full: nothing is lost, nothing is half."""

import math
import multiprocessing
import os
import random
import resource
import time

import pytest
import torch

from autoseg import generations
from autoseg.errors import ResourceError
from autoseg.learn import checkpoint, saving
from autoseg.learn.loop import Store, Task, train
from tests.learn.tiny import network_plan, source, training_plan

KILLS = 50
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")


def job(steps):
    return Task(network_plan(), training_plan(steps=steps, batch=1, checkpoint_s=0.0), seed=5)


def work(folder, steps, notes):
    """Train with real checkpoints; every step is noted, so that it can be seen what was repeated."""
    torch.set_num_threads(1)

    def note(event):
        if event.what == "progress":
            with open(notes, "a") as file:
                file.write(f"{event.done:.0f}\n")

    store = Store(lambda: generations.load(folder), lambda write: generations.save(folder, write))
    return train(job(steps), source(), store, torch.device("cpu"), note)


def forked(*arguments):
    process = multiprocessing.get_context("fork").Process(target=work, args=arguments)
    process.start()
    return process


def lines(path):
    return path.read_text().count("\n") if path.exists() else 0


def whole(folder):
    """Steps of the generations that can be read, newest first."""
    found = []
    for sealed in generations.load(folder):
        try:
            found.append(checkpoint.unseal(sealed)["state"]["counters"]["step"])
        except checkpoint.DamagedCheckpointError:
            continue
    return found


@forks
def test_killed_at_fifty_random_moments_no_checkpoint_is_lost_and_the_weights_are_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(saving, "WRITING_SHARE", math.inf)  # a checkpoint after every step
    steps, chance = 250, random.Random(0)
    folder, notes = tmp_path / "checkpoint", tmp_path / "notes"
    unbroken = work(tmp_path / "other", steps, tmp_path / "other_notes")  # first: what it imports, forks have at once
    reached = 0
    for _ in range(KILLS):
        process, seen = forked(folder, steps, notes), lines(notes)
        some = chance.randint(1, 3)
        while lines(notes) < seen + some:  # counted in steps, for a machine may be slow
            time.sleep(0.001)
        time.sleep(chance.uniform(0.0, 0.02))
        process.kill()
        process.join()
        saved = max(whole(folder), default=0)
        assert saved >= reached, "a checkpoint was lost"
        reached = saved
    assert 0 < reached < steps, "the kills came before the first or after the last step"
    broken = work(folder, steps, notes)
    assert all(torch.equal(broken.weights[name], unbroken.weights[name]) for name in unbroken.weights)
    done = notes.read_text().split()
    again = len(done) - len(set(done))
    assert again <= 2 * KILLS  # the step under way, and the one before it where its checkpoint was not yet whole


@forks
def test_a_full_disk_is_an_error_with_the_fix_and_the_last_checkpoint_stays(tmp_path):
    folder = tmp_path / "checkpoint"
    work(folder, 3, tmp_path / "notes")
    size = (folder / "latest").stat().st_size
    before = whole(folder)
    said = multiprocessing.get_context("fork").Queue()

    def without_room():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, size // 2))
        try:
            work(folder, 6, tmp_path / "notes")
        except ResourceError as error:
            said.put((error.exit_code, str(error)))

    process = multiprocessing.get_context("fork").Process(target=without_room)
    process.start()
    code, message = said.get(timeout=60)
    process.join()
    assert code == 4
    assert "could not be written: File too large; free some space" in message
    assert set(whole(folder)) & set(before), "the last whole checkpoint is gone"
    assert not list(folder.glob(".*.tmp"))
