"""The training loop, top to bottom: read a batch, take a step, average the weights, note, save, until time is up.

A job is a function of its plans, its data and its seed. It can be stopped between any two steps and goes on from its
last checkpoint; without a time limit an interrupted job ends with the same bits as an unbroken one.
"""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch

from autoseg.errors import UsageError
from autoseg.events import Event, Notify, silent
from autoseg.learn import energy, memory
from autoseg.learn.cases import PatchSource
from autoseg.learn.compilation import released
from autoseg.learn.energy import Meter
from autoseg.learn.loader import Batches
from autoseg.learn.monitor import Look, Score, due, hastened, stands_still
from autoseg.learn.recovery import (
    CollapsedError,
    DivergedError,
    restarted,
    rolled_back,
    started,
    worth_restarting,
)
from autoseg.learn.sampling import drawn_cases
from autoseg.learn.saving import Saver, Store
from autoseg.learn.schedule import learning_rate, progress
from autoseg.learn.state import TrainingState
from autoseg.learn.step import Outcome, Update
from autoseg.learn.task import Surroundings, Task, Trained
from autoseg.learn.team import ALONE, Team
from autoseg.learn.tuning import tuned
from planners.contracts import TrainingPlan

__all__ = ["Store", "Task", "Trained", "train"]

STRIKES = 3
"""Steps in a row without a finite loss before training goes back to the last checkpoint."""
FORESEEN_FROM_SHARE = 0.03
"""Of a job that ends by the clock: the first steps take longest, and would promise far too few."""


def train(
    task: Task,
    source: PatchSource,
    store: Store,
    device: torch.device,
    notify: Notify = silent,
    monitor: Score | None = None,
    team: Team = ALONE,
) -> Trained:
    """Train a network to the end of its plan, from its last checkpoint if there is one.

    Args:
        task: Network, schedule and seed.
        source: The cases to train on.
        store: Where to keep checkpoints.
        device: Where to train.
        notify: Called after every step; may raise ``Interrupted``.
        monitor: Scores the averaged weights on whole volumes, so that the job can end early; None: it never does.
        team: Who else trains the same network, at the same time; alone unless said otherwise.

    Raises:
        Interrupted: From ``notify``; everything is saved.
        ResourceError: Training diverged again and again, or a single sample does not fit into memory.
        UsageError: The team has more members than a batch has samples.
        UnreadableFile, DoesNotFit: A case could not be read; everything is saved.
    """
    if team.size > task.training.batch:
        raise UsageError(
            f"{task.name}: {team.size} processes, but a batch has {task.training.batch} samples, of which each process "
            f"needs one; start at most {task.training.batch}"
        )
    around = Surroundings(source, store, device, notify, monitor, team)
    with memory.recycling():
        state = started(task, store, device)
        task = _from_now_on(task, around, state)
        while state.share < 1.0:
            try:
                _run(task, around, state)
            except DivergedError as diverged:
                state = rolled_back(task, store, state, device, diverged)
                _warn(task, state, f"{diverged}; back to step {state.step} at {_rate(state)}", notify)
            except CollapsedError as collapsed:
                state = restarted(task, store, state, device)
                _warn(task, state, f"{collapsed}; begun anew at {_rate(state)}", notify)
        return _outcome(state, device)


def _run(task: Task, around: Surroundings, state: TrainingState) -> None:
    """Step until the job is done. All else in this module serves these lines."""
    plan, saver = _since_restart(task.training, state), Saver(around.store, task.key, task.training.checkpoint_s)
    update = Update(task.network, plan, around.source.members, around.team)
    if task.tuned:
        update = tuned(update, state, around.device)
        _note(task, state, f"{state.layout}; {state.compiling}", around.notify)
    warn = partial(_warn, task, state, notify=around.notify)
    seconds, waited_s, meter = _clock(state.seconds), state.waited_s, Meter(around.device, state.energy)
    with (
        Batches(around.source, plan, around.device, task.seed, state.step, around.team, warn) as batches,
        saver.when_interrupted(state),
        released(update, around.device),
    ):
        while state.share < 1.0:
            rate = learning_rate(plan, state.share) * state.rate_factor
            images, classes = batches.next(state.share)
            outcome = update(state, images, classes, rate)
            state.step += 1
            state.seconds, state.waited_s = around.team.agree(seconds(), around.device), waited_s + batches.waited_s
            state.share = hastened(progress(plan, state.step, state.seconds - state.restarted_s), state.ending)
            state.note(outcome, rate, plan.ema_decay)
            _judge(task, around, state, outcome)
            _look(task, around, state)
            meter.look()
            saver.save_if_due(state)
            around.notify(_progress(task, state, outcome.loss))
        meter.look(last=True)
        saver.save(state)


def _judge(task: Task, around: Surroundings, state: TrainingState, outcome: Outcome) -> None:
    """Name the cases of a step that was left out, and stop where going on makes no sense.

    Raises:
        DivergedError, CollapsedError: See there.
    """
    if not math.isfinite(outcome.loss):
        cases = ", ".join(drawn_cases(around.source, task.training.batch, task.seed, state.step - 1))
        problem = f"loss or gradient at step {state.step} was not a finite number (patches of {cases})"
        if state.strikes >= STRIKES:
            raise DivergedError(f"{problem}, {STRIKES} times in a row")
        if task.training.precision != "fp16":  # whose gradients overflow now and then, and are scaled down
            _warn(task, state, f"{problem}; the step is left out", around.notify)
    if worth_restarting(state):
        raise CollapsedError(f"the network called no voxel foreground in {state.watch.looks} batches that hold some")


def _look(task: Task, around: Surroundings, state: TrainingState) -> None:
    """Now and then score the monitor cases; where they stand still, begin the ending."""
    if around.monitor is None or not due(state.looks, state.share):
        return
    state.looks.append(Look(state.step, around.watched(state.average)))
    if state.ending is None and stands_still(state.looks, state.share):
        state.ending = state.share
        detail = f"{len(state.looks[-1].dice)} monitor cases stand still: the rest of the schedule is hastened"
        _note(task, state, detail, around.notify)


# ---------------------------------------------------------------------------------------------------------- time


def _from_now_on(task: Task, around: Surroundings, state: TrainingState) -> Task:
    """The task with its time limit counted from the job's first start; a finished job gets no more time."""
    seconds = task.training.seconds
    if seconds is None:
        return task
    limit_s = around.team.agree(state.seconds + (seconds if state.share < 1.0 else 0.0), around.device)
    return replace(task, training=task.training.model_copy(update={"seconds": limit_s}))


def _since_restart(plan: TrainingPlan, state: TrainingState) -> TrainingPlan:
    """The plan with its time limit counted from the last restart, so that the schedule begins anew with it."""
    if plan.seconds is None:
        return plan
    return plan.model_copy(update={"seconds": plan.seconds - state.restarted_s})


def _clock(before: float) -> Callable[[], float]:
    """Seconds worked, on top of those before the last start."""
    started_at = time.monotonic()
    return lambda: before + time.monotonic() - started_at


# ------------------------------------------------------------------------------------------------------- telling


def _outcome(state: TrainingState, device: torch.device) -> Trained:
    return Trained(
        weights={name: value.detach().cpu().contiguous() for name, value in state.average.state_dict().items()},
        steps=state.step,
        seconds=state.seconds,
        data_wait_share=min(1.0, state.waited_s / state.seconds) if state.seconds > 0 else 0.0,
        skipped=state.skipped,
        rollbacks=state.rollbacks,
        restarts=state.restarts,
        pieces=state.pieces,
        collapsed=state.watch.collapsed(state.share),
        curve=tuple(state.curve),
        looks=tuple(state.looks),
        ended_early=state.ending is not None,
        energy=energy.parts(state.energy, device),
        execution=f"{state.layout}; {state.compiling}",
    )


def _progress(task: Task, state: TrainingState, loss: float) -> Event:
    foreseen = task.training.seconds is None or state.share >= FORESEEN_FROM_SHARE
    total = round(state.step / state.share) if foreseen else 0
    return Event(stage=task.name, done=state.step, total=total, unit="step", detail=f"loss {loss:.3f}")


def _note(task: Task, state: TrainingState, detail: str, notify: Notify) -> None:
    notify(Event(stage=task.name, what="note", done=state.step, unit="step", detail=detail))


def _warn(task: Task, state: TrainingState, detail: str, notify: Notify) -> None:
    notify(Event(stage=task.name, what="warning", done=state.step, unit="step", detail=detail))


def _rate(state: TrainingState) -> str:
    return f"{state.rate_factor:.2g} of the learning rate"
