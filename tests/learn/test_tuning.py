import math
import time

import pytest
import torch

from autoseg.errors import Interrupted
from autoseg.learn import checkpoint, networks, tuning
from autoseg.learn.loop import Task, train
from autoseg.learn.networks.plain_unet import PlainUNet
from tests.learn.test_loop import CPU, Memory, stop_at
from tests.learn.tiny import STILL, network_plan, source, training_plan

FIRST, LAST = torch.contiguous_format, torch.channels_last_3d


def favouring(order):
    """A network whose passes take long in any other order of axes than this one."""

    class Network(PlainUNet):
        def _decode(self, x):
            if networks.layout_of(self.parameters()) != order:
                time.sleep(0.1)
            return super()._decode(x)

    return Network


@pytest.fixture
def favour(monkeypatch):
    monkeypatch.setattr(tuning, "LAYOUT_S", 0.0)
    return lambda order: monkeypatch.setitem(networks.FAMILIES, "plain_unet", favouring(order))


def job(steps=700, **changes):
    return Task(network_plan(), training_plan(steps=steps, batch=1, augmentation=STILL), seed=3, **changes)


def order_of(memory):
    """In which the newest checkpoint holds weights, their average, and the optimizer's moments of them."""
    state = checkpoint.unseal(memory.saved[0])["state"]
    moments = [values["exp_avg"] for values in state["optimizer"]["state"].values()]
    orders = {
        networks.layout_of(weights) for weights in (state["network"].values(), state["average"].values(), moments)
    }
    assert len(orders) == 1
    return orders.pop()


def stopped(memory, task, at=3):
    notes = []

    def note(event):
        notes.append(event.detail) if event.what == "note" else None
        stop_at(at)(event)

    with pytest.raises(Interrupted):
        train(task, source(), memory.store, CPU, note)
    return notes


def test_what_is_slower_by_little_is_no_reason_to_leave_the_rule(favour, monkeypatch):
    favour(FIRST)
    monkeypatch.setattr(tuning, "CLEARLY", 0.0)
    memory = Memory()
    stopped(memory, job(tuned=True))
    assert order_of(memory) == LAST


@pytest.mark.parametrize(("order", "name"), [(FIRST, "channels first"), (LAST, "channels last")])
def test_a_job_trains_in_the_order_that_is_fastest_on_its_own_steps_and_says_so(favour, order, name):
    favour(order)
    memory = Memory()
    (note,) = stopped(memory, job(tuned=True))
    assert note.startswith(f"{name} in memory (0.")
    assert "s per step with channels first" in note and "s per step with channels last" in note
    assert "; not compiled" in note
    assert order_of(memory) == order


def test_a_resumed_job_keeps_the_order_that_it_was_started_with(favour):
    favour(FIRST)
    memory = Memory()
    stopped(memory, job(tuned=True))
    favour(LAST)
    (note,) = stopped(memory, job(tuned=True), at=6)
    assert note.startswith("channels first in memory (0.")
    assert order_of(memory) == FIRST


def test_the_job_that_was_tuned_and_interrupted_ends_with_the_bits_of_the_unbroken_one(favour, monkeypatch):
    favour(FIRST)
    monkeypatch.setattr(tuning, "LAYOUT_SHARE", math.inf)
    task = job(steps=30, tuned=True)
    unbroken, memory = train(task, source(), Memory().store, CPU), Memory()
    stopped(memory, task, at=13)
    resumed = train(task, source(), memory.store, CPU)
    assert all(torch.equal(unbroken.weights[name], resumed.weights[name]) for name in unbroken.weights)
    assert resumed.execution.startswith("channels first in memory")


def test_a_repeatable_job_follows_the_rule(favour):
    favour(FIRST)
    memory = Memory()
    assert stopped(memory, job()) == []
    assert order_of(memory) == networks.layout(CPU, 3) == LAST


def test_a_short_job_follows_the_rule(favour):
    favour(FIRST)
    done = train(job(steps=20, tuned=True), source(), Memory().store, CPU)
    assert done.execution.startswith("channels last in memory (the rule for this device")


def test_the_time_that_trying_takes_is_the_jobs(favour):
    favour(FIRST)
    memory = Memory()
    stopped(memory, job(tuned=True), at=1)
    assert checkpoint.unseal(memory.saved[0])["state"]["counters"]["seconds"] > tuning.TURNS * 0.1


def test_where_memory_is_short_nothing_is_tried(monkeypatch):
    class Network(PlainUNet):
        def _decode(self, x):
            if len(x) > 1 or networks.layout_of(self.parameters()) == FIRST:
                raise torch.OutOfMemoryError("out of memory")
            return super()._decode(x)

    monkeypatch.setitem(networks.FAMILIES, "plain_unet", Network)
    monkeypatch.setattr(tuning, "LAYOUT_SHARE", math.inf)
    task = Task(network_plan(), training_plan(steps=4, batch=2), 0, tuned=True)
    done = train(task, source(), Memory().store, CPU)
    assert (done.steps, done.pieces) == (4, 2)
    assert done.execution.startswith("channels last in memory (the rule")
