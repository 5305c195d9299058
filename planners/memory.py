"""Peak memory of training a network, in bytes, from its layers.

Weights with all that optimizing adds to them, feature maps kept for the backward pass, the gradient of the widest
layer, the loss, the batch, and a floor for the framework. Each term is counted on the high side: PyTorch was seen to
keep just under two tensors per layer output where 2.5 are counted. (Isensee et al. 2024 report 7.7 GB on an A100 for
a patch of 128 x 128 x 128, batch 2, 32 features; predicted here: 8.7 GB.)
"""

from math import prod

from planners.contracts import Budget, NetworkPlan, Precision
from planners.layers import layers, parameters

FLOOR_BYTES = 512 * 2**20  # libraries, kernels, allocator slack
WEIGHT_BYTES = 24  # float32 weight, gradient, two AdamW moments, running average, temporary of the gradient norm
KEPT_COPIES = 2.5  # of each layer's output, in the precision of the computation: convolved, normalised, concatenated
WORKSPACE_COPIES = 3  # of the widest layer's input and output: gradients and what the kernels lay out anew
LOSS_COPIES = 6  # of the network's outputs, in float32: logits, probabilities, targets and their gradients
BATCH_COPIES = 2  # of images and labels, in float32: the batch at work and the one being loaded
USABLE_SHARE = {"cpu": 0.6, "accelerator": 0.85}  # of free memory; on a CPU, data and file cache live there too
ELEMENT_BYTES: dict[Precision, int] = {"fp32": 4, "bf16": 2, "fp16": 2}


def training_bytes(network: NetworkPlan, patch: tuple[int, ...], batch: int, precision: Precision) -> int:
    """Peak bytes of one training step.

    >>> from planners.topology import unet
    >>> net = unet((128, 128, 128), (1.0, 1.0, 1.0), channels=1, heads=3, width=32, most_stages=6)
    >>> round(training_bytes(net, (128, 128, 128), 2, "fp16") / 1e9, 1)
    8.7
    """
    walk = layers(network, patch)
    element = ELEMENT_BYTES[precision]
    per_weight = WEIGHT_BYTES + (element if precision != "fp32" else 0)
    kept = KEPT_COPIES * element * sum(layer.outputs for layer in walk)
    workspace = WORKSPACE_COPIES * element * max(layer.inputs + layer.outputs for layer in walk)
    loss = LOSS_COPIES * 4 * sum(layer.outputs for layer in walk if layer.kind == "head")
    data = BATCH_COPIES * 4 * (network.in_channels + 1) * prod(patch)
    return FLOOR_BYTES + per_weight * parameters(network) + int(batch * (kept + workspace + loss + data))


def usable_bytes(budget: Budget) -> int:
    """The part of the budget's memory that a plan may fill."""
    share = USABLE_SHARE["cpu" if budget.device == "cpu" else "accelerator"]
    return int(budget.memory_bytes * share)
