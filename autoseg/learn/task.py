"""What a training job is, and what comes out of it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from autoseg.events import Notify
from autoseg.learn.cases import PatchSource
from autoseg.learn.energy import Part
from autoseg.learn.monitor import Look, Score
from autoseg.learn.saving import Store
from autoseg.learn.state import Point
from autoseg.learn.team import Team
from planners.contracts import NetworkPlan, TrainingPlan


@dataclass(frozen=True)
class Task:
    """One training job.

    Attributes:
        network: What to train.
        training: How. Its ``seconds`` count from this start on, whatever the job has worked before.
        seed: Of weights, sampling and augmentation.
        name: Stands in events and messages.
        initial: The first weights; None: drawn from the seed.
        tuned: Steps are computed as is fastest here and now, see ``learn.tuning``; else two such jobs give equal bits.
    """

    network: NetworkPlan
    training: TrainingPlan
    seed: int
    name: str = "train"
    initial: Mapping[str, Tensor] | None = None
    tuned: bool = False

    @cached_property
    def key(self) -> str:
        """Identifies what a checkpoint belongs to. The time limit may change between restarts."""
        choices = self.training.model_copy(update={"seconds": None, "checkpoint_s": 0.0})
        text = f"{self.network.model_dump_json()}{choices.model_dump_json()}{self.seed}"
        digest = hashlib.sha256(text.encode())
        for name, value in (self.initial or {}).items():
            digest.update(name.encode() + value.numpy().tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Surroundings:
    """Where and with what a job is trained.

    Attributes:
        source: The cases to train on.
        store: Where checkpoints are kept.
        device: Where the network is.
        notify: Called after every step; may raise ``Interrupted``.
        monitor: Scores the averaged weights on whole volumes, so that the job can end early; None: it never does.
        team: Who else trains the same network.
    """

    source: PatchSource
    store: Store
    device: torch.device
    notify: Notify
    monitor: Score | None
    team: Team

    def watched(self, network: nn.Module) -> tuple[float, ...]:
        """What the monitor cases score, as the team's leader finds; empty without any."""
        scores = () if self.monitor is None else self.monitor(network)
        return tuple(self.team.agree(score, self.device) for score in scores)


@dataclass(frozen=True)
class Trained:
    """The outcome of a job.

    Attributes:
        weights: The averaged ones, on the CPU, contiguous float32.
        steps: Done since the last start.
        seconds: Worked in all.
        data_wait_share: Of the time, spent waiting for batches.
        skipped: Steps left out because they gave no finite number.
        rollbacks: How often training diverged and went back to a checkpoint.
        restarts: How often it collapsed to background and began anew.
        pieces: Parts that batches had to be computed in for want of memory.
        collapsed: The network still calls everything background.
        curve: The loss over the job.
        looks: What the monitor cases scored.
        ended_early: They stood still, and the rest of the schedule was hastened.
        energy: What training took, by where the numbers come from.
        execution: How steps were computed: order of axes in memory, compiled or not, and why.
    """

    weights: dict[str, Tensor]
    steps: int
    seconds: float
    data_wait_share: float
    skipped: int
    rollbacks: int
    restarts: int
    pieces: int
    collapsed: bool
    curve: tuple[Point, ...]
    looks: tuple[Look, ...]
    ended_early: bool
    energy: tuple[Part, ...]
    execution: str
