"""One update of the weights: forward, loss, backward, clip, step; in as many pieces as the memory asks for.

Where a batch does not fit, its gradient is accumulated over parts of it and training goes on. The parts are weighted by
their samples, so the gradient is that of the whole batch as long as the loss is a mean over samples; a Dice that is
summed over the batch is then summed over each part.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from autoseg import machine
from autoseg.errors import ResourceError
from autoseg.learn import memory, networks
from autoseg.learn.losses import LOSSES, coarsen, supervision_weights
from autoseg.learn.precision import autocast
from autoseg.learn.state import Outcome, TrainingState
from autoseg.learn.team import ALONE, Team
from planners.contracts import NetworkPlan, TrainingPlan

Forward = Callable[[nn.Module, Tensor], list[Tensor]]
"""A network and images to its supervised logits, full resolution first."""


def deep(network: nn.Module, images: Tensor) -> list[Tensor]:
    """Logits of every supervised level."""
    return network.forward_deep(images)  # type: ignore[operator]


def shallow(network: nn.Module, images: Tensor) -> list[Tensor]:
    """Logits at full resolution only."""
    return [network(images)]


@dataclass(frozen=True)
class Update:
    """How to update the weights.

    Attributes:
        network: What is trained.
        plan: How.
        members: Class indices of each target.
        team: Who else computes samples of the same batch.
        compiled: ``forward`` for whole batches of full patches, compiled; other sizes are computed without.
    """

    network: NetworkPlan
    plan: TrainingPlan
    members: Sequence[Sequence[int]]
    team: Team = ALONE
    compiled: Forward | None = None

    @property
    def forward(self) -> Forward:
        """How the network of the plan is supervised."""
        return deep if self.network.deep_supervision else shallow

    def __call__(self, state: TrainingState, images: Tensor, classes: Tensor, rate: float) -> Outcome:
        """Update the weights once, or leave it out where loss or gradient are no finite numbers.

        Args:
            state: Changed in place.
            images: (B, C, …) float32; of a team's batch, the samples of this member.
            classes: (B, …) class indices, ``IGNORED`` where nothing is annotated.
            rate: The learning rate.

        Raises:
            ResourceError: Not even one sample fits into memory.
        """
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        facts = self._shared(state, self._fitting(state, images, classes))
        state.scaler.unscale_(state.optimizer)
        norm = nn.utils.clip_grad_norm_(state.network.parameters(), self.plan.gradient_clip)
        loss, drawn, found, steepness = torch.cat((facts, norm.reshape(1))).tolist()  # the one wait for the device
        finite = math.isfinite(loss) and (self.plan.precision == "fp16" or math.isfinite(steepness))
        if finite:
            state.scaler.step(state.optimizer)  # with fp16 it leaves out steps with overflowing gradients by itself
        state.scaler.update()
        state.optimizer.zero_grad(set_to_none=True)  # now, so that nobody keeps gradients while saving or reading ahead
        return Outcome(loss if finite else math.nan, drawn > 0, found > 0)

    def _fitting(self, state: TrainingState, images: Tensor, classes: Tensor) -> Tensor:
        """The gradient of the batch, in twice as many pieces whenever memory does not suffice."""
        while True:
            try:
                return self.gradient(state, images, classes)
            except (RuntimeError, MemoryError) as error:
                if not memory.exhausted(error):
                    raise
                if state.pieces >= len(images):
                    raise ResourceError(self._too_large(images)) from error
            # Outside the handler: inside, the error's traceback would still hold the tensors that did not fit.
            state.pieces = min(len(images), 2 * state.pieces)
            state.optimizer.zero_grad(set_to_none=True)
            memory.give_back(images.device)

    def _shared(self, state: TrainingState, facts: Tensor) -> Tensor:
        """The facts, like the gradient, of the whole team's batch."""
        gradients = (parameter.grad for parameter in state.network.parameters() if parameter.grad is not None)
        self.team.add((facts, *gradients))
        return facts

    def gradient(self, state: TrainingState, images: Tensor, classes: Tensor) -> Tensor:
        """Add up the gradient; what it came to as (loss, drawn, found), still on the device: asking waits for it."""
        facts = torch.zeros(3, device=images.device)
        images = images.contiguous(memory_format=networks.layout_of(state.network.parameters()))
        whole = state.pieces == 1 and images.shape[2:] == self.plan.patch_vox  # what the compiled form was made for
        forward = self.compiled if self.compiled is not None and whole else self.forward
        pieces = zip(images.tensor_split(state.pieces), classes.tensor_split(state.pieces), strict=True)
        for some, truth in pieces:
            with autocast(some.device, self.plan.precision):
                outputs = forward(state.network, some)
            part = self._loss(outputs, truth) * (len(some) / self.plan.batch)
            state.scaler.scale(part).backward()
            drawn, found = (truth > 0).any(), self._any_foreground(outputs[0].detach())
            facts += torch.stack([part.detach(), drawn.to(part.dtype), found.to(part.dtype)])
        return facts

    def _loss(self, outputs: Sequence[Tensor], classes: Tensor) -> Tensor:
        loss = LOSSES[self.plan.loss]
        total = torch.zeros((), device=classes.device)
        weights = supervision_weights(len(outputs))
        for weight, output, scale in zip(weights, outputs, networks.scales(self.network), strict=False):
            target = coarsen(classes, scale)
            total = total + weight * loss(output, target, batch_dice=self.plan.batch_dice, members=self.members)
        return total

    def _any_foreground(self, logits: Tensor) -> Tensor:
        """Whether any voxel would be labelled; logits (B, H, …), one per target, or one more for the background."""
        if logits.shape[1] == len(self.members):
            return (logits > 0).any()
        return (logits[:, 1:].amax(1) > logits[:, 0]).any()

    def _too_large(self, images: Tensor) -> str:
        patch = " x ".join(str(edge) for edge in self.plan.patch_vox)
        return (
            f"a single patch of {patch} voxels does not fit into the memory of {images.device} "
            f"({machine.gib(memory.free_bytes(images.device))} are free); free memory, or plan for less of it with "
            "--device-gb"
        )
