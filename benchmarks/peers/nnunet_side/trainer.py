"""nnU-Net's trainer, made to end at a deadline. Runs in nnU-Net's environment and imports nothing of ours.

Everything that decides what is learned stays nnU-Net's: data loading, augmentation, network, loss, optimizer, and its
poly schedule, which falls once per epoch. Changed is what a time limit needs, each time in the peer's favour:

- the time is given as the iterations that fit into it at the best speed that was measured, so that nothing else that
  the machine does meanwhile takes any of it away;
- epochs are as short as it takes for the schedule to fall in many small steps and to end with the time, whereas 250
  iterations per epoch would not even be reached;
- no time goes into watching: no pseudo validation after each epoch, no plots, no checkpoint but the last.
"""

import random
import time

import numpy as np
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

MOST_ITERATIONS = 250
"""Per epoch: nnU-Net's own number."""
SMOOTH = 100
"""Steps in which the schedule falls, where there is time for as many epochs."""
FEWEST_ITERATIONS = 2
"""Per epoch, where time is short."""


def seed_everything(seed: int) -> None:
    """nnU-Net seeds nothing itself. With loader processes, the order of batches still differs from run to run."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


class TimedTrainer(nnUNetTrainer):
    """Trains for a number of iterations. Call ``limit`` before anything else."""

    def limit(self, iterations: int, bf16: bool) -> None:
        """Set the end.

        Args:
            iterations: Of training.
            bf16: Run the network under autocast; nnU-Net itself does so on CUDA alone.
        """
        self.planned, self.bf16 = iterations, bf16
        smooth = min(SMOOTH, round(iterations / FEWEST_ITERATIONS))
        self.num_epochs = max(1, smooth, round(iterations / MOST_ITERATIONS))
        self.num_val_iterations_per_epoch = 0
        self.iterations = 0
        self.trained_s = 0.0

    def initialize(self) -> None:
        """Build the network; outputs leave autocast in float32, so that the loss is as exact as on CUDA."""
        super().initialize()
        if not self.bf16:
            return
        plain = self.network.forward

        def forward(images: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
            with torch.autocast(self.device.type, torch.bfloat16):
                outputs = plain(images)
            return [output.float() for output in outputs] if isinstance(outputs, list | tuple) else outputs.float()

        self.network.forward = forward

    def without_autocast(self) -> torch.nn.Module:
        """The trained network as nnU-Net's predictor expects it: in float32, with one output."""
        self.network.__dict__.pop("forward", None)
        self.set_deep_supervision_enabled(False)
        return self.network.eval()

    def on_train_start(self) -> None:
        """Start the clock when everything is ready."""
        super().on_train_start()
        self.started = time.monotonic()

    def on_epoch_start(self) -> None:
        """Give this epoch its share of the iterations that are left."""
        super().on_epoch_start()
        left = self.planned - self.iterations
        self.num_iterations_per_epoch = max(1, round(left / (self.num_epochs - self.current_epoch)))

    def train_step(self, batch: dict) -> dict:
        """One iteration of nnU-Net's, counted."""
        result = super().train_step(batch)
        self.iterations += 1
        self.trained_s = time.monotonic() - self.started
        return result

    def on_validation_epoch_end(self, val_outputs: list) -> None:
        """There is nothing to watch."""

    def on_epoch_end(self) -> None:
        """Neither plot nor checkpoint."""
        self.current_epoch += 1
