"""Networks by family. A family is one file and one line in the table below.

Every network has ``forward`` (logits at full resolution) and ``forward_deep`` (a list of logits, full resolution first,
for deep supervision), and takes any input whose size its strides divide.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from autoseg.errors import UsageError
from autoseg.learn.networks.plain_unet import PlainUNet, initialize, scales
from autoseg.learn.networks.residual_unet import ResidualUNet
from planners.contracts import NetworkPlan

__all__ = ["FAMILIES", "LAYOUTS", "build", "lay", "layout", "layout_of", "place", "scales"]

FAMILIES: dict[str, type[PlainUNet]] = {
    "plain_unet": PlainUNet,
    "residual_unet": ResidualUNet,
}

LAYOUTS: dict[int, tuple[torch.memory_format, torch.memory_format]] = {
    2: (torch.contiguous_format, torch.channels_last),
    3: (torch.contiguous_format, torch.channels_last_3d),
}
"""By dimension, the orders of axes in memory that convolutions are written for: channels first, and channels last."""


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
    """The order of axes in memory that is usually the fastest on a device; jobs that may be tuned try the other too.

    On a CPU channels-last spares the convolutions a reordering on each call (up to 20 % of a training step); on a GPU
    instance normalisation would undo it.
    """
    channels_first, channels_last = LAYOUTS[dimension]
    return channels_last if device.type == "cpu" else channels_first


def layout_of(weights: Iterable[Tensor]) -> torch.memory_format:
    """The order of axes that a network's weights lie in, and that its input should come in."""
    lying = next((weight for weight in weights if not weight.is_contiguous()), None)
    return torch.contiguous_format if lying is None else LAYOUTS[lying.ndim - 2][1]


def lay(network: nn.Module, order: torch.memory_format) -> nn.Module:
    """Bring the weights of a network into an order of axes, in place."""
    return network.to(memory_format=order)  # type: ignore[call-overload]


def place(network: nn.Module, device: torch.device, dimension: int) -> nn.Module:
    """Move a network to a device, in the device's usual layout."""
    return lay(network.to(device=device), layout(device, dimension))
