"""Prediction of whole volumes: a window slides over the image, and overlapping windows are averaged.

Windows overlap by half and count most in their middle, with Gaussian weights, because a network knows least about the
border of what it sees. The probabilities of several networks, and of mirrored copies, are averaged in float32, and are
given out row after row, so that those of many heads need not lie in memory as a whole.
Source: Isensee et al. 2021 (doi:10.1038/s41592-020-01008-z, online methods).
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from autoseg import machine
from autoseg.errors import DataError, DoesNotFit
from autoseg.learn import memory
from autoseg.learn.networks import layout_of
from autoseg.learn.precision import autocast
from autoseg.learn.sums import Sums
from autoseg.learn.transfer import send
from autoseg.learn.windows import cut, gaussian, pad, places, together
from planners.contracts import Precision

Activation = Literal["softmax", "sigmoid"]

Tell = Callable[[float], None]
"""Takes the share of the work that is done, from 0 to 1."""

VOXELS_PER_BATCH = {"cpu": 400_000, "cuda": 4_000_000, "mps": 1_000_000}
"""How many windows go through a network at once."""
SUM_SHARE = 0.4
"""Of the free memory of a device, that the sums of windows may take; larger ones are added up on the host."""


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Networks with the same heads, and how they look at an image.

    Attributes:
        networks: At least one, on ``device`` (``learn.networks.place``).
        patch_vox: Window (z, y, x), or (y, x) in 2D, where every slice is an image of its own.
        activation: ``softmax`` for exclusive labels, ``sigmoid`` for regions.
        device: Where the networks are.
        precision: Of the convolutions.
    """

    networks: Sequence[nn.Module]
    patch_vox: Sequence[int]
    activation: Activation
    device: torch.device
    precision: Precision

    def rows(
        self, image: NDArray[np.float32], mirror_axes: Sequence[int] = (), tell: Tell | None = None
    ) -> Iterator[NDArray[np.float32]]:
        """Mean probabilities, in pieces along z: only what windows still add to is kept in memory.

        Args:
            image: (C, z, y, x), prepared as in training. It may be smaller than the window.
            mirror_axes: Window axes to mirror along; all combinations are averaged. Empty for none.
            tell: Called after each batch of windows; what it raises ends the work.

        Yields:
            (heads, n, y, x) float32 from 0 to 1, C-contiguous, in their order.

        Raises:
            DataError: The networks give something that is no number, which would look like background.
            DoesNotFit: There is no memory for a single window at a time.
        """
        window = tuple(self.patch_vox)
        padded, inside = pad(torch.from_numpy(np.require(image, np.float32, ["C", "W"])), window)
        flips = [flip for n in range(len(mirror_axes) + 1) for flip in itertools.combinations(mirror_axes, n)]
        for network in self.networks:
            network.eval()
        sums, todo = Sums(window, padded.shape[1:], inside), places(padded.shape[1:], window)
        total = len(todo)
        way = _Way(self.device, max(1, VOXELS_PER_BATCH.get(self.device.type, 1_000_000) // math.prod(window)))
        while todo:
            closed = sums.closed(todo[0][0])
            if closed is not None:
                yield closed
            now = todo[: together(way.most, len(todo))]
            try:
                patches = send(torch.stack([cut(padded, place, window) for place in now]), self.device)
                sums.add(now, self._weighted(patches, flips), way.home)
            except (RuntimeError, MemoryError) as error:
                if not memory.exhausted(error):
                    raise
                thriftier = way.thriftier()
                if thriftier is None:
                    raise DoesNotFit(_too_large(padded, window, self.device)) from error
                way = thriftier
            else:
                todo = todo[len(now) :]
                if tell is not None:
                    tell(1.0 - len(todo) / total)
                continue
            # Outside the handler: inside, the error's traceback would still hold the tensors that did not fit.
            memory.give_back(self.device)
        closed = sums.closed(padded.shape[1])
        if closed is not None:
            yield closed

    @torch.inference_mode()
    def _weighted(self, patches: Tensor, flips: Sequence[tuple[int, ...]]) -> Tensor:
        """Probabilities that are numbers, times their weight in the window."""
        for tried in dict.fromkeys((self.precision, "fp32")):  # a smaller range overflows where an image is extreme
            mean = self._probabilities(patches, flips, tried)
            if bool(torch.isfinite(mean.sum())):
                return mean.mul_(gaussian(tuple(self.patch_vox)).to(patches.device))
        raise DataError(
            "the networks make something of this image that is no number; check its values, which may be absurd, "
            "or try another device"
        )

    def _probabilities(self, patches: Tensor, flips: Sequence[tuple[int, ...]], precision: Precision) -> Tensor:
        """Mean over networks and mirrored copies, (B, heads, *window) float32."""
        mean: Tensor | None = None
        for network, flip in itertools.product(self.networks, flips):
            axes = [2 + axis for axis in flip]
            seen = patches.flip(axes) if axes else patches
            with autocast(patches.device, precision):
                logits = network(seen.contiguous(memory_format=layout_of(network.parameters())))
            logits = logits.float().flip(axes) if axes else logits.float()
            one = torch.softmax(logits, dim=1) if self.activation == "softmax" else torch.sigmoid(logits)
            mean = one if mean is None else mean.add_(one)
        if mean is None:
            raise ValueError("no networks to predict with")
        return mean.div_(len(self.networks) * len(flips))


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

    def home(self, values: int) -> torch.device:
        """Where to add up so many."""
        beyond = self.device.type == "cuda" and values * 4 > SUM_SHARE * memory.free_bytes(self.device)
        return torch.device("cpu") if self.aside or beyond else self.device


def _too_large(padded: Tensor, window: tuple[int, ...], device: torch.device) -> str:
    voxels, edges = (" x ".join(map(str, shape)) for shape in (padded.shape[1:], window))
    free = machine.gib(memory.free_bytes(device))
    return (
        f"an image of {voxels} voxels cannot be predicted on {device}, not even one window of {edges} at a time: "
        f"{free} of memory are free; free more of it, or use a device that has more"
    )
