"""The shape of a U-Net: where it pools, with which kernels, how deep and how wide.

A network should see isotropic neighbourhoods in millimetres. So an axis is pooled only while its voxels are less than
twice as thick as those of the finest axis that can still be pooled, and its kernel has extent 1 until then. A thick
axis simply joins some stages later: there is no threshold at which data turn from "isotropic" to "anisotropic".
"""

from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Literal

from planners.contracts import NetworkPlan, Reason

SMALLEST_EDGE = 4  # of the feature map at the bottom; below it padding outweighs content
LONE_AXIS_EDGE = 12  # an axis that would be pooled alone must have this many voxels left
JOIN_RATIO = 2.0  # axes whose voxels differ by less than this are pooled together
CONVOLUTIONS = 2  # per stage, on both sides
RESIDUAL_BLOCKS = (1, 3, 4, 6)  # per stage, the last for all further ones (Isensee et al. 2024, arXiv:2404.09556)
WIDEST = {2: 16, 3: 10}  # most features, as a multiple of the first stage's: 512 and 320 for the usual 32


@dataclass(frozen=True)
class Topology:
    """Strides and kernels per stage, full resolution first."""

    strides: tuple[tuple[int, ...], ...]
    kernels: tuple[tuple[int, ...], ...]

    @property
    def divisors(self) -> tuple[int, ...]:
        """Per axis, what a patch's edge must be a multiple of."""
        return tuple(prod(steps) for steps in zip(*self.strides, strict=True))

    def pad(self, patch: tuple[int, ...]) -> tuple[int, ...]:
        """The smallest patch that holds ``patch`` and is divisible. Its topology is this one again."""
        return tuple(-(-edge // divisor) * divisor for edge, divisor in zip(patch, self.divisors, strict=True))


@lru_cache(maxsize=1024)  # neighbouring rungs of a ladder ask for the same ones
def topology(patch: tuple[int, ...], spacing_mm: tuple[float, ...], most_stages: int) -> Topology:
    """Pool until no axis is long enough, thick axes later than thin ones.

    Args:
        patch: Edges in voxels; need not be divisible yet.
        spacing_mm: Voxel size along the same axes.
        most_stages: Resolution stages allowed, at least 1.

    Source: Isensee et al., Nature Methods 18 (2021), topology adaptation; kernels differ where an axis is exhausted.

    >>> topology((20, 256, 224), (5.0, 1.56, 1.56), 7).divisors
    (4, 32, 32)
    """
    sizes, spacings = list(patch), list(spacing_mm)
    kernel = [1] * len(patch)
    strides, kernels = [(1,) * len(patch)], []
    while len(strides) < most_stages and (pooled := _poolable(sizes, spacings)):
        finest = min(spacings[axis] for axis in pooled)
        for axis in range(len(patch)):
            if patch[axis] > 1 and spacings[axis] / finest < JOIN_RATIO:
                kernel[axis] = 3
        kernels.append(tuple(kernel))
        strides.append(tuple(2 if axis in pooled else 1 for axis in range(len(patch))))
        for axis in pooled:
            sizes[axis] = -(-sizes[axis] // 2)
            spacings[axis] *= 2
    kernels.append(tuple(1 if edge == 1 else 3 for edge in patch))
    return Topology(tuple(strides), tuple(kernels))


def _poolable(sizes: list[int], spacings: list[float]) -> list[int]:
    """Axes to halve next; empty: stop."""
    long_enough = [axis for axis, size in enumerate(sizes) if size >= 2 * SMALLEST_EDGE]
    if not long_enough:
        return []
    finest = min(spacings[axis] for axis in long_enough)
    pooled = [axis for axis in long_enough if spacings[axis] / finest < JOIN_RATIO]
    if len(pooled) == 1 and sizes[pooled[0]] < LONE_AXIS_EDGE:
        return []
    return pooled


def unet(
    patch: tuple[int, ...], spacing_mm: tuple[float, ...], *, channels: int, heads: int, width: int, most_stages: int
) -> NetworkPlan:
    """The U-Net for a patch; features double per stage from ``width`` on, up to a limit that scales with it.

    Deep supervision needs at least two decoder levels to supervise, hence three stages.
    """
    shape = topology(patch, spacing_mm, most_stages)
    stages = len(shape.strides)
    dimension: Literal[2, 3] = 2 if len(patch) == 2 else 3
    return NetworkPlan(
        family="plain_unet",
        dimension=dimension,
        in_channels=channels,
        heads=heads,
        features=tuple(min(width * 2**stage, width * WIDEST[dimension]) for stage in range(stages)),
        strides=shape.strides,
        kernels=shape.kernels,
        convolutions_encoder=(CONVOLUTIONS,) * stages,
        convolutions_decoder=(CONVOLUTIONS,) * (stages - 1),
        deep_supervision=stages >= 3,
    )


def with_residual_encoder(network: NetworkPlan) -> NetworkPlan:
    """The same resolutions and features, with residual blocks on the way down and one convolution on the way up."""
    stages = len(network.features)
    update = {
        "family": "residual_unet",
        "convolutions_encoder": tuple(RESIDUAL_BLOCKS[min(stage, len(RESIDUAL_BLOCKS) - 1)] for stage in range(stages)),
        "convolutions_decoder": (1,) * (stages - 1),
    }
    return network.model_copy(update=update)


def reason(network: NetworkPlan, patch: tuple[int, ...], spacing_mm: tuple[float, ...]) -> Reason:
    """Why the network pools as it does."""
    spacing = " x ".join(f"{value:.3g}" for value in spacing_mm)
    pools = Topology(network.strides, network.kernels).divisors
    return Reason(
        rule="network.topology",
        saw=f"patch {_times(patch)} voxels of {spacing} mm",
        chose=f"{len(network.strides)} stages; edges shrink by {_times(pools)} from top to bottom",
        because=f"an axis is halved while at least {2 * SMALLEST_EDGE} voxels are left and its voxels are less than "
        f"{JOIN_RATIO:g} times as thick as the finest; until then its kernels have extent 1",
        source="Isensee et al., Nature Methods 18 (2021), topology adaptation",
    )


def _times(edges: tuple[int, ...]) -> str:
    return " x ".join(str(edge) for edge in edges)
