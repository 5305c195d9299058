"""Prediction of whole volumes: a window slides over the image, and overlapping windows are averaged.

Windows overlap by half and count most in their middle, with Gaussian weights, because a network knows least about the
border of what it sees. The probabilities of several networks, and of mirrored copies, are averaged in float32.
Source: Isensee et al. 2021 (doi:10.1038/s41592-020-01008-z, online methods).
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from autoseg.learn.device import autocast
from autoseg.learn.networks import layout_of
from planners.contracts import Precision

STEP = 0.5
"""Distance of neighbouring windows, in window sizes."""
SIGMA = 0.125
"""Of the Gaussian weights, in window sizes."""
VOXELS_PER_BATCH = {"cpu": 400_000, "cuda": 4_000_000, "mps": 1_000_000}
"""How many windows go through a network at once."""


def predict_volume(
    networks: Sequence[nn.Module],
    image: NDArray[np.float32],
    patch_vox: Sequence[int],
    activation: Literal["softmax", "sigmoid"],
    mirror_axes: Sequence[int],
    device: torch.device,
    precision: Precision,
) -> NDArray[np.float32]:
    """Mean probabilities of several networks over a whole volume.

    Args:
        networks: On ``device`` (``learn.networks.place``); all with the same heads.
        image: (C, z, y, x), prepared as in training. It may be smaller than the window.
        patch_vox: Window (z, y, x), or (y, x) in 2D, where every slice is an image of its own.
        activation: ``softmax`` for exclusive labels, ``sigmoid`` for regions.
        mirror_axes: Window axes to mirror along; all combinations are averaged. Empty for none.
        device: Where the networks are.
        precision: Of the convolutions.

    Returns:
        (heads, z, y, x) float32, from 0 to 1.
    """
    window = tuple(patch_vox)
    padded, inside = _pad(torch.from_numpy(np.require(image, np.float32, ["C", "W"])), window)
    weights = _gaussian(window).to(device)
    flips = [f for n in range(len(mirror_axes) + 1) for f in itertools.combinations(mirror_axes, n)]
    for network in networks:
        network.eval()
    total: Tensor | None = None
    with torch.inference_mode():
        for places in _batches(padded.shape[1:], window, device):
            patches = torch.stack([_cut(padded, place, window) for place in places]).to(device)
            mean = _probabilities(networks, patches, flips, activation, precision)
            if total is None:
                total = torch.zeros(mean.shape[1], *padded.shape[1:], device=_home(mean, padded, device))
            for place, one in zip(places, mean * weights, strict=True):
                _cut(total, place, window).add_(one.to(total.device))
    if total is None:
        raise ValueError(f"nothing to predict in an image of shape {image.shape}")
    result = np.ascontiguousarray(total[(slice(None), *inside)].cpu().numpy())
    result /= _coverage(padded.shape[1:], window)[inside[-len(window) :]].numpy()
    return result


def _probabilities(
    networks: Sequence[nn.Module],
    patches: Tensor,
    flips: Sequence[tuple[int, ...]],
    activation: Literal["softmax", "sigmoid"],
    precision: Precision,
) -> Tensor:
    """Mean over networks and mirrored copies, (B, heads, *window) float32."""
    mean: Tensor | None = None
    for network, flip in itertools.product(networks, flips):
        axes = [2 + axis for axis in flip]
        seen = patches.flip(axes) if axes else patches
        with autocast(patches.device, precision):
            logits = network(seen.contiguous(memory_format=layout_of(network.parameters())))
        logits = logits.float().flip(axes) if axes else logits.float()
        one = torch.softmax(logits, dim=1) if activation == "softmax" else torch.sigmoid(logits)
        mean = one if mean is None else mean.add_(one)
    if mean is None:
        raise ValueError("no networks to predict with")
    return mean.div_(len(networks) * len(flips))


# --------------------------------------------------------------------------------------------------------- windows

Place = tuple[int, ...]
"""First voxel of a window; in 2D (slice, y, x)."""


def _pad(image: Tensor, window: Sequence[int]) -> tuple[Tensor, tuple[slice, ...]]:
    """Zeros around an image smaller than the window, and where the image then lies."""
    least = (1,) * (3 - len(window)) + tuple(window)
    before = [max(0, size - n) // 2 for n, size in zip(image.shape[1:], least, strict=True)]
    after = [max(0, size - n) - b for n, size, b in zip(image.shape[1:], least, before, strict=True)]
    inside = tuple(slice(b, b + n) for b, n in zip(before, image.shape[1:], strict=True))
    if not any(before) and not any(after):
        return image, inside
    widths = [w for pair in zip(reversed(before), reversed(after), strict=True) for w in pair]
    return nn.functional.pad(image, widths), inside


def _starts(size: int, window: int) -> list[int]:
    """Evenly spread window starts, at most ``STEP`` windows apart.

    >>> _starts(110, 64)
    [0, 23, 46]
    """
    count = math.ceil((size - window) / (window * STEP)) + 1
    return [round(k * (size - window) / max(1, count - 1)) for k in range(count)]


def _batches(shape: Sequence[int], window: Sequence[int], device: torch.device) -> Iterator[list[Place]]:
    slices = [list(range(shape[0]))] if len(window) == 2 else []
    axes = slices + [_starts(n, w) for n, w in zip(shape[3 - len(window) :], window, strict=True)]
    many = max(1, VOXELS_PER_BATCH.get(device.type, 1_000_000) // math.prod(window))
    places = itertools.product(*axes)
    while batch := list(itertools.islice(places, many)):
        yield batch


def _cut(volume: Tensor, place: Place, window: Sequence[int]) -> Tensor:
    """The (C, *window) view of a volume at a place."""
    *plane, height, width = (slice(start, start + n) for start, n in zip(place[-len(window) :], window, strict=True))
    return volume[:, plane[0] if plane else place[0], height, width]


def _profile(size: int) -> Tensor:
    offset = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    return torch.exp(-0.5 * (offset / (SIGMA * size)) ** 2)


def _gaussian(window: Sequence[int]) -> Tensor:
    profiles = [_profile(size) for size in window]
    product = profiles[0]
    for profile in profiles[1:]:
        product = product.unsqueeze(-1) * profile
    return product.float()


def _coverage(shape: Sequence[int], window: Sequence[int]) -> Tensor:
    """Sum of all windows' weights at each voxel; it is a product over axes because windows lie on a grid."""
    sums = []
    for n, size in zip(shape[3 - len(window) :], window, strict=True):
        line, profile = torch.zeros(n, dtype=torch.float64), _profile(size)
        for start in _starts(n, size):
            line[start : start + size] += profile
        sums.append(line)
    product = sums[0]
    for line in sums[1:]:
        product = product.unsqueeze(-1) * line
    return product.float()


def _home(mean: Tensor, padded: Tensor, device: torch.device) -> torch.device:
    """Where to add up: on the device, unless the sum would take much of its memory."""
    needed = mean.shape[1] * padded[0].numel() * 4
    if device.type == "cuda" and needed > 0.4 * torch.cuda.mem_get_info(device)[0]:
        return torch.device("cpu")
    return device
