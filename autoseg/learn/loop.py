"""The training loop, top to bottom: read a batch, take a step, average the weights, note, save, until time is up.

A job is a function of its plans, its data and its seed. It can be stopped between any two steps and goes on from its
last checkpoint; without a time limit an interrupted job ends with the same bits as an unbroken one.
"""

import contextlib
import hashlib
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

import torch
from torch import Tensor, nn

from autoseg.errors import Interrupted, ResourceError
from autoseg.events import Event, Notify, silent
from autoseg.learn import checkpoint, memory, networks
from autoseg.learn.device import autocast
from autoseg.learn.loader import Batches, PatchSource
from autoseg.learn.losses import LOSSES, coarsen, supervision_weights
from autoseg.learn.schedule import learning_rate, progress
from autoseg.learn.state import Point, TrainingState, fresh
from planners.contracts import NetworkPlan, TrainingPlan

STRIKES = 3
"""Steps in a row without a finite loss before training goes back to the last checkpoint."""
ROLLBACKS = 4
"""Times it goes back before it gives up."""
LONGEST_INTERVAL_S = 300.0
"""Between two checkpoints, however long writing takes."""
WRITING_SHARE = 0.01
"""Of the time that may go into checkpoints."""


@dataclass(frozen=True)
class Task:
    """One training job.

    Attributes:
        network: What to train.
        training: How. Its ``seconds`` count from this start on, whatever the job has worked before.
        seed: Of weights, sampling and augmentation.
        name: Stands in events and messages.
    """

    network: NetworkPlan
    training: TrainingPlan
    seed: int
    name: str = "train"

    @property
    def key(self) -> str:
        """Identifies what a checkpoint belongs to. The time limit may change between restarts."""
        choices = self.training.model_copy(update={"seconds": None, "checkpoint_s": 0.0})
        text = f"{self.network.model_dump_json()}{choices.model_dump_json()}{self.seed}"
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Store:
    """Where checkpoints go. ``load`` gives the saved generations, newest first; ``save`` makes one atomically of what
    the function that it is given writes.
    """

    load: Callable[[], Iterable[bytes]]
    save: Callable[[Callable[[BinaryIO], None]], None]


@dataclass(frozen=True)
class Trained:
    """The outcome of a job. ``weights`` are the averaged ones, on the CPU, contiguous float32."""

    weights: dict[str, Tensor]
    steps: int
    seconds: float
    data_wait_share: float
    skipped: int
    curve: tuple[Point, ...]


def train(task: Task, source: PatchSource, store: Store, device: torch.device, notify: Notify = silent) -> Trained:
    """Train a network to the end of its plan, from its last checkpoint if there is one.

    Args:
        task: Network, schedule and seed.
        source: The cases to train on.
        store: Where to keep checkpoints.
        device: Where to train.
        notify: Called after every step; may raise ``Interrupted``.

    Raises:
        Interrupted: From ``notify``; everything is saved.
        ResourceError: Training diverged again and again.
    """
    with memory.recycling():
        return _train(task, source, store, device, notify)


def _train(task: Task, source: PatchSource, store: Store, device: torch.device, notify: Notify) -> Trained:
    state = _start(task, store, device)
    task = _from_now_on(task, state)
    while state.share < 1.0:
        try:
            _run(task, source, store, state, device, notify)
        except _DivergedError as diverged:
            state = _roll_back(task, store, state, device, diverged)
            detail = f"{diverged}; back to step {state.step} at {state.rate_factor:g} of the learning rate"
            notify(Event(stage=task.name, what="warning", done=state.step, unit="step", detail=detail))
    weights = {name: value.detach().cpu().contiguous() for name, value in state.average.state_dict().items()}
    return Trained(
        weights, state.step, state.seconds, _share(state.waited_s, state.seconds), state.skipped, tuple(state.curve)
    )


def _from_now_on(task: Task, state: TrainingState) -> Task:
    """The task with its time limit counted from the job's first start; a finished job gets no more time."""
    seconds = task.training.seconds
    if seconds is None:
        return task
    limit_s = state.seconds + (seconds if state.share < 1.0 else 0.0)
    return replace(task, training=task.training.model_copy(update={"seconds": limit_s}))


class _DivergedError(Exception):
    """Several steps in a row gave no finite number."""


def _run(
    task: Task, source: PatchSource, store: Store, state: TrainingState, device: torch.device, notify: Notify
) -> None:
    """Step until the job is done. All else in this module serves these lines."""
    plan = task.training
    clock, saver = _Clock(state.seconds), _Saver(task, store, plan.checkpoint_s)
    waited_before = state.waited_s
    with Batches(source, plan, device, task.seed, state.step) as batches, _saving_when_interrupted(saver, state):
        while state.share < 1.0:
            rate = learning_rate(plan, state.share) * state.rate_factor
            images, classes = batches.next()
            loss = _step(task, source, state, images, classes, rate)
            state.step += 1
            state.seconds, state.waited_s = clock.seconds(), waited_before + batches.waited_s
            state.share = progress(plan, state.step, state.seconds)
            if math.isfinite(loss):
                state.update_average(plan.ema_decay)
                state.record(loss, rate)
            elif state.strikes >= STRIKES:
                raise _DivergedError(f"the loss was not a finite number {STRIKES} times in a row at step {state.step}")
            saver.save_if_due(state)
            notify(_event(task, state, loss))
        saver.save(state)


def _step(task: Task, source: PatchSource, state: TrainingState, images: Tensor, classes: Tensor, rate: float) -> float:
    """One update of the weights; returns the loss, or a non-finite number if the update was left out."""
    plan = task.training
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    images = images.contiguous(memory_format=networks.layout(images.device, task.network.dimension))
    with autocast(images.device, plan.precision):
        outputs = _outputs(state.network, images, task.network.deep_supervision)
    loss = _loss(task, source, outputs, classes)
    state.scaler.scale(loss).backward()
    state.scaler.unscale_(state.optimizer)
    norm = nn.utils.clip_grad_norm_(state.network.parameters(), plan.gradient_clip)
    value = float(loss.detach())
    if math.isfinite(value) and (plan.precision == "fp16" or bool(torch.isfinite(norm))):
        state.scaler.step(state.optimizer)  # with fp16 it leaves out steps with overflowing gradients by itself
        state.strikes = 0
    else:
        value = math.nan
        state.strikes += 1
        state.skipped += 1
    state.scaler.update()
    state.optimizer.zero_grad(set_to_none=True)  # now, so that nobody keeps gradients while saving or reading ahead
    return value


def _outputs(network: nn.Module, images: Tensor, deep: bool) -> list[Tensor]:
    return network.forward_deep(images) if deep else [network(images)]  # type: ignore[operator]


def _loss(task: Task, source: PatchSource, outputs: list[Tensor], classes: Tensor) -> Tensor:
    loss = LOSSES[task.training.loss]
    total = torch.zeros((), device=classes.device)
    weights = supervision_weights(len(outputs))
    for weight, output, scale in zip(weights, outputs, networks.scales(task.network), strict=False):
        target = coarsen(classes, scale)
        total = total + weight * loss(output, target, batch_dice=task.training.batch_dice, members=source.members)
    return total


# ------------------------------------------------------------------------------------------------- starting, saving


def _start(task: Task, store: Store, device: torch.device) -> TrainingState:
    """The newest checkpoint that is whole and belongs to this task, or a fresh start."""
    state = fresh(task.network, task.training, device, task.seed)
    for sealed in store.load():
        with contextlib.suppress(checkpoint.DamagedCheckpointError):
            saved = checkpoint.unseal(sealed)
            if saved["key"] == task.key:
                state.restore(saved["state"])
                return state
    return state


def _roll_back(
    task: Task, store: Store, state: TrainingState, device: torch.device, diverged: _DivergedError
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
    earlier = _start(task, store, device)
    earlier.rollbacks, earlier.rate_factor = state.rollbacks + 1, state.rate_factor / 2
    earlier.seconds, earlier.skipped, earlier.strikes = state.seconds, state.skipped, 0
    return earlier


class _Clock:
    """Seconds worked, on top of those before the last restart."""

    def __init__(self, before: float) -> None:
        self._before, self._started = before, time.monotonic()

    def seconds(self) -> float:
        return self._before + time.monotonic() - self._started


class _Saver:
    """Writes checkpoints, at most every ``interval_s`` and so that writing takes at most 1 % of the time."""

    def __init__(self, task: Task, store: Store, interval_s: float) -> None:
        self._task, self._store, self._shortest = task, store, interval_s
        self._interval, self._last = interval_s, time.monotonic()

    def save_if_due(self, state: TrainingState) -> None:
        if time.monotonic() - self._last >= self._interval:
            self.save(state)

    def save(self, state: TrainingState) -> None:
        started = time.monotonic()
        sealed = {"key": self._task.key, "state": state.to_dict()}
        self._store.save(lambda file: checkpoint.seal(sealed, file))
        self._last = time.monotonic()
        rare = min((self._last - started) / WRITING_SHARE, LONGEST_INTERVAL_S)
        self._interval = max(self._shortest, rare)


@contextlib.contextmanager
def _saving_when_interrupted(saver: _Saver, state: TrainingState) -> Iterator[None]:
    try:
        yield
    except Interrupted:
        saver.save(state)
        raise


def _event(task: Task, state: TrainingState, loss: float) -> Event:
    total = state.step / state.share if state.share > 0 else task.training.steps
    return Event(stage=task.name, done=state.step, total=round(total), unit="step", detail=f"loss {loss:.3f}")


def _share(part: float, whole: float) -> float:
    return min(1.0, part / whole) if whole > 0 else 0.0
