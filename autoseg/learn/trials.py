"""Trying how fast a job's own steps are: real network, patch and batch, on noise, and nothing is changed."""

import time

import torch
from torch import Tensor

from autoseg.learn.device import wait
from autoseg.learn.state import TrainingState
from autoseg.learn.step import Update

Batch = tuple[Tensor, Tensor]
"""Images (B, C, …) float32 and classes (B, …) int16."""


def noise(update: Update, device: torch.device) -> Batch:
    """As many samples as this process computes of each batch."""
    plan, generator = update.plan, torch.Generator().manual_seed(0)
    samples = len(update.team.samples(plan.batch))
    images = torch.randn(samples, update.network.in_channels, *plan.patch_vox, generator=generator)
    return images.to(device), (images[:, 0] > 0).to(device, torch.int16)


def gradient_s(update: Update, state: TrainingState, batch: Batch, repeats: int = 1) -> float:
    """Seconds that the gradient of a batch takes, the least of some repeats: other work can only add to it."""
    least = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        update.gradient(state, *batch)
        wait(batch[0].device)
        least = min(least, time.perf_counter() - started)
        state.optimizer.zero_grad(set_to_none=True)
    return least
