"""Intensity changes as functions of explicit parameters, each on all channels that drew it at once.

``channels`` are (N, *spatial) float32 and are changed in place; parameters come one per channel. Nothing here draws at
random but ``noise``, and nothing asks the device for a number, so that an accelerator is never waited for.
What each does follows Isensee et al. 2021 (doi:10.1038/s41592-020-01008-z, supplement).
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from autoseg.learn.transfer import send

BLUR_RADIUS = 3
"""Voxels; three sigma of the widest blur that is drawn."""
SMALLEST = 1e-7
"""Ranges and deviations below it count as this; a constant channel stays one."""


def noise(channels: Tensor, drawn: Sequence[tuple[float, int]]) -> None:
    """Add Gaussian noise; for each channel a standard deviation and a seed."""
    for channel, (deviation, seed) in zip(channels, drawn, strict=True):
        generator = torch.Generator(channels.device).manual_seed(seed)
        channel.add_(torch.empty_like(channel).normal_(generator=generator), alpha=deviation)


def blur(channels: Tensor, sigmas: Sequence[Sequence[float]]) -> None:
    """Gaussian blur, edges repeated; for each channel a sigma in voxels for each axis."""
    offsets = torch.arange(-BLUR_RADIUS, BLUR_RADIUS + 1)
    weights = torch.exp(-0.5 * (offsets / torch.tensor(sigmas)[..., None]) ** 2)
    weights = send(weights / weights.sum(-1, keepdim=True), channels.device)
    for axis in range(1, channels.ndim):
        _convolve(channels, axis, weights[:, axis - 1])


def _convolve(channels: Tensor, axis: int, weights: Tensor) -> None:
    """Weigh each voxel's neighbours along an axis; ``weights`` (N, taps)."""
    size = channels.shape[axis]
    first, last = channels.narrow(axis, 0, 1), channels.narrow(axis, size - 1, 1)
    padded = torch.cat([first] * BLUR_RADIUS + [channels] + [last] * BLUR_RADIUS, axis)
    channels.zero_()
    for offset, weight in enumerate(weights.T):
        channels.addcmul_(padded.narrow(axis, offset, size), _beside(weight, channels))


def brightness(channels: Tensor, factors: Sequence[float]) -> None:
    """Multiply."""
    channels.mul_(_column(factors, channels))


def contrast(channels: Tensor, factors: Sequence[float]) -> None:
    """Stretch about the mean, without leaving the range that was there before."""
    low, high, mean = *_range(channels), _mean(channels)
    channels.sub_(mean).mul_(_column(factors, channels)).add_(mean).clamp_(low, high)


def low_resolution(channels: Tensor, zooms: Sequence[Sequence[float]]) -> None:
    """Keep one voxel in so many (nearest) and interpolate linearly between them; for each channel a zoom per axis."""
    shape = channels.shape[1:]
    mode = "bilinear" if len(shape) == 2 else "trilinear"
    for channel, zoom in zip(channels, zooms, strict=True):
        coarse = [max(1, round(n * z)) for n, z in zip(shape, zoom, strict=True)]
        small = functional.interpolate(channel[None, None], coarse, mode="nearest-exact")
        channel.copy_(functional.interpolate(small, shape, mode=mode)[0, 0])


def gamma(channels: Tensor, exponents: Sequence[float], inverted: bool) -> None:
    """Raise to a power between the lowest and the highest intensity, then restore mean and standard deviation.

    Args:
        channels: (N, *spatial).
        exponents: One per channel.
        inverted: Count intensities from the highest down, so that bright tissue is spread where dark was.
    """
    mean = _mean(channels)
    channels.sub_(mean)
    deviation = _norm(channels)
    low, high = _range(channels)
    zero, one = (high, low) if inverted else (low, high)
    span = (high - low).clamp_(min=SMALLEST)
    channels.sub_(zero).div_(-span if inverted else span).clamp_(min=0.0)
    channels.log2_().mul_(_column(exponents, channels)).exp2_()  # twice as fast as pow on CPUs; 0 stays 0
    channels.sub_(_mean(channels))
    factor = deviation / _norm(channels).clamp_(min=SMALLEST)
    channels.mul_(-factor if inverted else factor).add_(mean)


def _range(channels: Tensor) -> tuple[Tensor, Tensor]:
    spatial = tuple(range(1, channels.ndim))
    return channels.amin(spatial, keepdim=True), channels.amax(spatial, keepdim=True)


def _mean(channels: Tensor) -> Tensor:
    return channels.mean(tuple(range(1, channels.ndim)), keepdim=True)


def _norm(channels: Tensor) -> Tensor:
    """Of channels with mean 0 this is their standard deviation but for a factor that all have in common."""
    return torch.linalg.vector_norm(channels, dim=tuple(range(1, channels.ndim)), keepdim=True)


def _column(values: Sequence[float], channels: Tensor) -> Tensor:
    """One value per channel, to be broadcast over its voxels."""
    return _beside(send(torch.tensor(values, dtype=torch.float32), channels.device), channels)


def _beside(values: Tensor, channels: Tensor) -> Tensor:
    return values.view(-1, *[1] * (channels.ndim - 1))
