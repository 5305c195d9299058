"""Going on after training went wrong: back to the last checkpoint where it diverged, a new start where it collapsed.

Both lower the learning rate. Neither is silent: whoever asked for the training is told, and the record counts them.
"""

import torch

from autoseg.errors import ResourceError
from autoseg.learn.collapse import LATEST
from autoseg.learn.saving import Saver, Store, restore
from autoseg.learn.state import TrainingState, fresh
from autoseg.learn.task import Task

ROLLBACKS = 4
"""Times training goes back before it gives up."""
RESTARTS = 2
"""Times training begins anew before a network that sees nothing is kept, and said to be one."""
ROLLBACK_RATE = 0.5
"""Of the learning rate so far, after divergence."""
RESTART_RATE = 0.3
"""Of the learning rate so far, after a collapse."""


class DivergedError(Exception):
    """Several steps in a row gave no finite number."""


class CollapsedError(Exception):
    """The network calls everything background."""


def started(task: Task, store: Store, device: torch.device) -> TrainingState:
    """The newest checkpoint that is whole and belongs to this task, or a fresh start."""
    state = fresh(task.network, task.training, device, task.seed, task.initial)
    restore(store, task.key, state)
    return state


def rolled_back(
    task: Task, store: Store, state: TrainingState, device: torch.device, diverged: DivergedError
) -> TrainingState:
    """The last checkpoint with half the learning rate.

    Raises:
        ResourceError: That was done too often already.
    """
    if state.rollbacks >= ROLLBACKS:
        raise ResourceError(
            f"{task.name}: {diverged}, also at {state.rate_factor:g} of the planned learning rate "
            f"{task.training.learning_rate:g}; training cannot go on. Check the images for extreme intensities, "
            "or train with precision fp32 or a lower learning rate"
        )
    earlier = started(task, store, device)
    earlier.rollbacks, earlier.rate_factor = state.rollbacks + 1, state.rate_factor * ROLLBACK_RATE
    earlier.seconds, earlier.skipped, earlier.strikes = state.seconds, state.skipped, 0
    earlier.energy = state.energy
    return earlier


def worth_restarting(state: TrainingState) -> bool:
    """Whether the network collapsed, at a time when a new start can still help."""
    return state.restarts < RESTARTS and state.share <= LATEST and state.watch.collapsed(state.share)


def restarted(task: Task, store: Store, state: TrainingState, device: torch.device) -> TrainingState:
    """Other first weights and less than a third of the learning rate, in the time that is left; saved, so that nothing
    goes on from the collapsed ones.
    """
    anew = fresh(task.network, task.training, device, task.seed + state.restarts + 1, task.initial)
    anew.restarts, anew.rate_factor = state.restarts + 1, state.rate_factor * RESTART_RATE
    anew.seconds = anew.restarted_s = state.seconds
    anew.waited_s, anew.pieces, anew.energy = state.waited_s, state.pieces, state.energy
    anew.skipped, anew.rollbacks = state.skipped, state.rollbacks
    Saver(store, task.key, 0.0).save(anew)
    return anew
