"""Compiling for real, in a process that finds no C++ compiler: the library's other back ends need none."""

import json
import math
import os
import subprocess
import sys
from functools import partial

import pytest
import torch

from autoseg.learn import tuning
from autoseg.learn.compilation import judged
from autoseg.learn.loop import Task, train
from autoseg.learn.state import fresh
from autoseg.learn.step import Update
from autoseg.learn.trials import noise
from tests.learn.compiling import ATTEMPTS
from tests.learn.test_loop import Memory
from tests.learn.tiny import network_plan, source, training_plan

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def attempts(tmp_path_factory):
    empty = str(tmp_path_factory.mktemp("no_compiler"))
    bare = {"PATH": empty, "CXX": f"{empty}/none", "TORCHINDUCTOR_CACHE_DIR": empty}
    done = subprocess.run(
        [sys.executable, "-m", "tests.learn.compiling"], env=os.environ | bare, capture_output=True, text=True
    )
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["name"] for one in told] == list(ATTEMPTS), done.stderr
    return {one["name"]: one for one in told}


def test_compiled_passes_are_used_where_they_are_right_and_pay(attempts):
    made = attempts["right and faster"]
    assert made["used"]
    assert made["because"].startswith("used: ") and "s per step instead of 0.1" in made["because"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("wrong", "it gives logits or gradients that are off by more than rounding"),
        ("wrong backwards", "it gives logits or gradients that are off by more than rounding"),
        ("short job", "would save 0 s of this job"),
        ("slower", "would save 0 s of this job"),
        ("broken", "it fails (NotImplementedError: such a graph)"),
        ("greedy", "it fails (RuntimeError: "),
        ("default", "it fails (InvalidCxxCompiler: "),
    ],
)
def test_otherwise_steps_stay_as_they_are_for_a_reason_that_is_told(attempts, name, why):
    made = attempts[name]
    assert not made["used"]
    assert made["because"].startswith("not used, as it ")
    assert why in made["because"]


def test_trying_changes_nothing(attempts):
    assert all(made["untouched"] for made in attempts.values())


def test_parts_of_a_batch_are_computed_without():
    """Compiled passes see whole batches only, whose size they are made for."""
    network, plan = network_plan(), training_plan(batch=3)
    state = fresh(network, plan, CPU, seed=1)
    sizes = []

    def seen(network, images):
        sizes.append(len(images))
        if len(images) > 1:
            raise torch.OutOfMemoryError("out of memory")
        return network.forward_deep(images)

    update = Update(network, plan, ((1,),), compiled=seen)
    images, classes = noise(update, CPU)
    update(state, images, classes, 0.1)
    assert (sizes, state.pieces) == ([3], 2)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("mode", ["default", "reduce-overhead"])
def test_each_mode_is_right_on_a_gpu(mode):
    device = torch.device("cuda:0")
    network, plan = (
        network_plan(features=(16, 32, 32)),
        training_plan(patch_vox=(32,) * 3, precision="bf16"),
    )
    update, state = Update(network, plan, ((1,),)), fresh(network, plan, device, seed=1)
    compiler = partial(torch.compile, dynamic=False, mode=mode)
    made = judged(update, state, noise(update, device), lambda step_s: 1e9, compiler)
    assert "off by more" not in made.because and "fails" not in made.because
    for _ in range(3):  # CUDA graphs are captured in the second call and replayed from the third on
        assert math.isfinite(made.update(state, *noise(update, device), 1e-3).loss)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_tuned_job_on_a_gpu_tries_to_compile_and_learns(monkeypatch):
    monkeypatch.setattr(tuning, "COMPILING_S", 0.0)
    task = Task(network_plan(), training_plan(steps=60, patch_vox=(16,) * 3, precision="bf16"), seed=3, tuned=True)
    done = train(task, source(), Memory().store, torch.device("cuda:0"))
    assert "compiling (default)" in done.execution
    assert done.curve[-1].loss < done.curve[0].loss
