"""Precisions of convolutions: running them in one, and whether a device then gets them right."""

import copy
import functools

import torch
from torch import Tensor, nn

from autoseg.learn import memory
from autoseg.learn.networks import layout, place
from autoseg.learn.networks.plain_unet import initialize
from planners.contracts import Precision

LARGEST_ERROR = 0.02
"""Of the norm of an output or a gradient, that it may be off; bfloat16 itself rounds by 0.004."""

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Run convolutions in the given precision; nothing changes for ``fp32``."""
    dtype = _DTYPES.get(precision)
    return torch.autocast(device.type, dtype=dtype, enabled=dtype is not None)


@functools.cache
def computes_right(device: torch.device, precision: Precision) -> bool:
    """Whether convolutions agree with a processor's in float32, forwards and backwards.

    Some library versions compute bfloat16 3D convolutions wrongly (pytorch issue 163539), and some processors lack the
    instructions; such a precision is left out. So is what a GPU can only emulate, many times slower than float32.
    """
    if device.type == "cuda" and precision == "bf16" and not has_bf16(device):
        return False
    probe = nn.Sequential(nn.Conv3d(16, 32, 3, padding=1), nn.ConvTranspose3d(32, 16, 2, 2))
    initialize(probe, seed=0)
    x = torch.randn(2, 16, 12, 12, 12, generator=torch.Generator().manual_seed(0))
    reference = _results(probe, x, torch.device("cpu"), "fp32")
    try:
        found = _results(probe, x, device, precision)
    except RuntimeError as error:  # an optional acceleration that this build or processor does not have
        if memory.exhausted(error):
            raise
        return False
    return all(_close(a, b) for a, b in zip(found, reference, strict=True))


def has_bf16(device: torch.device) -> bool:
    """Whether a GPU computes bfloat16 by itself."""
    with torch.cuda.device(device):  # torch answers for the current one
        return torch.cuda.is_bf16_supported(including_emulation=False)


def _results(probe: nn.Module, x: Tensor, device: torch.device, precision: Precision) -> tuple[Tensor, ...]:
    """The output, and the gradients of a weighted sum of it by input and weights, float32 on the CPU."""
    placed = place(copy.deepcopy(probe), device, 3)
    x = x.to(device).contiguous(memory_format=layout(device, 3)).requires_grad_()
    with autocast(device, precision):
        y = placed(x)
    target = torch.linspace(-1, 1, y.numel(), device=device).view(y.shape)
    weights = [parameter for parameter in placed.parameters() if parameter.ndim > 1]
    gradients = torch.autograd.grad((y.float() * target).sum(), (x, *weights))
    return tuple(tensor.detach().float().cpu() for tensor in (y, *gradients))


def _close(low: Tensor, reference: Tensor) -> bool:
    return bool((low - reference).norm() <= LARGEST_ERROR * reference.norm())
