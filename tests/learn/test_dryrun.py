import platform

import psutil
import pytest
import torch

from autoseg import environment
from autoseg.errors import ResourceError
from autoseg.learn import memory
from autoseg.learn.dryrun import MEMORY_STEPS, dry_run, dry_run_apart
from planners.memory import planned_bytes
from planners.topology import unet
from tests.learn.tiny import network_plan, training_plan

CPU = torch.device("cpu")
ONE = ((1,),)


def test_a_dry_run_times_every_step_and_tells_of_each():
    told = []
    steps = dry_run(network_plan(), training_plan(steps=4), ONE, CPU, on_step=lambda: told.append(1))
    assert len(steps.steps_s) == len(told) == 4
    assert all(seconds > 0 for seconds in steps.steps_s)


def test_a_single_step_is_timed_too():
    assert len(dry_run(network_plan(), training_plan(seconds=1e-9), ONE, CPU).steps_s) == 1


@pytest.mark.skipif(platform.system() != "Linux", reason="peak memory is read from /proc")
def test_the_plan_predicts_what_a_fresh_process_takes():
    """Wider than the benchmark's band: one repeat, on a machine that may be any."""
    patch = (64, 64, 64)
    network = unet(patch, (1.0, 1.0, 1.0), channels=1, heads=2, width=16, most_stages=4)
    training = training_plan(patch_vox=patch)
    taken = dry_run_apart(network, training, ONE, CPU)
    assert len(taken.steps_s) == MEMORY_STEPS
    assert 0.8 < planned_bytes(network, training, "exclusive") / taken.memory_bytes < 1.4


def test_too_little_memory_is_an_error_that_says_what_to_do():
    with pytest.raises(ResourceError, match="--device-gb"):
        dry_run_apart(network_plan(), training_plan(patch_vox=(1 << 14,) * 3), ONE, CPU)


@pytest.mark.skipif(not environment.gnu(), reason="only the GNU library has the switches")
def test_freed_memory_stays_while_training_and_goes_back_afterwards():
    def held():
        return psutil.Process().memory_info().rss / 2**20

    before = held()
    with memory.recycling():
        block = torch.ones(100 << 18)
        del block
        assert held() - before > 80
    assert held() - before < 40


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("patch", [(96, 96, 96), (128, 128, 128), (512, 512)])
def test_the_plan_predicts_the_peak_of_the_accelerators_allocator(patch):
    network = unet(patch, (1.0,) * len(patch), channels=1, heads=3, width=32, most_stages=6)
    training = training_plan(dimension=len(patch), patch_vox=patch, batch=8 if len(patch) == 2 else 2, precision="bf16")
    taken = dry_run_apart(network, training, ((1,), (2,)), torch.device("cuda:0"))
    assert 0.9 < planned_bytes(network, training, "exclusive") / taken.memory_bytes < 1.15
