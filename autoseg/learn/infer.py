"""Prediction of whole volumes: a window slides over the image, and overlapping windows are averaged.

Windows overlap by half and count most in their middle, with Gaussian weights, because a network knows least about the
border of what it sees. The probabilities of several networks, and of mirrored copies, are averaged in float32.
Source: Isensee et al. 2021 (doi:10.1038/s41592-020-01008-z, online methods).
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from autoseg import machine
from autoseg.errors import DoesNotFit
from autoseg.learn import memory
from autoseg.learn.networks import layout_of
from autoseg.learn.precision import autocast
from autoseg.learn.transfer import send
from autoseg.learn.windows import batches, coverage, cut, gaussian, pad
from planners.contracts import Precision

VOXELS_PER_BATCH = {"cpu": 400_000, "cuda": 4_000_000, "mps": 1_000_000}
"""How many windows go through a network at once."""
SUM_SHARE = 0.4
"""Of the free memory of a device, that the sum of all windows may take; a larger one is added up on the host."""


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

    Raises:
        DoesNotFit: There is no memory for a single window at a time.
    """
    window = tuple(patch_vox)
    padded, inside = pad(torch.from_numpy(np.require(image, np.float32, ["C", "W"])), window)
    flips = [f for n in range(len(mirror_axes) + 1) for f in itertools.combinations(mirror_axes, n)]
    for network in networks:
        network.eval()
    mean = partial(_probabilities, networks, flips=flips, activation=activation, precision=precision)
    total = _fitting(mean, padded, window, device)[(slice(None), *inside)]
    result = np.ascontiguousarray(total.numpy())
    result /= coverage(padded.shape[1:], window)[inside[-len(window) :]].numpy()
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


# ---------------------------------------------------------------------------------------------------------- memory


@dataclass(frozen=True)
class _Way:
    """How windows are computed and added up.

    Attributes:
        device: Where they are computed.
        most: How many at once, at most.
        aside: They are added up on the host; else on the device, if there is room.
    """

    device: torch.device
    most: int
    aside: bool = False

    def thriftier(self) -> "_Way | None":
        """A way that takes less memory; None: there is none."""
        if self.most > 1:
            return replace(self, most=self.most // 2)
        return None if self.aside or self.device.type == "cpu" else replace(self, aside=True)

    def home(self, heads: int, voxels: int) -> torch.device:
        """Where to add up."""
        beyond = self.device.type == "cuda" and heads * voxels * 4 > SUM_SHARE * memory.free_bytes(self.device)
        return torch.device("cpu") if self.aside or beyond else self.device


def _fitting(mean: Callable[[Tensor], Tensor], padded: Tensor, window: tuple[int, ...], device: torch.device) -> Tensor:
    """The weighted sum of all windows, on the host, in whatever way memory suffices for."""
    way = _Way(device, max(1, VOXELS_PER_BATCH.get(device.type, 1_000_000) // math.prod(window)))
    while True:
        try:
            return _sum(mean, padded, window, way).cpu()
        except (RuntimeError, MemoryError) as error:
            if not memory.exhausted(error):
                raise
            thriftier = way.thriftier()
            if thriftier is None:
                raise DoesNotFit(_too_large(padded, window, device)) from error
            way = thriftier
        # Outside the handler: inside, the error's traceback would still hold the tensors that did not fit.
        memory.give_back(device)


@torch.inference_mode()
def _sum(mean: Callable[[Tensor], Tensor], padded: Tensor, window: tuple[int, ...], way: _Way) -> Tensor:
    """The same in one way, where it was added up."""
    weights = gaussian(window).to(way.device)
    total: Tensor | None = None
    for places in batches(padded.shape[1:], window, way.most):
        patches = send(torch.stack([cut(padded, place, window) for place in places]), way.device)
        seen = mean(patches).mul_(weights)
        if total is None:
            home = way.home(seen.shape[1], padded[0].numel())
            total = torch.zeros(seen.shape[1], *padded.shape[1:], device=home)
        for place, one in zip(places, seen.to(total.device), strict=True):
            cut(total, place, window).add_(one)
    if total is None:
        raise ValueError(f"nothing to predict in an image of shape {tuple(padded.shape)}")
    return total


def _too_large(padded: Tensor, window: tuple[int, ...], device: torch.device) -> str:
    voxels, edges = (" x ".join(map(str, shape)) for shape in (padded.shape[1:], window))
    free = machine.gib(memory.free_bytes(device))
    return (
        f"an image of {voxels} voxels cannot be predicted on {device}, not even one window of {edges} at a time: "
        f"{free} of memory are free; free more of it, or use a device that has more"
    )
