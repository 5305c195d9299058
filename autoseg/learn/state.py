"""Everything that changes while a job trains, in one place, so that it can be saved and brought back whole."""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.optim import swa_utils

from autoseg.learn import networks
from autoseg.learn.collapse import Watch
from autoseg.learn.energy import Spent
from autoseg.learn.monitor import Look
from planners.contracts import NetworkPlan, TrainingPlan

CURVE_POINTS = 200
"""Most points of the learning curve that a job keeps."""


@dataclass(frozen=True)
class Point:
    """A stretch of training, averaged."""

    step: int
    seconds: float
    loss: float
    learning_rate: float


@dataclass
class Average:
    """The stretch of the learning curve that is being filled."""

    loss: float = 0.0
    rate: float = 0.0
    count: int = 0


@dataclass(frozen=True)
class Outcome:
    """What a step gave.

    Attributes:
        loss: Of the whole batch; NaN if the weights were left as they are.
        drawn: Some voxel of the batch is annotated as foreground.
        found: The network saw foreground somewhere in it.
    """

    loss: float
    drawn: bool
    found: bool


@dataclass
class TrainingState:
    """Network, optimizer, averaged weights and counters of one job.

    Attributes:
        step: Steps done since the last start.
        share: How much of the job is done, from 0 to 1.
        skipped: Steps that gave no finite number, and ``strikes`` how many of them came in a row.
        rate_factor: Of the planned learning rate; 1, and less each time training diverged or collapsed.
        pieces: Parts that a batch is computed in, since as a whole it did not fit into memory.
        restarts: How often training collapsed and began anew, the last time after ``restarted_s`` seconds.
        watch: Over collapse.
        looks: What the monitor cases scored so far.
        energy: Joules taken so far, by where the number comes from.
        layout: Which order of axes in memory the network is in, and why.
        compiling: Whether its passes are compiled, and why.
        ending: Share at which they stood still and the rest of the schedule was hastened; None: not yet.
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    average: nn.Module
    scaler: torch.amp.GradScaler
    step: int = 0
    seconds: float = 0.0
    share: float = 0.0
    waited_s: float = 0.0
    updates: int = 0
    skipped: int = 0
    strikes: int = 0
    rollbacks: int = 0
    rate_factor: float = 1.0
    pieces: int = 1
    restarts: int = 0
    restarted_s: float = 0.0
    watch: Watch = field(default_factory=Watch)
    looks: list[Look] = field(default_factory=list)
    ending: float | None = None
    energy: Spent = field(default_factory=dict)
    layout: str = "memory by the rule for this device"
    compiling: str = "not compiled"
    curve: list[Point] = field(default_factory=list)
    stretch: Average = field(default_factory=Average)

    def to_dict(self) -> dict[str, Any]:
        """Tensors and plain values only, so that it can be read back without unpickling code."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state_dict(),
            "scaler": self.scaler.state_dict(),
            "counters": {name: getattr(self, name) for name in _COUNTERS},
            "curve": [(p.step, p.seconds, p.loss, p.learning_rate) for p in self.curve],
            "stretch": (self.stretch.loss, self.stretch.rate, self.stretch.count),
            "watch": (self.watch.looks, self.watch.since),
            "energy": dict(self.energy),
            "looks": [(look.step, look.dice) for look in self.looks],
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Take over what ``to_dict`` gave, with the order that weights and what belongs to them have in memory."""
        order = networks.layout_of(saved["network"].values())
        for network in (self.network, self.average):
            networks.lay(network, order)
        self.network.load_state_dict(saved["network"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.average.load_state_dict(saved["average"])
        self.scaler.load_state_dict(saved["scaler"])
        for name in _COUNTERS:
            setattr(self, name, saved["counters"][name])
        self.curve = [Point(*values) for values in saved["curve"]]
        self.stretch = Average(*saved["stretch"])
        self.watch = Watch(*saved["watch"])
        self.energy = dict(saved["energy"])
        self.looks = [Look(step, tuple(dice)) for step, dice in saved["looks"]]

    def update_average(self, decay: float | None) -> None:
        """Move the averaged weights towards the network's.

        The decay starts low and rises as (1 + n) / (10 + n), so that the average spans about the last tenth of a short
        job and never remembers the random start.
        """
        self.updates += 1
        grown = 0.0 if decay is None else min(decay, (1 + self.updates) / (10 + self.updates))
        move = swa_utils.get_ema_multi_avg_fn(grown)  # all weights at once, which takes accelerators few kernels
        move(list(self.average.parameters()), list(self.network.parameters()), self.updates)

    def note(self, outcome: Outcome, rate: float, decay: float | None) -> None:
        """Take note of a step: average and curve where it changed the weights, or else that it was left out.

        Args:
            outcome: What the step gave.
            rate: Its learning rate.
            decay: Of the averaged weights, see ``update_average``.
        """
        self.watch.look(self.share, drawn=outcome.drawn, found=outcome.found)
        if math.isfinite(outcome.loss):
            self.strikes = 0
            self.update_average(decay)
            self._record(outcome.loss, rate)
        else:
            self.strikes += 1
            self.skipped += 1

    def _record(self, loss: float, rate: float) -> None:
        """Add a step to the learning curve; a point is closed whenever another 1/200 of the job is done."""
        stretch = self.stretch
        stretch.loss, stretch.rate, stretch.count = stretch.loss + loss, stretch.rate + rate, stretch.count + 1
        if int(self.share * CURVE_POINTS) > len(self.curve) or self.share >= 1.0:
            point = Point(self.step, self.seconds, stretch.loss / stretch.count, stretch.rate / stretch.count)
            self.curve.append(point)
            self.stretch = Average()


_COUNTERS = (
    *("step", "seconds", "share", "waited_s", "updates"),
    *("skipped", "strikes", "rollbacks", "rate_factor", "pieces", "restarts", "restarted_s", "ending"),
    *("layout", "compiling"),
)


def fresh(
    network_plan: NetworkPlan,
    plan: TrainingPlan,
    device: torch.device,
    seed: int,
    initial: Mapping[str, torch.Tensor] | None = None,
) -> TrainingState:
    """The state before the first step; weights are drawn from ``seed`` unless they are given."""
    built = networks.build(network_plan, seed)
    if initial is not None:
        built.load_state_dict(dict(initial))
    network = networks.place(built, device, network_plan.dimension)
    scaler = torch.amp.GradScaler(device.type, enabled=plan.precision == "fp16", init_scale=2.0**12)
    return TrainingState(network, _optimizer(network, plan), copy.deepcopy(network).requires_grad_(False), scaler)


def _optimizer(network: nn.Module, plan: TrainingPlan) -> torch.optim.Optimizer:
    """Fused where it can be: one pass over each weight, which halves the update of small networks."""
    parameters = list(network.parameters())
    fused = parameters[0].device.type in ("cpu", "cuda")
    if plan.optimizer == "adamw":
        return torch.optim.AdamW(parameters, plan.learning_rate, weight_decay=plan.weight_decay, fused=fused)
    nesterov = plan.momentum > 0
    return torch.optim.SGD(
        parameters, plan.learning_rate, plan.momentum, weight_decay=plan.weight_decay, nesterov=nesterov, fused=fused
    )
