"""Patches that grow: their size follows the schedule, and a resumed job sees what an unbroken one would have seen."""

import pytest
import torch

from autoseg.errors import Interrupted
from autoseg.learn.loader import Batches
from autoseg.learn.loop import train
from autoseg.learn.monitor import EARLIEST
from planners.contracts import SmallerPatch
from tests.learn.test_loop import Memory, stop_at, task
from tests.learn.tiny import STILL, network_plan, source, training_plan

CPU = torch.device("cpu")
GROWING = (SmallerPatch(patch_vox=(4, 4, 4), until_share=0.3), SmallerPatch(patch_vox=(8, 4, 8), until_share=0.6))


def growing(**changes):
    return training_plan(smaller_patches=GROWING, **({"steps": 10} | changes))


def test_the_size_of_a_batch_follows_the_share_of_the_schedule():
    with Batches(source(), growing(), CPU, seed=1, step=0) as batches:
        sizes = [batches.next(step / 10)[1].shape[1:] for step in range(10)]
    assert sizes == [(4, 4, 4)] * 3 + [(8, 4, 8)] * 3 + [(8, 8, 8)] * 4


def test_what_was_read_ahead_for_smaller_patches_changes_nothing():
    with Batches(source(), growing(), CPU, seed=1, step=0) as batches:
        unbroken = [batches.next(step / 10) for step in range(10)]
    for start in range(1, 10):
        with Batches(source(), growing(), CPU, seed=1, step=start) as batches:
            images, labels = batches.next(start / 10)
        assert torch.equal(images, unbroken[start][0])
        assert torch.equal(labels, unbroken[start][1])


@pytest.mark.parametrize("step", [2, 3, 5, 6])
def test_a_job_that_is_interrupted_near_a_change_of_size_ends_with_the_same_bits(step):
    job = task(network_plan(stages=2), steps=10, smaller_patches=GROWING)
    unbroken = train(job, source(), Memory().store, CPU)
    memory = Memory()
    with pytest.raises(Interrupted):
        train(job, source(), memory.store, CPU, stop_at(step))
    resumed = train(job, source(), memory.store, CPU)
    assert all(torch.equal(unbroken.weights[name], resumed.weights[name]) for name in unbroken.weights)


def test_patches_grow_at_once_when_the_rest_of_the_schedule_is_hastened():
    plan = (SmallerPatch(patch_vox=(4, 4, 4), until_share=EARLIEST + 0.2),)
    job = task(network_plan(stages=2), steps=100, batch=1, augmentation=STILL, smaller_patches=plan)
    done = train(job, source(), Memory().store, CPU, monitor=lambda network: (0.8, 0.9))
    assert done.ended_early and done.steps < 60
