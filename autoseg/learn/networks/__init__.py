"""Networks by family. A family is one file and one line in the table below.

Every network has ``forward`` (logits at full resolution) and ``forward_deep`` (a list of logits, full resolution first,
for deep supervision), and takes any input whose size its strides divide.
"""

import torch
from torch import nn

from autoseg.errors import UsageError
from autoseg.learn.networks.plain_unet import PlainUNet, initialize, scales
from autoseg.learn.networks.residual_unet import ResidualUNet
from planners.contracts import NetworkPlan

__all__ = ["FAMILIES", "build", "layout", "place", "scales"]

FAMILIES: dict[str, type[PlainUNet]] = {
    "plain_unet": PlainUNet,
    "residual_unet": ResidualUNet,
}


def build(plan: NetworkPlan, seed: int = 0) -> PlainUNet:
    """The network of a plan with weights drawn from ``seed``, in float32 on the CPU.

    Raises:
        UsageError: The plan names a family that is not in ``FAMILIES``, or fewer than two stages.
    """
    if plan.family not in FAMILIES:
        raise UsageError(f"network family {plan.family!r} is unknown; there are {', '.join(sorted(FAMILIES))}")
    if len(plan.features) < 2:
        raise UsageError(f"a U-Net needs at least two resolution stages; the plan has features {plan.features}")
    network = FAMILIES[plan.family](plan)
    initialize(network, seed)
    return network


def layout(device: torch.device, dimension: int) -> torch.memory_format:
    """The order of axes in memory that is fastest on a device.

    On a CPU channels-last spares the convolutions a reordering on each call (up to 20 % of a training step); on a GPU
    instance normalisation would undo it.
    """
    if device.type != "cpu":
        return torch.contiguous_format
    return torch.channels_last if dimension == 2 else torch.channels_last_3d


def place(network: nn.Module, device: torch.device, dimension: int) -> nn.Module:
    """Move a network to a device, in the device's fastest layout."""
    return network.to(device=device).to(memory_format=layout(device, dimension))  # type: ignore[call-overload]
