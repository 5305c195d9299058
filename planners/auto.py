"""The planner ``auto``: the rules of this package composed into one plan.

First what to train on (normalization, order of axes), then which configurations and how large they may be
(``views``), then each one's schedule. Every step adds its reason.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from planners import axes, cascade, finetune, intensity, schedule, topology, views
from planners import size as sizing
from planners import spacing as spacings
from planners.augmentation import augmentation
from planners.contracts import (
    NO_WISHES,
    Axes,
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
    Wishes,
)
from planners.errors import InfeasibleBudget
from planners.memory import planned_bytes
from planners.size import Size, Task
from planners.views import Sized


def plan(fingerprint: Fingerprint, budget: Budget, wishes: Wishes = NO_WISHES) -> Plan:
    """Plan the configurations that data, preset and budget call for.

    Raises:
        InfeasibleBudget: Memory or hours do not allow even the smallest network.
        ImpossibleWish: The data do not allow what was asked for.
    """
    normalization, reasons = intensity.normalization(fingerprint)
    order, why_order = axes.working_axes(fingerprint)
    if wishes.like is not None:
        order, normalization = wishes.like.axes, finetune.normalization(wishes.like, normalization)
    fingerprint = axes.reordered(fingerprint, order)
    if wishes.spacing_mm is not None:
        z_mm, y_mm, x_mm = (wishes.spacing_mm[axis] for axis in order or axes.AS_THEY_ARE)
        fingerprint = spacings.as_if(fingerprint, (z_mm, y_mm, x_mm))
    sized, skipped = _sized(fingerprint, budget, wishes)
    other_s = sizing.other_s(sized, budget)
    folds, why_folds = _folds(sized, other_s, fingerprint, budget, wishes)
    budget = budget.model_copy(update={"folds": folds})
    seconds = schedule.job_seconds(budget, other_s, folds * len(sized))
    sized = [(task, _with_batch(task, size, seconds, budget)) for task, size in sized]
    _refuse_hopeless_hours(sized, seconds, other_s, budget, wishes)
    parts = [_configuration(task, size, seconds, normalization, order, fingerprint, budget) for task, size in sized]
    if wishes.like is not None:
        parts = [_gentler(configuration, own) for configuration, own in parts]
    configurations = tuple(configuration for configuration, _ in parts)
    training_s = sum(
        schedule.rounds(budget, budget.folds) * configuration.cost.fold_training_s for configuration in configurations
    )
    return Plan(
        planner="auto",
        configurations=configurations,
        skipped=skipped,
        reasons=(
            *reasons,
            _as_asked(why_order, wishes),
            why_folds,
            sizing.precision_reason(budget),
            *(_skipped_reason(item) for item in skipped),
            *(_as_asked(reason, wishes) for _, own in parts for reason in own),
        ),
        predicted_hours=(training_s + other_s) / 3600,
        folds=folds,
    )


def _sized(fingerprint: Fingerprint, budget: Budget, wishes: Wishes) -> tuple[list[Sized], tuple[Skipped, ...]]:
    if wishes.like is None:
        return views.choose(fingerprint, budget, wishes.configurations)
    because = f"training starts from a model of {wishes.like.name}"
    skipped = tuple(Skipped(configuration=n, because=because) for n in views.NAMES if n != wishes.like.name)
    return [finetune.sized(wishes.like, fingerprint, budget)], skipped


def _gentler(configuration: Configuration, own: tuple[Reason, ...]) -> tuple[Configuration, tuple[Reason, ...]]:
    training, reason = finetune.gentler(configuration.training)
    named = _about(configuration.name, (reason,))
    return configuration.model_copy(update={"training": training}), (*own, *named)


def _folds(
    sized: Sequence[Sized], other_s: float, fingerprint: Fingerprint, budget: Budget, wishes: Wishes
) -> tuple[int, Reason]:
    """How often the cases are divided. Sizes are chosen before, so that fewer folds buy steps and nothing else."""
    jobs = [(task.dimension, size.step_s) for task, size in sized]
    all_s = schedule.job_seconds(budget, other_s, 1)
    folds = budget.folds if wishes.folds is not None else schedule.affordable_folds(budget, all_s, jobs)
    if wishes.folds is not None:
        because = "asked for"
    elif folds < budget.folds:
        because = "in more folds a network would train too few steps in the hours given"
    else:
        because = "each network learns from most cases, every case is predicted by one that never saw it"
    return folds, Reason(
        rule="schedule.folds",
        saw=f"{len(fingerprint.cases)} cases; {all_s / 3600:.3g} h to train"
        if all_s < math.inf
        else f"{len(fingerprint.cases)} cases",
        chose=f"{folds} folds",
        because=because,
        source="benchmarks/results/folds.md",
    )


def _configuration(
    task: Task,
    size: Size,
    seconds: float,
    normalization: tuple[Normalization, ...],
    order: Axes | None,
    fingerprint: Fingerprint,
    budget: Budget,
) -> tuple[Configuration, tuple[Reason, ...]]:
    """One configuration whose size and seconds per job are decided."""
    training, reasons = _training(task, size, seconds, order, fingerprint, budget)
    size = replace(size, memory_bytes=planned_bytes(size.network, training, fingerprint.kind))
    configuration = Configuration(
        name=task.name,
        dimension=task.dimension,
        axes=order,
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
        previous_stage=cascade.previous_stage(task.name),
    )
    shape = topology.reason(size.network, size.patch, task.patch_spacing_mm)
    all_reasons = (
        views.target(task.name, fingerprint)[1],
        *sizing.reasons(task, size, budget),
        shape,
        *cascade.reasons(task.name, training.augmentation.masks),
        *reasons,
    )
    return configuration, tuple(_about(task.name, all_reasons))


def _training(
    task: Task,
    size: Size,
    seconds: float,
    order: Axes | None,
    fingerprint: Fingerprint,
    budget: Budget,
) -> tuple[TrainingPlan, tuple[Reason, ...]]:
    steps = schedule.steps_within(seconds, size.step_s, budget)
    if budget.hours is None:
        steps = max(steps, schedule.FEWEST_STEPS_WITHOUT_HOURS)
    depth, height, width = task.spacing_mm
    scale: Spacing = (height if depth is None else depth, height, width)
    passes = _passes(task, size, steps, fingerprint, budget)
    augmented, why_augmented = augmentation(fingerprint, task.dimension, size.patch, scale, steps, passes, order)
    augmented = augmented.model_copy(update={"masks": task.channels - len(fingerprint.channels)})
    base = TrainingPlan(
        patch_vox=size.patch,
        batch=size.batch,
        steps=steps,
        seconds=None if budget.hours is None or budget.deterministic else seconds,
        augmentation=augmented,
        precision=budget.precision,
        monitor_cases=schedule.monitor_cases(budget, fingerprint.subjects),
    )
    training, why_descent = schedule.descent(base, fingerprint, views.coverage((task, size)))
    reasons = (_time_reason(size, training, seconds, budget), *why_descent, *why_augmented)
    if training.seconds is not None:  # the clock ends the job; a machine faster than predicted is not sent home early
        training = training.model_copy(update={"steps": math.ceil(schedule.CLOCK_HEADROOM * steps)})
    return training, reasons


def _passes(task: Task, size: Size, steps: int, fingerprint: Fingerprint, budget: Budget) -> float:
    """How often each voxel of a training case is shown, on average."""
    cases = len(fingerprint.cases) * max(1, budget.folds - 1) / max(1, budget.folds)
    slices = 1 if task.dimension == 3 else task.median_shape[0]
    return steps * size.batch * views.coverage((task, size)) / max(1.0, cases * slices)


def _with_batch(task: Task, size: Size, seconds: float, budget: Budget) -> Size:
    """The size with the batch that suits what time there is."""
    return sizing.shrink_batch(task, sizing.grow_batch(task, size, seconds, budget), seconds, budget)


def _refuse_hopeless_hours(
    sized: Sequence[Sized], seconds: float, other_s: float, budget: Budget, wishes: Wishes
) -> None:
    """No plan where the slowest job would not learn something."""
    task, size = max(sized, key=lambda one: one[1].step_s)
    steps = schedule.steps_within(seconds, size.step_s, budget)
    if budget.hours is None or steps >= schedule.FEWEST_STEPS:
        return
    hours = schedule.smallest_hours(budget, size.step_s, other_s, budget.folds * len(sized))
    instead = ", or fewer folds" if wishes.folds is not None and budget.folds > schedule.FEWEST_FOLDS else ""
    raise InfeasibleBudget(
        f"{budget.hours:g} hours leave {steps} training steps for each of {budget.folds} folds of {task.name}, and "
        f"fewer than {schedule.FEWEST_STEPS} teach nothing: everything but training is predicted to take "
        f"{other_s / 3600:.2g} hours and a step {size.step_s:.2g} s; give at least {hours:g} hours{instead}",
        smallest_hours=hours,
    )


def _time_reason(size: Size, training: TrainingPlan, seconds: float, budget: Budget) -> Reason:
    hours = schedule.hours_to_plan(budget)
    most = schedule.MOST_STEPS[budget.preset]
    if hours is None:
        saw = f"no hours given; preset {budget.preset}"
        because = f"preset {budget.preset} trains {most} steps on an accelerator"
        if training.monitor_cases:
            because += f", or fewer: {training.monitor_cases} cases left out of training end it once they stand still"
    else:
        asked = "asked for" if budget.hours is not None else f"as preset {budget.preset} takes on this machine"
        saw = f"{hours:g} hours {asked}; {budget.folds} folds"
        because = (
            f"{schedule.TRAINING_SHARE:.0%} of the hours, less preprocessing, inference and report, are split equally "
            f"among the jobs: {seconds:.0f} s each, at {size.step_s:.3g} s per step"
        )
        if budget.accelerators > 1:
            because += f", on {budget.accelerators} accelerators at once"
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


def _as_asked(reason: Reason, wishes: Wishes) -> Reason:
    if wishes.like is not None:
        return finetune.kept(reason, wishes.like)
    full = reason.rule == "spacing.target" and reason.configuration != "3d_lowres"
    return spacings.asked_for(reason) if full and wishes.spacing_mm is not None else reason


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
