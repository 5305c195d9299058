"""Seconds, predicted from the machine's measured speed: per training step, per case, per stage.

A training step is three forward passes' worth of arithmetic (forward, gradient of inputs, gradient of weights), plus
memory traffic of norms and activations, the loss, the update, and a fixed overhead; on a CPU also the augmentation,
which shares the cores. The measured correction in the budget scales the sum. The constants of the CPU were fitted to 20
plans by ``python -m benchmarks.planner_cost``, whose results on others are kept in ``benchmarks/results``; those of
accelerators have not been measured yet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from planners.contracts import Budget, NetworkPlan, Shape, Throughput
from planners.errors import PlanningError
from planners.layers import Layer, layers, parameters
from planners.memory import ELEMENT_BYTES

PASSES_PER_STEP = 3  # forward, gradient of inputs, gradient of weights
CHANNEL_BLOCK = 16  # kernels work on blocks of channels: measured on a CPU, 12 features cost what 16 do, 8 half
TRAFFIC_INFERENCE = 4  # times each layer output is read or written outside convolutions
AUGMENTATION_S = 1e-7  # per voxel and channel, beside a training that wants the same cores
WINDOW_STEP = 0.5  # of the patch, between neighbouring inference windows
CASE_S = 0.05  # opening, cropping, writing one case
PREPROCESSING_S = 2e-7  # per source voxel and channel, on one core: normalize, resample, write
RESTORING_S = 3e-8  # per voxel and output channel: weighted average of windows, resampling, labels
SCORING_S = 4e-7  # per voxel and label: distances, and the candidates that selection compares
CLOSING_S = 20.0  # report, model, libraries


@dataclass(frozen=True)
class Constants:
    """How a kind of machine spends a training step, relative to what is measured of it.

    Attributes:
        arithmetic: Share of the measured unit's time that is arithmetic; the unit also normalizes and activates.
        traffic: Times each layer output is read or written outside convolutions, forward and backward.
        update: Bytes read and written per weight: gradient and its norm, moments, weight, running average.
        loss_s: Seconds per logit, forward and backward.
    """

    arithmetic: float
    traffic: float
    update: float
    loss_s: float


CPU = Constants(arithmetic=0.63, traffic=26, update=180, loss_s=1.4e-8)
ACCELERATOR = Constants(arithmetic=1.0, traffic=12, update=48, loss_s=0.0)

Shapes = Sequence[Shape] | np.ndarray
"""(cases, 3) in voxels."""


def throughput(budget: Budget, dimension: int) -> Throughput:
    """The measurement closest to what training will do.

    Raises:
        PlanningError: Nothing was measured.
    """
    if not budget.throughputs:
        raise PlanningError(
            f"the budget of device {budget.device!r} holds no measured throughput; measure the machine again"
        )
    return max(budget.throughputs, key=lambda t: (t.dimension == dimension, t.precision == budget.precision))


def forward_flops(network: NetworkPlan, patch: tuple[int, ...]) -> int:
    """Floating-point operations of a forward pass over one patch: convolutions, transposed convolutions and heads."""
    return sum(layer.flops for layer in layers(network, patch))


def kernel_flops(layer: Layer) -> float:
    """Operations as kernels carry them out: channels rounded up to whole blocks, but for an image's own few.

    >>> from planners.topology import unet
    >>> net = unet((8, 8), (1.0, 1.0), channels=1, heads=2, width=12, most_stages=2)
    >>> [kernel_flops(layer) / layer.flops for layer in layers(net, (8, 8))][:3]
    [1.3333333333333333, 1.7777777777777777, 1.7777777777777777]
    """
    padded = 1.0
    for channels in layer.channels:
        if channels > CHANNEL_BLOCK // 4:
            padded *= -(-channels // CHANNEL_BLOCK) * CHANNEL_BLOCK / channels
    return layer.flops * padded


def step_s(network: NetworkPlan, patch: tuple[int, ...], batch: int, budget: Budget) -> float:
    """Seconds per training step."""
    machine = throughput(budget, network.dimension)
    walk, kind = layers(network, patch), CPU if budget.device == "cpu" else ACCELERATOR
    arithmetic = kind.arithmetic * PASSES_PER_STEP * batch * sum(kernel_flops(layer) for layer in walk)
    outputs = batch * sum(layer.outputs for layer in walk) * ELEMENT_BYTES[budget.precision]
    traffic = kind.traffic * outputs + kind.update * parameters(network)
    logits = batch * sum(layer.outputs for layer in walk if layer.kind == "head")
    augmentation = AUGMENTATION_S * batch * network.in_channels * prod(patch) if budget.device == "cpu" else 0.0
    seconds = arithmetic / machine.flops_per_s + traffic / machine.bytes_per_s + kind.loss_s * logits + augmentation
    return (seconds + budget.step_overhead_s) * budget.step_time_correction


def case_inference_s(network: NetworkPlan, patch: tuple[int, ...], shapes: Shapes, budget: Budget) -> float:
    """Seconds to predict a case with one model and no test-time augmentation, averaged over cases.

    Args:
        network: The plan.
        patch: Inference windows have this size.
        shapes: Cases after resampling, (z, y, x).
        budget: The machine.
    """
    machine = throughput(budget, network.dimension)
    walk = layers(network, patch)
    traffic = TRAFFIC_INFERENCE * sum(layer.outputs for layer in walk) * ELEMENT_BYTES[budget.precision]
    window_s = sum(kernel_flops(layer) for layer in walk) / machine.flops_per_s + traffic / machine.bytes_per_s
    window_s = (window_s + budget.step_overhead_s / PASSES_PER_STEP) * budget.step_time_correction
    voxels = np.prod(np.asarray(shapes, dtype=float), axis=1).mean()
    return float(CASE_S + windows(shapes, patch) * window_s + voxels * network.heads * RESTORING_S)


def windows(shapes: Shapes, patch: tuple[int, ...]) -> float:
    """Inference windows per case, averaged over cases; a two-dimensional patch visits every slice.

    >>> windows([(3, 128, 192)], (128, 128))
    6.0
    """
    edges = np.asarray((1, *patch) if len(patch) == 2 else patch, dtype=float)
    beyond = np.maximum(np.asarray(shapes, dtype=float) - edges, 0.0)
    return float(np.prod(np.ceil(beyond / np.maximum(edges * WINDOW_STEP, 1.0)) + 1, axis=1).mean())


def preprocessing_s(shapes: Shapes, channels: int, budget: Budget) -> float:
    """Seconds to preprocess all cases for one configuration."""
    voxels = float(np.prod(np.asarray(shapes, dtype=float), axis=1).sum())
    return (CASE_S * len(shapes) + PREPROCESSING_S * channels * voxels) / max(1, min(budget.cores, 4))


def closing_s(shapes: Shapes, labels: int) -> float:
    """Seconds for scoring, selection and report."""
    voxels = float(np.prod(np.asarray(shapes, dtype=float), axis=1).sum())
    return CLOSING_S + CASE_S * len(shapes) + SCORING_S * labels * voxels
