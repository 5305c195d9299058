"""What a plan predicts, held against a dry run of each configuration in a fresh process."""

from statistics import median

import torch

from autoseg.contracts import DryRun, LabelSet
from autoseg.events import Event, Notify, silent
from autoseg.learn.dryrun import dry_run_apart
from planners.contracts import Configuration, Plan


def verify(plan: Plan, labels: LabelSet, device: str, notify: Notify = silent) -> tuple[DryRun, ...]:
    """Train every configuration for a few steps on noise: forward, backward, update.

    Args:
        plan: What to try.
        labels: Say what the networks' heads mean.
        device: Where to train, as in the budget.
        notify: Told of each configuration.

    Raises:
        ResourceError: One takes more memory than there is.
    """
    return tuple(_tried(configuration, labels, torch.device(device), notify) for configuration in plan.configurations)


def _tried(configuration: Configuration, labels: LabelSet, device: torch.device, notify: Notify) -> DryRun:
    notify(Event(stage="plan", what="note", detail=f"a dry run of {configuration.name}"))
    made = dry_run_apart(configuration.network, configuration.training, labels.members, device)
    return DryRun(
        configuration=configuration.name,
        predicted_bytes=configuration.cost.memory_bytes,
        measured_bytes=made.memory_bytes,
        predicted_step_s=configuration.cost.step_s,
        measured_step_s=median(made.steps_s[1:]),
    )
