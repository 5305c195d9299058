"""What only a GPU can show of training; all else is tested on a CPU."""

import math
import warnings

import pytest
import torch

from autoseg.errors import Interrupted
from autoseg.learn import device as devices
from autoseg.learn.loop import train
from autoseg.learn.precision import has_bf16
from autoseg.learn.state import fresh
from autoseg.learn.step import Update
from autoseg.learn.trials import noise
from planners.contracts import Augmentation
from tests.learn.test_loop import CPU, Memory, stop_at, task
from tests.learn.tiny import STILL, network_plan, source, training_plan

GPU = torch.device("cuda:0")
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")]


@pytest.fixture
def repeatable():
    devices.prepare(GPU, deterministic=True)
    yield
    devices.prepare(GPU, deterministic=False)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_learns_a_ball(precision):
    if precision == "bf16" and not has_bf16(GPU):
        pytest.skip("this GPU computes no bfloat16")
    done = train(task(steps=60, augmentation=STILL, precision=precision), source(), Memory().store, GPU)
    assert (done.steps, done.skipped, done.pieces) == (60, 0, 1)
    assert done.curve[-1].loss < -0.5
    assert {weight.device for weight in done.weights.values()} == {CPU}


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_interrupted_and_resumed_gives_the_same_bits(precision, repeatable):
    job = task(precision=precision, augmentation=Augmentation(mirror_axes=(0, 1)))
    unbroken, memory = train(job, source(), Memory().store, GPU), Memory()
    with pytest.raises(Interrupted):
        train(job, source(), memory.store, GPU, stop_at(13))
    resumed = train(job, source(), memory.store, GPU)
    assert all(torch.equal(unbroken.weights[name], resumed.weights[name]) for name in unbroken.weights)


@pytest.mark.parametrize(("begun", "ended"), [(GPU, CPU), (CPU, GPU)], ids=["gpu to cpu", "cpu to gpu"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_job_goes_on_from_the_checkpoint_of_another_device(begun, ended, optimizer):
    job, memory = task(optimizer=optimizer, learning_rate=0.01), Memory()
    with pytest.raises(Interrupted):
        train(job, source(), memory.store, begun, stop_at(13))
    done = train(job, source(), memory.store, ended)
    assert (done.steps, done.skipped) == (30, 0)
    assert math.isfinite(done.curve[-1].loss)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("members", [((1,),), ((1,), (1, 2))], ids=["exclusive", "regions"])
def test_a_step_waits_for_the_gpu_once(precision, members):
    network, plan = network_plan(), training_plan(precision=precision)
    state, update = fresh(network, plan, GPU, seed=1), Update(network, plan, members)
    batch = noise(update, GPU)
    update(state, *batch, 1e-3)
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            update(state, *batch, 1e-3)
            state.update_average(0.9)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert sum("synchronizing" in str(warning.message) for warning in said) == 1


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="a single CUDA device here")
def test_what_trains_on_the_second_gpu_takes_nothing_of_the_first():
    before = torch.cuda.memory_reserved(0)
    devices.prepare(torch.device("cuda:1"), deterministic=False)
    try:
        done = train(task(steps=5), source(), Memory().store, torch.device("cuda:1"))
    finally:
        devices.prepare(GPU, deterministic=False)
    assert done.steps == 5
    assert torch.cuda.memory_reserved(0) == before
