"""A network plan, layer by layer: what each layer computes, stores and learns.

Memory and cost are both sums over layers, so the walk through the U-shape is written once, here. One stage of the
encoder is ``convolutions`` units of convolution, instance norm and leaky ReLU, the first of them strided; one level of
the decoder is a transposed convolution (kernel = stride), a concatenation with the encoder's output, such units again,
and a 1x1 head. Without deep supervision only the head of the full resolution is counted. A residual encoder has one
unit, then blocks of two, with a 1x1 unit as shortcut where the number of features changes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Literal

from planners.contracts import NetworkPlan


@dataclass(frozen=True)
class Layer:
    """One layer applied to one sample.

    Attributes:
        kind: A convolution unit (with norm and activation), a transposed convolution, or a head.
        channels: In and out.
        flops: Floating-point operations of a forward pass, two per multiplication-addition.
        weights: Learnable numbers, bias and norm included.
        inputs: Elements read.
        outputs: Elements written, all channels.
    """

    kind: Literal["unit", "up", "head"]
    channels: tuple[int, int]
    flops: int
    weights: int
    inputs: int
    outputs: int


def stage_shapes(network: NetworkPlan, patch: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Spatial shape of each resolution stage, full resolution first.

    >>> from planners.topology import unet
    >>> stage_shapes(unet((8, 16), (1.0, 1.0), channels=1, heads=2, width=8, most_stages=2), (8, 16))
    ((8, 16), (4, 8))
    """
    shapes = []
    current = patch
    for stride in network.strides:
        current = tuple(-(-edge // step) for edge, step in zip(current, stride, strict=True))
        shapes.append(current)
    return tuple(shapes)


@lru_cache(maxsize=256)  # memory and cost ask for each rung of a ladder in turn
def layers(network: NetworkPlan, patch: tuple[int, ...]) -> tuple[Layer, ...]:
    """All layers in the order of a forward pass.

    Args:
        network: The plan.
        patch: Voxels along the patch's axes, (z, y, x) or (y, x).
    """
    voxels = tuple(prod(shape) for shape in stage_shapes(network, patch))
    return (*_encoder(network, prod(patch), voxels), *_decoder(network, voxels))


def parameters(network: NetworkPlan) -> int:
    """Number of learnable values; independent of the patch."""
    smallest = tuple(prod(stride[axis] for stride in network.strides) for axis in range(network.dimension))
    walk = layers(network.model_copy(update={"deep_supervision": True}), smallest)
    return sum(layer.weights for layer in walk)


def _encoder(network: NetworkPlan, patch_voxels: int, voxels: tuple[int, ...]) -> Iterator[Layer]:
    if network.family == "residual_unet":
        yield from _residual_encoder(network, patch_voxels, voxels)
        return
    channels, before = network.in_channels, patch_voxels
    for stage, features in enumerate(network.features):
        for _ in range(network.convolutions_encoder[stage]):
            yield _unit(channels, features, network.kernels[stage], before, voxels[stage])
            channels, before = features, voxels[stage]


def _residual_encoder(network: NetworkPlan, patch_voxels: int, voxels: tuple[int, ...]) -> Iterator[Layer]:
    channels, before = network.features[0], patch_voxels
    yield _unit(network.in_channels, channels, network.kernels[0], patch_voxels, patch_voxels)
    for stage, features in enumerate(network.features):
        kernel, after = network.kernels[stage], voxels[stage]
        for _ in range(network.convolutions_encoder[stage]):
            yield _unit(channels, features, kernel, before, after)
            yield _unit(features, features, kernel, after, after)
            if channels != features:
                yield _unit(channels, features, (1,) * len(kernel), after, after)
            channels, before = features, after


def _decoder(network: NetworkPlan, voxels: tuple[int, ...]) -> Iterator[Layer]:
    for stage in reversed(range(len(network.features) - 1)):
        below, features = network.features[stage + 1], network.features[stage]
        yield _up(below, features, prod(network.strides[stage + 1]), voxels[stage + 1], voxels[stage])
        channels = 2 * features
        for _ in range(network.convolutions_decoder[stage]):
            yield _unit(channels, features, network.kernels[stage], voxels[stage], voxels[stage])
            channels = features
        if network.deep_supervision or stage == 0:
            yield _head(features, network.heads, voxels[stage])


def _unit(channels: int, features: int, kernel: tuple[int, ...], before: int, after: int) -> Layer:
    products = prod(kernel) * channels * features
    weights = products + 3 * features
    return Layer("unit", (channels, features), 2 * products * after, weights, channels * before, features * after)


def _up(channels: int, features: int, taps: int, before: int, after: int) -> Layer:
    products = channels * features  # kernel equals stride: each output voxel sees one tap
    weights = products * taps + features
    return Layer("up", (channels, features), 2 * products * after, weights, channels * before, features * after)


def _head(channels: int, heads: int, voxels: int) -> Layer:
    products = channels * heads
    weights = products + heads
    return Layer("head", (channels, heads), 2 * products * voxels, weights, channels * voxels, heads * voxels)
