"""The planner ``auto``: the rules of this package composed into one plan.

First what to train on (spacing, normalization), then how large the main configuration may be, then whether a second one
can be afforded, then each one's schedule. Every step adds its reason.
"""

import math
from collections.abc import Iterable
from math import prod

from planners import intensity, schedule, topology
from planners import size as sizing
from planners import spacing as spacings
from planners.augmentation import FLAT_RATIO, augmentation
from planners.contracts import (
    Budget,
    Configuration,
    ConfigurationName,
    Cost,
    Fingerprint,
    Normalization,
    Plan,
    Reason,
    Skipped,
    Spacing,
    TrainingPlan,
)
from planners.errors import InfeasibleBudget, PlanningError
from planners.size import Size, Task
from planners.spacing import TargetSpacing

Sized = tuple[Task, Size]
NARROW = 0.25  # of the typical image: a patch that covers less sees too little of what lies around it


def plan(fingerprint: Fingerprint, budget: Budget) -> Plan:
    """Plan ``3d_fullres``, ``3d_lowres`` and ``2d`` as far as data, preset and budget call for them.

    Raises:
        InfeasibleBudget: Memory or hours do not allow even the smallest network.
        PlanningError: There is nothing to plan for.
    """
    if not fingerprint.cases:
        raise PlanningError("the fingerprint has no cases; planning needs at least one labelled case")
    normalization, reasons = intensity.normalization(fingerprint)
    sized, skipped = _configurations(fingerprint, budget)
    other_s = sizing.other_s(sized, budget)
    seconds = schedule.job_seconds(budget, other_s, budget.folds * len(sized))
    parts = [_configuration(task, size, seconds, other_s, normalization, fingerprint, budget) for task, size in sized]
    configurations = tuple(configuration for configuration, _ in parts)
    training_s = sum(budget.folds * configuration.cost.fold_training_s for configuration in configurations)
    return Plan(
        planner="auto",
        configurations=configurations,
        skipped=skipped,
        reasons=(
            *reasons,
            _precision_reason(budget),
            *(_skipped_reason(item) for item in skipped),
            *(reason for _, own in parts for reason in own),
        ),
        predicted_hours=(training_s + other_s) / 3600,
    )


def _configurations(fingerprint: Fingerprint, budget: Budget) -> tuple[list[Sized], tuple[Skipped, ...]]:
    """The main configuration, a second one if it is worth it, and what was left out."""
    if fingerprint.dimension == 2:
        flat = _task("2d", fingerprint)
        left_out = Skipped(configuration="3d_fullres", because="the images are single slices: there is no depth to see")
        return [(flat, sizing.choose(flat, budget))], (left_out,)
    volume = _task("3d_fullres", fingerprint)
    main = (volume, sizing.choose(volume, budget))
    low = _whole_view(main, fingerprint, budget)
    if low is not None:
        size = main[1]
        narrow = (
            f"in the time given a patch would be {sizing.times(size.patch)} voxels, {_coverage(main):.0%} of a typical "
            f"image; at low resolution it is {_coverage(low):.0%}, and what a network cannot see it cannot tell apart"
        )
        dear = "time is too short for the full resolution, and for a second view all the more"
        return [low], (
            Skipped(configuration="3d_fullres", because=narrow),
            Skipped(configuration="2d", because=dear),
        )
    because = _not_called_for(fingerprint, budget)
    if because is None:
        flat = _task("2d", fingerprint)
        second = (flat, sizing.choose(flat, budget))
        because = _not_affordable(main, second, budget)
        if because is None:
            return [main, second], ()
    return [main], (Skipped(configuration="2d", because=because),)


def _whole_view(main: Sized, fingerprint: Fingerprint, budget: Budget) -> Sized | None:
    """The low resolution, where time leaves the full one a patch that sees too little; None where it does not."""
    if main[1].limit != "time" or _coverage(main) >= NARROW or spacings.target_low(fingerprint) is None:
        return None
    task = _task("3d_lowres", fingerprint)
    low = task, sizing.choose(task, budget)
    return low if _coverage(low) > _coverage(main) else None


def _coverage(sized: Sized) -> float:
    """Share of the typical image that a patch holds."""
    task, size = sized
    return min(1.0, prod(size.patch) / prod(task.patch_shape))


def _not_called_for(fingerprint: Fingerprint, budget: Budget) -> str | None:
    """Why the data and the preset do not call for ``2d`` beside ``3d_fullres``; None if they do."""
    if budget.preset == "fast":
        return "preset fast buys one configuration"
    ratio = spacings.slice_ratio(spacings.target_3d(fingerprint)[0])
    if budget.preset == "standard" and ratio < FLAT_RATIO:
        return (
            f"slices are {ratio:.2g} times as thick as pixels are wide; from {FLAT_RATIO:g} on, a network that ignores "
            "the neighbouring slices can add to one that sees them"
        )
    return None


def _not_affordable(main: Sized, second: Sized, budget: Budget) -> str | None:
    """Why the time does not allow a second configuration; None if it does."""
    if budget.preset == "standard" and main[1].limit == "time":
        return (
            f"{main[0].name} is itself limited by time ({main[1].next_rung}), and a larger network gains more than a "
            "second view"
        )
    share = schedule.ADMITTED_SHARE if budget.preset == "max" else 1.0
    seconds = schedule.job_seconds(budget, sizing.other_s((main, second), budget), 2 * budget.folds)
    for task, size in (main, second):
        steps = schedule.steps_within(seconds, size.step_s, budget)
        wanted = math.ceil(share * schedule.ambition(budget).target_steps[task.dimension])
        if steps < wanted:
            return f"with two configurations {task.name} would get {steps} steps per fold, fewer than {wanted}"
    return None


def _target(name: ConfigurationName, fingerprint: Fingerprint) -> tuple[TargetSpacing, Reason]:
    if name == "2d":
        return spacings.target_2d(fingerprint)
    low = spacings.target_low(fingerprint) if name == "3d_lowres" else None
    return low or spacings.target_3d(fingerprint)


def _task(name: ConfigurationName, fingerprint: Fingerprint) -> Task:
    target = _target(name, fingerprint)[0]
    shapes = spacings.resampled_shapes(fingerprint, target)
    return Task(
        name=name,
        dimension=2 if name == "2d" else 3,
        spacing_mm=target,
        shapes=shapes,
        median_shape=spacings.median_shape(shapes),
        channels=len(fingerprint.channels),
        heads=fingerprint.heads,
        labels=len(fingerprint.labels),
    )


def _configuration(
    task: Task,
    size: Size,
    seconds: float,
    other_s: float,
    normalization: tuple[Normalization, ...],
    fingerprint: Fingerprint,
    budget: Budget,
) -> tuple[Configuration, tuple[Reason, ...]]:
    """One configuration whose size and seconds per job are decided."""
    size = sizing.grow_batch(task, size, seconds, budget)
    training, reasons = _training(task, size, seconds, other_s, fingerprint, budget)
    configuration = Configuration(
        name=task.name,
        dimension=task.dimension,
        spacing_mm=task.spacing_mm,
        median_shape_vox=task.median_shape,
        normalization=normalization,
        network=size.network,
        training=training,
        cost=Cost(
            memory_bytes=size.memory_bytes,
            step_s=size.step_s,
            fold_training_s=min(training.steps * size.step_s, training.seconds or math.inf),
            case_inference_s=size.case_inference_s,
        ),
    )
    shape = topology.reason(size.network, size.patch, task.patch_spacing_mm)
    all_reasons = (_target(task.name, fingerprint)[1], *sizing.reasons(task, size, budget), shape, *reasons)
    return configuration, tuple(_about(task.name, all_reasons))


def _training(
    task: Task, size: Size, seconds: float, other_s: float, fingerprint: Fingerprint, budget: Budget
) -> tuple[TrainingPlan, tuple[Reason, ...]]:
    steps = _steps(task, size, seconds, other_s, budget)
    depth, height, width = task.spacing_mm
    scale: Spacing = (height if depth is None else depth, height, width)
    augmented, why_augmented = augmentation(fingerprint, task.dimension, size.patch, scale, steps)
    base = TrainingPlan(
        patch_vox=size.patch,
        batch=size.batch,
        steps=steps,
        seconds=None if budget.hours is None or budget.deterministic else seconds,
        augmentation=augmented,
        precision=budget.precision,
    )
    training, why_descent = schedule.descent(base, fingerprint, _coverage((task, size)))
    reasons = (_time_reason(size, training, seconds, budget), *why_descent, *why_augmented)
    if training.seconds is not None:  # the clock ends the job; a machine faster than predicted is not sent home early
        training = training.model_copy(update={"steps": math.ceil(schedule.CLOCK_HEADROOM * steps)})
    return training, reasons


def _steps(task: Task, size: Size, seconds: float, other_s: float, budget: Budget) -> int:
    """Steps of a job; enough to learn something, or no plan."""
    steps = schedule.steps_within(seconds, size.step_s, budget)
    if budget.hours is None:
        return max(steps, schedule.FEWEST_STEPS_WITHOUT_HOURS)
    if steps >= schedule.FEWEST_STEPS:
        return steps
    hours = schedule.smallest_hours(budget, size.step_s, other_s, budget.folds)
    raise InfeasibleBudget(
        f"{budget.hours:g} hours leave {steps} training steps for each of {budget.folds} folds of {task.name}, and "
        f"fewer than {schedule.FEWEST_STEPS} teach nothing: everything but training is predicted to take "
        f"{other_s / 3600:.2g} hours and a step {size.step_s:.2g} s; give at least {hours:g} hours, or fewer folds",
        smallest_hours=hours,
    )


def _time_reason(size: Size, training: TrainingPlan, seconds: float, budget: Budget) -> Reason:
    hours = schedule.hours_to_plan(budget)
    most = schedule.MOST_STEPS[budget.preset]
    if hours is None:
        saw = f"no hours given; preset {budget.preset}"
        because = f"preset {budget.preset} trains {most} steps on an accelerator"
    else:
        asked = "asked for" if budget.hours is not None else f"as preset {budget.preset} takes on this machine"
        saw = f"{hours:g} hours {asked}; {budget.folds} folds"
        because = (
            f"{schedule.TRAINING_SHARE:.0%} of the hours, less preprocessing, inference and report, are split equally "
            f"among the jobs: {seconds:.0f} s each, at {size.step_s:.3g} s per step"
        )
        if training.steps == most:
            because += f"; preset {budget.preset} stops at {most} steps"
        if budget.deterministic:
            because += f"; {schedule.DETERMINISTIC_SHARE:.0%} of them, since no clock may stop a deterministic run"
    return Reason(
        rule="schedule.steps",
        saw=saw,
        chose=f"{training.steps} steps per fold",
        because=because,
        source="speed measured on this machine",
    )


def _precision_reason(budget: Budget) -> Reason:
    return Reason(
        rule="network.precision",
        saw=f"{budget.device_name} ({budget.device})",
        chose=budget.precision,
        because="the fastest precision of this machine that passed a numeric self-test",
        source="measurement on this machine",
    )


def _skipped_reason(item: Skipped) -> Reason:
    return Reason(
        rule="configurations.skipped",
        configuration=item.configuration,
        saw="the data, the preset and the time at hand",
        chose=f"no {item.configuration}",
        because=item.because,
        source="design: a configuration must be worth its time",
    )


def _about(name: ConfigurationName, reasons: Iterable[Reason]) -> Iterable[Reason]:
    return (reason.model_copy(update={"configuration": name}) for reason in reasons)
