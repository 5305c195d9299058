import io
import math

import numpy as np
import pytest
import torch

from autoseg.errors import Interrupted, ResourceError
from autoseg.learn import checkpoint, recovery
from autoseg.learn.cases import CaseSource
from autoseg.learn.loop import Store, Task, train
from planners.contracts import Augmentation
from tests.learn.tiny import STILL, network_plan, source, training_plan

CPU = torch.device("cpu")


class Memory:
    """Checkpoints in memory, newest first."""

    def __init__(self):
        self.saved = []

    @property
    def store(self):
        return Store(lambda: list(self.saved), lambda write: self.saved.insert(0, written(write)))


def written(write):
    file = io.BytesIO()
    write(file)
    return file.getvalue()


TWO_OUTPUTS = {"stages": 4, "strides": ((1, 1, 1), (2, 2, 2), (2, 2, 2), (1, 1, 1))}
"""Deep enough for deep supervision."""


def task(network=None, **changes):
    return Task(network or network_plan(**TWO_OUTPUTS), training_plan(**changes), seed=3)


def stop_at(step):
    def notify(event):
        if event.done == step:
            raise Interrupted("stop")

    return notify


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_learns_a_ball(optimizer):
    done = train(
        task(steps=60, augmentation=STILL, optimizer=optimizer, learning_rate=0.01), source(), Memory().store, CPU
    )
    assert done.steps == 60
    assert len(done.curve) == 60
    assert done.curve[-1].loss < done.curve[0].loss - 0.5
    assert done.curve[-1].loss < -0.5
    assert 0 <= done.data_wait_share <= 1


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_interrupted_and_resumed_gives_the_same_bits(precision):
    job = task(precision=precision, augmentation=Augmentation(mirror_axes=(0, 1)))
    unbroken = train(job, source(), Memory().store, CPU)
    memory = Memory()
    with pytest.raises(Interrupted):
        train(job, source(), memory.store, CPU, stop_at(13))
    assert checkpoint.unseal(memory.saved[0])["state"]["counters"]["step"] == 13
    resumed = train(job, source(), memory.store, CPU)
    assert resumed.steps == unbroken.steps == 30
    assert all(torch.equal(unbroken.weights[name], resumed.weights[name]) for name in unbroken.weights)
    assert [p.loss for p in unbroken.curve] == [p.loss for p in resumed.curve]


def test_a_damaged_checkpoint_falls_back_to_the_one_before():
    memory, job = Memory(), task(augmentation=STILL)
    for step in (7, 13):
        with pytest.raises(Interrupted):
            train(job, source(), memory.store, CPU, stop_at(step))
    memory.saved[0] = memory.saved[0][:-10]
    steps = []
    train(job, source(), memory.store, CPU, lambda event: steps.append(event.done))
    assert steps[0] == 8


def test_a_checkpoint_of_another_job_is_not_used():
    memory = Memory()
    with pytest.raises(Interrupted):
        train(task(), source(), memory.store, CPU, stop_at(5))
    steps = []
    train(task(learning_rate=1e-3), source(), memory.store, CPU, lambda event: steps.append(event.done))
    assert steps[0] == 1


def test_a_finished_job_is_not_trained_again():
    memory, job = Memory(), task(steps=5)
    first = train(job, source(), memory.store, CPU)
    steps = []
    again = train(job, source(), memory.store, CPU, lambda event: steps.append(event.done))
    assert not steps
    assert all(torch.equal(first.weights[name], again.weights[name]) for name in first.weights)
    assert again.curve == first.curve


def test_time_ends_a_job_and_counts_over_restarts():
    memory = Memory()
    job = task(steps=10**6, seconds=0.6)
    with pytest.raises(Interrupted):
        train(job, source(), memory.store, CPU, stop_at(4))
    spent = checkpoint.unseal(memory.saved[0])["state"]["counters"]["seconds"]
    done = train(job, source(), memory.store, CPU)
    assert 0 < spent < 0.6 <= done.seconds < 2.5
    assert done.steps > 4
    assert done.curve[-1].learning_rate < done.curve[1].learning_rate


def test_steps_within_a_time_are_foreseen_once_the_first_ones_are_done():
    told = []
    done = train(task(steps=10**6, seconds=1.0), source(), Memory().store, CPU, told.append)
    totals = [event.total for event in told if event.what == "progress"]
    assert totals[-1] == done.steps
    unknown = totals.index(next(filter(None, totals)))
    assert 0 < unknown < done.steps / 2
    assert not any(totals[:unknown])


def poisoned(bad):
    image = np.full((1, 8, 8, 8), bad, np.float32)
    return CaseSource(("bad",), lambda case: (image, np.ones((8, 8, 8), np.uint8)), ((1,),))


def test_training_that_diverges_again_and_again_ends_with_an_error():
    warnings = []
    with pytest.raises(ResourceError, match="not a finite number"):
        train(
            task(augmentation=STILL),
            poisoned(math.nan),
            Memory().store,
            CPU,
            lambda event: warnings.append(event) if event.what == "warning" else None,
        )
    details = [warning.detail for warning in warnings]
    rollbacks = [detail for detail in details if "back to step" in detail]
    assert len(rollbacks) == recovery.ROLLBACKS
    assert "0.5 of the learning rate" in rollbacks[0]
    assert all("patches of bad" in detail for detail in details)


def test_single_non_finite_steps_are_skipped_and_counted():
    good, bad = source(), poisoned(math.inf)

    class Mixed(CaseSource):
        def read(self, case, corner, size):
            return (bad if case == "bad" else good).read(case, corner, size)

        def shape(self, case):
            return (8, 8, 8) if case == "bad" else good.shape(case)

        def locations(self, case):
            return (bad if case == "bad" else good).locations(case)

    mixed = Mixed((*good.cases * 6, "bad"), lambda case: None, ((1,),))
    done = train(task(augmentation=STILL, batch=1, steps=40), mixed, Memory().store, CPU)
    assert done.skipped >= 1
    assert all(torch.isfinite(value).all() for value in done.weights.values())


def test_a_job_whose_monitor_cases_stand_still_runs_through_the_rest_of_its_schedule():
    notes = []

    def note(event):
        notes.append(event.detail) if event.what == "note" else None

    job = task(steps=200, batch=1, augmentation=STILL)
    done = train(job, source(), Memory().store, CPU, note, monitor=lambda network: (0.8, 0.9))
    rates = [point.learning_rate for point in done.curve]
    assert done.ended_early
    assert len(notes) == 1 and "2 monitor cases stand still" in notes[0]
    assert 60 < done.steps < 90  # EARLIEST of 200, and ENDING of that
    assert rates[-1] < 0.1 * max(rates)
    assert rates[-1] == min(rates[20:])


def test_a_job_whose_monitor_cases_gain_goes_to_its_end_and_remembers_them_over_a_restart():
    seen = []

    def better(network):
        seen.append(len(seen) * 0.01)
        return seen[-1], seen[-1]

    memory, job = Memory(), task(steps=50, batch=1, augmentation=STILL)
    with pytest.raises(Interrupted):
        train(job, source(), memory.store, CPU, stop_at(20), monitor=better)
    before = len(seen)
    done = train(job, source(), memory.store, CPU, monitor=better)
    assert (done.steps, done.ended_early) == (50, False)
    assert before > 5
    assert [look.dice[0] for look in done.looks] == seen


def test_checkpoints_are_written_while_training():
    memory = Memory()
    train(task(steps=6, checkpoint_s=0.0), source(), memory.store, CPU)
    assert len(memory.saved) >= 2


def test_the_learning_curve_is_short_however_long_the_job():
    done = train(task(network_plan(stages=2), steps=450, batch=1, patch_vox=(4, 4, 4)), source(), Memory().store, CPU)
    assert 100 <= len(done.curve) <= 201
    assert done.curve[-1].step == 450


def test_regions_with_two_heads():
    done = train(task(network_plan(heads=2), steps=3), source(members=((1,), (1,))), Memory().store, CPU)
    assert math.isfinite(done.curve[-1].loss)


def test_a_checkpoint_is_never_in_memory_as_a_whole():
    class Pieces(io.BytesIO):
        largest = 0

        def write(self, content):
            self.largest = max(self.largest, memoryview(content).nbytes)
            return super().write(content)

    file = Pieces()
    checkpoint.seal({str(n): torch.ones(1000) for n in range(20)}, file)
    assert file.largest <= 4000 < len(file.getvalue()) / 20
    assert len(checkpoint.unseal(file.getvalue())) == 20


def test_damaged_bytes_are_noticed():
    sealed = written(lambda file: checkpoint.seal({"a": torch.arange(3), "b": [1, 2.0, "x"]}, file))
    assert torch.equal(checkpoint.unseal(sealed)["a"], torch.arange(3))
    for broken in (b"", sealed[:40], sealed[:-1], sealed[:-5] + b"x" + sealed[-4:]):
        with pytest.raises(checkpoint.DamagedCheckpointError):
            checkpoint.unseal(broken)
