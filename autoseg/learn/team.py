"""Several processes that train one network together: each takes some samples of every batch, and gradients are added.

Every member computes the same step from the same state, so that all of them hold the same network at any time; the
first one's clock counts, and it alone saves and reports. Started by ``torchrun``, which tells each its place.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed

from autoseg.errors import UsageError

PATIENCE = timedelta(hours=2)
"""For the slowest member. The leader alone predicts the monitor cases, and tuning takes some longer than others."""
ON_GPUS = "cpu:gloo,cuda:nccl"
"""How tensors travel where there are GPUs, on which a job may train or not."""


@dataclass(frozen=True)
class Team:
    """This process's place.

    Attributes:
        rank: Its number; 0 leads.
        size: How many there are.
        seat: Its number on this machine, which is that of its accelerator.
    """

    rank: int = 0
    size: int = 1
    seat: int = 0

    @property
    def leads(self) -> bool:
        """Whether this process saves and reports."""
        return self.rank == 0

    def device(self, planned: torch.device) -> torch.device:
        """The device of this process, where one was planned for.

        Raises:
            UsageError: This machine has fewer GPUs than processes.
        """
        if self.size == 1 or planned.type != "cuda":
            return planned
        if self.seat >= torch.cuda.device_count():
            raise UsageError(
                f"process {self.seat} of this machine has no GPU of its own, as there are {torch.cuda.device_count()}; "
                f"start at most so many (torchrun --nproc-per-node={max(1, torch.cuda.device_count())})"
            )
        return torch.device("cuda", self.seat)

    def samples(self, batch: int) -> range:
        """Which samples of a batch this process computes.

        >>> list(Team(rank=1, size=2).samples(5))
        [1, 3]
        """
        return range(self.rank, batch, self.size)

    def add(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its sum over all members, in place; all members call this together."""
        if self.size == 1:
            return
        parts = list(tensors)
        together = torch.cat([part.reshape(-1).float() for part in parts])
        distributed.all_reduce(together)
        for part, total in zip(parts, together.split([part.numel() for part in parts]), strict=True):
            part.copy_(total.view_as(part))

    def agree(self, value: float, device: torch.device) -> float:
        """The leader's value; all members call this together."""
        if self.size == 1:
            return value
        told = torch.tensor([value], dtype=torch.float64, device=device)
        distributed.broadcast(told, src=0)
        return float(told)


ALONE = Team()


def joined() -> Team:
    """The team that ``torchrun`` put this process in; alone where it was started otherwise."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1 or "RANK" not in os.environ:
        return ALONE
    if not distributed.is_initialized():
        gpus = torch.cuda.is_available() and distributed.is_nccl_available()
        distributed.init_process_group(ON_GPUS if gpus else "gloo", timeout=PATIENCE)
    return Team(int(os.environ["RANK"]), size, int(os.environ.get("LOCAL_RANK", "0")))
