"""Training steps on noise: what a configuration really takes, in seconds and bytes, before any data are touched."""

import contextlib
import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import torch

from autoseg import environment
from autoseg.errors import ResourceError
from autoseg.events import Event
from autoseg.learn import device as machine
from autoseg.learn import memory
from autoseg.learn.cases import CaseSource
from autoseg.learn.loop import Store, Task, train
from planners.contracts import NetworkPlan, TrainingPlan

MEMORY_STEPS = 3
"""Of which the second is the first with all of the optimizer's state."""


@dataclass(frozen=True)
class Steps:
    """What some steps of training took.

    Attributes:
        steps_s: Seconds of each step; the first also pays for all that is made once.
        memory_bytes: Most that training added to this process's memory, or to the accelerator's; None: not measurable
            on this system.
    """

    steps_s: tuple[float, ...]
    memory_bytes: int | None


def dry_run(
    network: NetworkPlan,
    training: TrainingPlan,
    members: Sequence[Sequence[int]],
    device: torch.device,
    *,
    on_step: Callable[[], None] = lambda: None,
) -> Steps:
    """Train on noise with the real loop, in this process.

    Args:
        network: What to train.
        training: How, and for how many steps or seconds.
        members: Class indices of each target.
        device: Where to train.
        on_step: Called after each step.

    Raises:
        MemoryError: A whole batch does not fit.
    """
    stamps = [time.perf_counter()]

    def note(_: Event) -> None:
        stamps.append(time.perf_counter())
        if device.type == "cuda" and len(stamps) == 2 <= training.steps:
            torch.cuda.reset_peak_memory_stats(device)  # kernels were tried out, some with room that none takes later
        on_step()

    source = _noise(network, training, members)
    before = _start_counting(device)
    task = Task(network, training, seed=0, name="dry run")
    done = train(task, source, Store(load=lambda: (), save=lambda write: None), device, note)
    if done.pieces > 1:
        raise MemoryError(f"batches had to be computed in {done.pieces} parts")
    peak = memory.peak_bytes(device)
    return Steps(tuple(np.diff(stamps).tolist()), None if peak is None else max(0, peak - before))


def dry_run_apart(
    network: NetworkPlan, training: TrainingPlan, members: Sequence[Sequence[int]], device: torch.device
) -> Steps:
    """``dry_run`` of a few steps in a fresh process, whose memory nothing else has grown.

    Raises:
        ResourceError: There was not enough memory.
    """
    environment.inherit()
    memory.give_back(device)
    few = training.model_copy(update={"steps": MEMORY_STEPS, "seconds": None})
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(_prepared, network, few, members, str(device)).result()
        except (BrokenProcessPool, MemoryError, RuntimeError) as died:  # killed, or refused by numpy or by torch
            if not isinstance(died, BrokenProcessPool) and not memory.exhausted(died):
                raise
            patch = " x ".join(str(edge) for edge in training.patch_vox)
            raise ResourceError(
                f"a dry run of {training.batch} patches of {patch} voxels on {device} ran out of memory; free memory, "
                "or plan for less of it with --device-gb"
            ) from died


def _prepared(network: NetworkPlan, training: TrainingPlan, members: Sequence[Sequence[int]], device: str) -> Steps:
    target = torch.device(device)
    machine.prepare(target, deterministic=False)
    return dry_run(network, training, members, target)


def _noise(network: NetworkPlan, training: TrainingPlan, members: Sequence[Sequence[int]]) -> CaseSource:
    """One case of noise, a patch wide, with every class in it."""
    shape = (1, *training.patch_vox)[-3:]
    generator = np.random.default_rng(0)
    image = generator.normal(size=(network.in_channels, *shape)).astype(np.float32)
    classes = generator.integers(0, 1 + max(index for indices in members for index in indices), shape).astype(np.uint8)
    return CaseSource(("noise",), lambda case: (image, classes), members)


def _start_counting(device: torch.device) -> int:
    """Forget the peak so far; returns the memory that is held now."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return int(torch.cuda.memory_allocated(device))
    with contextlib.suppress(OSError):  # Linux: the peak of this process begins anew
        Path("/proc/self/clear_refs").write_text("5")
    return int(psutil.Process().memory_info().rss)
