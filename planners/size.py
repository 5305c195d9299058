"""How large a configuration may be: the highest rung of its ladder that memory holds and time can train.

Patch and width are chosen together for the smallest useful batch, as though the configuration had all the training
time. Then the batch grows into what is left. Sizing never looks at what else is trained, so more hours, memory or speed
can only lead up the ladder.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Literal

import numpy as np

from planners import cost, schedule
from planners.contracts import Budget, ConfigurationName, LabelKind, NetworkPlan, Reason, Shape
from planners.errors import InfeasibleBudget
from planners.memory import training_bytes, usable_bytes
from planners.patch import Rung, ladder
from planners.spacing import TargetSpacing
from planners.topology import unet, with_residual_encoder


@dataclass(frozen=True)
class Task:
    """What a configuration has to solve: resampled shapes (z, y, x), channels in, heads out, labels to score."""

    name: ConfigurationName
    dimension: Literal[2, 3]
    spacing_mm: TargetSpacing
    shapes: tuple[Shape, ...]
    median_shape: Shape
    channels: int
    heads: int
    labels: int

    @cached_property
    def edges(self) -> np.ndarray:
        """``shapes`` as an array (cases, 3), made once: every rung of the ladder is priced with it."""
        return np.asarray(self.shapes, dtype=float)

    @property
    def kind(self) -> LabelKind:
        """Regions, which may overlap, have a head each; exclusive labels one more, for the background."""
        return "regions" if self.heads == self.labels else "exclusive"

    @property
    def patch_shape(self) -> tuple[int, ...]:
        """The typical image along the patch's axes."""
        return self.median_shape[3 - self.dimension :]

    @property
    def patch_spacing_mm(self) -> tuple[float, ...]:
        """Voxel size along the patch's axes."""
        return tuple(size for size in self.spacing_mm[3 - self.dimension :] if size is not None)


@dataclass(frozen=True)
class Size:
    """A network, its patch and batch, and what they cost. ``limit`` is what kept the next rung out of reach.

    Until the schedule is known, memory is that of the dearest optimizer.
    """

    patch: tuple[int, ...]
    network: NetworkPlan
    batch: int
    memory_bytes: int
    step_s: float
    case_inference_s: float
    limit: Literal["image", "memory", "time"] = "image"
    next_rung: str = ""  # what the next rung would have been, and why not

    @property
    def width(self) -> int:
        """Features of the first stage."""
        return self.network.features[0]


def choose(task: Task, budget: Budget) -> Size:
    """The highest rung that fits memory and leaves the target number of steps; failing that, the lowest.

    Raises:
        InfeasibleBudget: Not even the lowest rung fits the memory with a batch of one.
    """
    aim = schedule.ambition(budget)
    rungs = ladder(
        task.patch_shape,
        task.patch_spacing_mm,
        most_stages=aim.most_stages[task.dimension],
        widths=aim.widths[task.dimension],
    )
    limit: Literal["image", "memory", "time"] = "image"
    next_rung = ""
    for rung in reversed(rungs):
        size = _measured(task, rung, aim.fewest_samples[task.dimension], budget)
        steps = steps_alone(task, size, budget)
        if size.memory_bytes > usable_bytes(budget):
            limit, obstacle = "memory", f"{size.memory_bytes / 1e9:.2f} GB"
        elif steps < aim.steps_for(task.dimension, wider=rung.wider):
            wanted = aim.steps_for(task.dimension, wider=rung.wider)
            limit, obstacle = "time", f"{steps} steps per fold; {wanted} wanted"
        else:
            return replace(size, limit=limit, next_rung=next_rung)
        next_rung = f"{times(rung.patch)} voxels with {rung.width} features: {obstacle}"
    return _lowest(task, rungs[0], limit, budget)


def grow_batch(task: Task, size: Size, seconds: float, budget: Budget) -> Size:
    """The largest batch that memory holds, that the target steps allow, and that still adds to the gradient."""
    aim = schedule.ambition(budget)
    most = min(aim.most_samples[task.dimension], aim.batch_voxels[task.dimension] // prod(size.patch))
    for batch in range(most, size.batch, -1):
        larger = _with_batch(task, size, batch, budget)
        steps = schedule.steps_within(seconds, larger.step_s, budget)
        if larger.memory_bytes <= usable_bytes(budget) and steps >= aim.target_steps[task.dimension]:
            return larger
    return size


def shrink_batch(task: Task, size: Size, seconds: float, budget: Budget) -> Size:
    """The batch, or the largest one below it with which the hours leave enough steps to learn; else one."""
    while budget.hours is not None and size.batch > 1:
        if schedule.steps_within(seconds, size.step_s, budget) >= schedule.FEWEST_STEPS:
            break
        size = _with_batch(task, size, size.batch - 1, budget)
    return size


def steps_alone(task: Task, size: Size, budget: Budget) -> int:
    """Steps per fold if this were the only configuration."""
    seconds = schedule.job_seconds(budget, other_s([(task, size)], budget), budget.folds)
    return schedule.steps_within(seconds, size.step_s, budget)


def other_s(sized: Sequence[tuple[Task, Size]], budget: Budget) -> float:
    """Seconds of the whole run that are not training: preprocessing, inference, scoring, report."""
    total = 0.0
    for task, size in sized:
        predictions = len(task.shapes) * (1 + schedule.HOLDOUT_ALLOWANCE * budget.folds)
        total += cost.preprocessing_s(task.edges, task.channels, budget) + predictions * size.case_inference_s
    first = sized[0][0]
    return total + cost.closing_s(first.edges, first.labels)


def reasons(task: Task, size: Size, budget: Budget) -> tuple[Reason, ...]:
    """Why this patch, this width and this batch."""
    target = schedule.ambition(budget).target_steps[task.dimension]
    usable = f"{usable_bytes(budget) / 1e9:.2f} GB"
    because = {
        "image": "the top of the ladder: a larger one would add nothing but padding or repetition",
        "memory": f"the next larger would not fit {usable} of memory ({size.next_rung})",
        "time": f"the next larger would leave too little training ({size.next_rung})",
    }[size.limit]
    shapes = f"typical image {times(task.patch_shape)} voxels"
    source = "Isensee et al., Nature Methods 18 (2021), patch adaptation; sized by measured speed instead of a constant"
    return (
        Reason(
            rule="patch.size",
            saw=f"{shapes}; {usable} of memory usable",
            chose=f"{times(size.patch)} voxels",
            because=because,
            source=source,
        ),
        Reason(
            rule="network.width",
            saw=f"a training step takes {size.step_s:.3g} s on {budget.device_name}",
            chose=f"{size.width} features in the first stage, {max(size.network.features)} at most",
            because=f"patch and width grow together while a fold gets {target} steps: {because}",
            source="ladder of widths per patch size, tuned by experiment",
        ),
        _encoder_reason(size, budget),
        Reason(
            rule="patch.batch",
            saw=f"{size.memory_bytes / 1e9:.2f} GB predicted for {size.batch} patches, {usable} usable",
            chose=f"{size.batch} patches per step",
            because=_batch_because(task, size, budget),
            source="Isensee et al., Nature Methods 18 (2021), batch size; patch before batch",
        ),
    )


def _encoder_reason(size: Size, budget: Budget) -> Reason:
    residual = size.network.family == "residual_unet"
    because = (
        "for a third more time and memory they gained 0.0 to 0.8 points of Dice on six large data sets, which is worth "
        "it where time is plenty"
        if residual
        else "residual blocks cost a third more time and memory; in the same time, steps have been worth more"
    )
    return Reason(
        rule="network.encoder",
        saw=f"preset {budget.preset} on {budget.device_name}",
        chose="residual blocks" if residual else "plain convolutions",
        because=because,
        source="Isensee et al. 2024 (arXiv:2404.09556), default to ResEnc M; own runs, "
        "benchmarks/results/planner_evidence.md",
    )


def precision_reason(budget: Budget) -> Reason:
    """Why the networks compute in this precision."""
    return Reason(
        rule="network.precision",
        saw=f"{budget.device_name} ({budget.device})",
        chose=budget.precision,
        because="the fastest precision of this machine that passed a numeric self-test",
        source="measurement on this machine",
    )


def gb_up(count: int) -> str:
    """Bytes for people, rounded up: what is said would do, whichever way it is read back.

    >>> gb_up(1_239_999_999), gb_up(1_240_000_000)
    ('1.24 GB', '1.25 GB')
    """
    return f"{(count // 10**7 + 1) / 100:.2f} GB"


def times(edges: tuple[int, ...]) -> str:
    """Edges for people: "40 x 56 x 40"."""
    return " x ".join(str(edge) for edge in edges)


def _batch_because(task: Task, size: Size, budget: Budget) -> str:
    fewest = schedule.ambition(budget).fewest_samples[task.dimension]
    if size.batch < fewest:
        if _with_batch(task, size, size.batch + 1, budget).memory_bytes <= usable_bytes(budget):
            return "more would leave too few steps in the hours given, even with the smallest patch"
        return "more do not fit the memory, even with the smallest patch"
    if size.batch == fewest:
        return "the smallest batch with a steady gradient: patch, width and steps are worth more"
    return "patch, width and steps have what they want; more patches per step steady the gradient"


def _measured(task: Task, rung: Rung, batch: int, budget: Budget) -> Size:
    aim = schedule.ambition(budget)
    network = unet(
        rung.patch,
        task.patch_spacing_mm,
        channels=task.channels,
        heads=task.heads,
        width=rung.width,
        most_stages=aim.most_stages[task.dimension],
    )
    if budget.preset in aim.residual:
        network = with_residual_encoder(network)
    return _priced(task, network, rung.patch, batch, budget)


def _priced(task: Task, network: NetworkPlan, patch: tuple[int, ...], batch: int, budget: Budget) -> Size:
    inference_s = cost.case_inference_s(network, patch, task.edges, budget)
    return _with_batch(task, Size(patch, network, batch, 0, math.inf, inference_s), batch, budget)


def _with_batch(task: Task, size: Size, batch: int, budget: Budget) -> Size:
    return replace(
        size,
        batch=batch,
        memory_bytes=training_bytes(size.network, size.patch, batch, budget.precision, kind=task.kind),
        step_s=cost.step_s(size.network, size.patch, batch, budget),
    )


def _lowest(task: Task, rung: Rung, limit: Literal["image", "memory", "time"], budget: Budget) -> Size:
    """The lowest rung, with fewer samples if memory forces it."""
    network = _measured(task, rung, 1, budget).network
    what = f"the smallest network (patch {times(rung.patch)}, {rung.width} features, batch 1)"
    return replace(of_network(task, network, rung.patch, budget, what), limit=limit, next_rung="the lowest rung")


def of_network(
    task: Task, network: NetworkPlan, patch: tuple[int, ...], budget: Budget, what: str = "the network, with batch 1,"
) -> Size:
    """The size of a network that is given, with fewer samples if memory forces it.

    Args:
        task: What it has to solve.
        network: The network.
        patch: Its patch.
        budget: The machine.
        what: What to call it where it does not fit.

    Raises:
        InfeasibleBudget: Not even one sample fits the memory.
    """
    fewest = schedule.ambition(budget).fewest_samples[task.dimension]
    for batch in range(fewest, 0, -1):
        size = _priced(task, network, patch, batch, budget)
        if size.memory_bytes <= usable_bytes(budget):
            return size
    smallest_bytes = _memory_for(size.memory_bytes, budget)
    raise InfeasibleBudget(
        f"{task.name}: {what} needs "
        f"{size.memory_bytes / 1e9:.2f} GB to train, but only {usable_bytes(budget) / 1e9:.2f} GB of the "
        f"{budget.memory_bytes / 1e9:.2f} GB free on {budget.device} may be used; give at least "
        f"{gb_up(smallest_bytes)}: free memory or choose another device",
        smallest_bytes=smallest_bytes,
    )


def _memory_for(needed: int, budget: Budget) -> int:
    """The least ``memory_bytes`` of which a plan may fill ``needed`` bytes."""

    def usable(free: int) -> int:
        return usable_bytes(budget.model_copy(update={"memory_bytes": free}))

    return bisect_left(range(2**62), needed, key=usable)
