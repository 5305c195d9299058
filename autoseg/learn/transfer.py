"""Sending tensors to the device that trains, without waiting for what it still has to do."""

import torch
from torch import Tensor


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on the device.

    CUDA copies in the order of its other work, small tensors and pinned ones while the program goes on. Elsewhere a
    copy that is not waited for may read memory that was given back meanwhile.
    """
    return tensor.to(device, non_blocking=device.type == "cuda")
