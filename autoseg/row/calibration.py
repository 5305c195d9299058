"""The budget: the machine as measured, what the user allows, and how far the first plan's predictions were off.

The planner predicts seconds per step from a few measured convolutions. The networks of its first draft are then really
trained for a few steps on noise; the ratio corrects every later prediction.
"""

import itertools
from pathlib import Path
from statistics import median

import torch

from autoseg.contracts import LabelSet, Settings
from autoseg.events import Event, Notify
from autoseg.learn import device as machine
from autoseg.learn import speed
from autoseg.learn.dryrun import dry_run
from planners import registry
from planners.contracts import Budget, Configuration, Fingerprint, Wishes

STEPS = 12
WARM_UP = 3
"""First steps, in which libraries choose their kernels; not counted."""
LONGEST_S = 25.0
"""A step that takes seconds needs no more of them to be timed."""


def calibrate(
    fingerprint: Fingerprint,
    labels: LabelSet,
    settings: Settings,
    wishes: Wishes,
    folds: int,
    folder: Path,
    notify: Notify,
) -> Budget:
    """Measure the machine and correct the planner's predictions for it.

    Args:
        fingerprint: What the draft is planned for.
        labels: Say what the networks' heads mean.
        settings: Device, hours, preset.
        wishes: What is not left to the planner.
        folds: Jobs per configuration.
        folder: On the disk that the run will fill.
        notify: Told of what is measured.
    """
    device = machine.resolve(settings.device)
    notify(Event(stage="budget", what="note", detail=f"measuring {device}"))
    accelerators = 1 + len(machine.others(settings.device))
    budget = speed.measure(device, folder, accelerators).model_copy(
        update={
            "preset": settings.preset,
            "hours": settings.hours,
            "folds": folds,
            "deterministic": settings.deterministic,
            "device_gb": settings.device_gb,
        }
    )
    if settings.device_gb is not None:
        budget = budget.model_copy(update={"memory_bytes": int(settings.device_gb * 1e9)})
    draft = registry.plan(fingerprint, budget, settings.planner, wishes)
    if not draft.trainable:
        return budget
    machine.prepare(device, settings.deterministic)
    ratios = []
    for configuration in draft.configurations:
        measured_s = step_s(configuration, labels, device, notify)
        ratios.append(measured_s / configuration.cost.step_s)
        detail = f"{configuration.name}: {measured_s:.3f} s per step, {configuration.cost.step_s:.3f} s predicted"
        notify(Event(stage="budget", what="note", detail=detail))
    return budget.model_copy(update={"step_time_correction": budget.step_time_correction * median(ratios)})


def step_s(configuration: Configuration, labels: LabelSet, device: torch.device, notify: Notify) -> float:
    """Seconds of one training step of a configuration, measured on noise with the real loop."""
    training = configuration.training.model_copy(update={"steps": STEPS, "seconds": LONGEST_S})
    if device.type != "cpu":  # kernels are loaded and tried out, which may take as long as all steps are given
        first = training.model_copy(update={"steps": 1, "seconds": None})
        dry_run(configuration.network, first, labels.members, device)
    done = itertools.count(1)

    def tell() -> None:
        notify(Event(stage="budget", done=next(done), total=STEPS, unit="step", detail=configuration.name))

    steps_s = dry_run(configuration.network, training, labels.members, device, on_step=tell).steps_s
    return median(steps_s[WARM_UP:] or steps_s[-1:])
