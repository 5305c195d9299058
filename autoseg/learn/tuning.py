"""How a job's steps are computed fastest, tried on its own network, patch and batch before the first step.

Tried are both orders of axes in memory and, on CUDA devices, compiling. What is chosen changes results by rounding
only, but it depends on the moment: a job that must be repeatable bit for bit is not tuned and follows
``networks.layout``. The order is kept for as long as the job lasts, interrupted or not, since checkpoints hold the
weights in it; compiling is tried anew at each start. ``benchmarks/results/train_step.md`` has what it would gain on a
CPU.
"""

import math
import time
from collections.abc import Sequence
from functools import partial

import torch

from autoseg.learn import memory, networks
from autoseg.learn.compilation import judged
from autoseg.learn.schedule import left_s
from autoseg.learn.state import TrainingState
from autoseg.learn.step import Update
from autoseg.learn.trials import Batch, gradient_s, noise

LAYOUT_S = 2.0
"""Spent on orders of axes; more where ``TURNS`` take longer."""
TURNS = 3
"""Least steps in each order; the first only warms up."""
LAYOUT_SHARE = 0.01
"""Of the job, that they may cost."""
CLEARLY = 0.97
"""Of the time in the usual order, that the other must stay below."""
FIRST_STEPS = 2
"""That tell how long one takes, of which the faster counts: in the first, accelerators load and try out kernels."""
COMPILING_S = 1800.0
"""Least that must be left of a job for compiling to be tried: each mode takes a minute or two."""
MODES = ("default", "reduce-overhead")
"""Of ``torch.compile``, the second with CUDA graphs. Each is tried once the one before it paid."""

_NAMES = {torch.contiguous_format: "channels first", torch.channels_last: "channels last"}
_NAMES[torch.channels_last_3d] = _NAMES[torch.channels_last]


def tuned(update: Update, state: TrainingState, device: torch.device) -> Update:
    """The fastest way to make a job's updates.

    Args:
        update: How to make them.
        state: Its network is brought into the chosen order; ``layout`` and ``compiling`` say what was chosen and why;
            its clock counts the time that this took.
        device: Where it is.
    """
    began = time.monotonic()
    batch = noise(update, device)
    if state.step == 0:
        state.layout = _laid(update, state, batch)
    update, state.compiling = _compiled(update, state, batch)
    state.seconds += time.monotonic() - began
    return update


# ---------------------------------------------------------------------------------------------------------- layout


def _laid(update: Update, state: TrainingState, batch: Batch) -> str:
    """Bring the network into its fastest order of axes, the leader's where a team trains it; says which and why."""
    usual = networks.layout(batch[0].device, update.network.dimension)
    orders = sorted(networks.LAYOUTS[update.network.dimension], key=lambda order: order != usual)
    seconds = _tried(update, state, batch, orders)
    other = bool(seconds) and seconds[1] < CLEARLY * seconds[0]
    chosen = orders[int(update.team.agree(float(other), batch[0].device))]
    for network in (state.network, state.average):
        networks.lay(network, chosen)
    times = [f"{_told(s)} with {_NAMES[order]}" for s, order in zip(seconds, orders, strict=False)]
    return f"{_NAMES[chosen]} in memory ({', '.join(times) or 'the rule for this device, as nothing else was tried'})"


def _told(step_s: float) -> str:
    return f"{step_s:.4f} s per step" if math.isfinite(step_s) else "too much memory"


def _tried(update: Update, state: TrainingState, batch: Batch, orders: Sequence[torch.memory_format]) -> list[float]:
    """Seconds of a step in each order; none where memory is short, or the job, as a step in the usual order tells.

    Nor on devices other than CPUs and GPUs: their libraries know one order in three dimensions.
    """
    if batch[0].device.type not in ("cpu", "cuda"):
        return []
    first_s = _first_s(update, state, batch)
    if first_s is None or len(orders) * TURNS * first_s > LAYOUT_SHARE * _left_s(update, state, first_s):
        return []
    return _seconds(update, state, batch, orders)


def _seconds(update: Update, state: TrainingState, batch: Batch, orders: Sequence[torch.memory_format]) -> list[float]:
    """The same, once they are to be tried; they take turns, so that other work on the machine slows all of them."""
    began, seconds, turn = time.monotonic(), [math.inf] * len(orders), 0
    while turn < TURNS or time.monotonic() - began < LAYOUT_S:
        for index, order in enumerate(orders):
            networks.lay(state.network, order)
            step_s = _affordable_s(update, state, batch) or math.inf
            seconds[index] = min(seconds[index], step_s) if turn > 0 else math.inf
        turn += 1
    return seconds


def _affordable_s(update: Update, state: TrainingState, batch: Batch, repeats: int = 1) -> float | None:
    """Seconds of a step; None where a whole batch does not fit into memory."""
    if state.pieces > 1:
        return None
    try:
        return gradient_s(update, state, batch, repeats)
    except (RuntimeError, MemoryError) as error:
        if not memory.exhausted(error):
            raise
    state.optimizer.zero_grad(set_to_none=True)
    memory.give_back(batch[0].device)
    return None


def _first_s(update: Update, state: TrainingState, batch: Batch) -> float | None:
    """The same, where it may be the first step of all."""
    return _affordable_s(update, state, batch, 1 if batch[0].device.type == "cpu" else FIRST_STEPS)


# ------------------------------------------------------------------------------------------------------- compiling


def _compiled(update: Update, state: TrainingState, batch: Batch) -> tuple[Update, str]:
    """The update with its passes compiled where that pays, and what was found."""
    if batch[0].device.type != "cuda":
        return update, "not compiled, which gains too little but on CUDA devices"
    step_s = _first_s(update, state, batch)
    if step_s is None:
        return update, "not compiled, as batches are computed in parts for want of memory"
    if _left_s(update, state, step_s) < COMPILING_S:
        return update, "not compiled, as too little is left of the job for that to pay"
    said = []
    for mode in MODES:
        attempt = judged(
            update, state, batch, partial(_left_s, update, state), partial(torch.compile, dynamic=False, mode=mode)
        )
        said.append(f"compiling ({mode}) {attempt.because}")
        if attempt.update is update:
            break
        update = attempt.update
    return update, ", ".join(said)


def _left_s(update: Update, state: TrainingState, step_s: float) -> float:
    return left_s(update.plan, state.step, state.seconds - state.restarted_s, step_s)
