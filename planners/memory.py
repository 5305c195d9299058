"""Peak memory of training a network, in bytes: one step is followed layer by layer, and its largest moment counts.

What a layer's forward pass keeps for the backward pass is freed there, layer by layer, while gradients appear. So the
largest moment is the loss (many heads), the way back through the full resolution (large patches) or the update (many
weights). All three are looked at. Copies were counted in memory traces of the networks at hand; on a CPU the allocator
adds a share of its own, and libraries a floor: both fitted to the memory of fresh processes by
``python -m benchmarks.planner_memory``, whose results are kept in ``benchmarks/results/planner_memory.md``. On
accelerators none of this has been measured yet.
"""

from math import prod
from typing import Literal

from planners.contracts import Budget, LabelKind, LossName, NetworkPlan, Precision, TrainingPlan
from planners.layers import Layer, layers, parameters

FLOOR_BYTES = 160 * 2**20  # libraries that load with the first step, their kernels, threads
ALLOCATOR_SHARE = 0.08  # of the tensors, that the allocator holds beside them: room between blocks in use
BATCHES = 14  # copies of images and labels: read ahead (larger where they will be turned), turned, stacked, laid out
STATE_BYTES = {"sgd": 12, "adamw": 16}  # per weight, in float32: itself, its running average, one moment or two
GRADIENT_BYTES = 4  # per weight
UNIT_COPIES = 2  # of a unit's output: before and after normalization; the activation works in place
CONVOLUTION_COPIES = 1  # of a unit's output, in low precision: laid out anew to differentiate a convolution
HEAD_COPIES = 2  # of a head's input, in low precision: in float32, to differentiate it
WEIGHT_COPIES = 2  # of a layer's weights, in float32: their gradient as kernels make it, temporaries of the update
LOW_WEIGHT_COPIES = 1.25  # of all weights, in low precision: what convolutions use, some gradients before conversion
USABLE_SHARE = {"cpu": 0.6, "accelerator": 0.65}
"""Of free memory, that predictions may fill. On a CPU, data and file cache live there too. On accelerators nothing has
been measured, and the one published figure is 1.3 times the prediction: 7.7 GB (Isensee et al. 2024, A100) for the plan
of the example below, of which 5.9 GB are predicted."""
LOSS_BYTES: dict[LossName, int] = {
    "dice_ce": 0,
    "dice_focal": 16,
    "dice_topk": 1,
    "topk": 0,
    "tversky": 0,
    "tversky_ce": 0,
    "focal_tversky": 0,
    "focal_tversky_ce": 0,
    "generalized_dice": 0,
    "generalized_dice_ce": 4,
    "lovasz": 29,
    "lovasz_ce": 37,
    "exponential_logarithmic": 12,
    "dice_ce_boundary": 10,
    "dice_ce_hausdorff": 15,
}
"""Per logit, that a loss takes beside those of Dice with cross-entropy; the dearer of both kinds of labels, traced."""
ELEMENT_BYTES: dict[Precision, int] = {"fp32": 4, "bf16": 2, "fp16": 2}

Optimizer = Literal["sgd", "adamw"]


def training_bytes(
    network: NetworkPlan,
    patch: tuple[int, ...],
    batch: int,
    precision: Precision,
    *,
    optimizer: Optimizer = "adamw",
    kind: LabelKind = "regions",
    loss: LossName = "dice_ce",
) -> int:
    """Most bytes that training adds to a process, or takes from an accelerator.

    Args:
        network: The plan.
        patch: Voxels along the patch's axes.
        batch: Patches per step.
        precision: Of the convolutions.
        optimizer: By default the dearer one.
        kind: Of the labels; by default the dearer one.
        loss: What is minimised.

    >>> from planners.topology import unet
    >>> net = unet((128, 128, 128), (1.0, 1.0, 1.0), channels=1, heads=3, width=32, most_stages=6)
    >>> round(training_bytes(net, (128, 128, 128), 2, "fp16", optimizer="sgd", kind="exclusive") / 1e9, 1)
    5.9
    """
    walk, weights = layers(network, patch), parameters(network)
    low = precision != "fp32"
    largest = WEIGHT_COPIES * 4 * max(layer.weights for layer in walk)
    per_logit = _loss_bytes(loss, kind, network.heads, low)
    step = _step_bytes(walk, network, batch, ELEMENT_BYTES[precision], per_logit) + largest
    step += LOW_WEIGHT_COPIES * ELEMENT_BYTES[precision] * weights if low else 0
    update = GRADIENT_BYTES * weights + largest
    data = BATCHES * batch * prod(patch) * (4 * network.in_channels + 2)
    tensors = STATE_BYTES[optimizer] * weights + max(step, update) + data
    return FLOOR_BYTES + int((1 + ALLOCATOR_SHARE) * tensors)


def planned_bytes(network: NetworkPlan, training: TrainingPlan, kind: LabelKind) -> int:
    """``training_bytes`` of a whole plan for labels of this kind."""
    return training_bytes(
        network,
        training.patch_vox,
        training.batch,
        training.precision,
        optimizer=training.optimizer,
        kind=kind,
        loss=training.loss,
    )


def usable_bytes(budget: Budget) -> int:
    """The part of the budget's memory that a plan may fill."""
    share = USABLE_SHARE["cpu" if budget.device == "cpu" else "accelerator"]
    return int(budget.memory_bytes * share)


def _step_bytes(
    walk: tuple[Layer, ...], network: NetworkPlan, batch: int, element: int, loss: tuple[float, float]
) -> float:
    """Feature maps, loss (``_loss_bytes``) and gradients at the largest moment of a forward and a backward pass."""
    low = element < 4
    kept = [_kept_elements(layer) * element for layer in walk]
    if low:
        kept[0] += walk[0].inputs * element  # the image itself, converted
    supervised = sorted((layer.outputs for layer in walk if layer.kind == "head"), reverse=True)
    if len(supervised) > 1:
        supervised.pop()  # the coarsest head has no loss
    outputs, finest = sum(supervised), max(supervised, default=0)
    saved, passing = loss
    live = sum(kept) + element * outputs
    peak = live + saved * outputs + passing * finest
    gradients = 0.0  # of weights, and of feature maps that wait for the encoder; the same for all samples or not
    for layer, freed in zip(reversed(walk), reversed(kept), strict=True):
        peak = max(peak, live + gradients / batch + _passing_elements(layer, low) * element)
        live -= freed
        gradients += (GRADIENT_BYTES - (element if low else 0)) * layer.weights
        if layer.kind == "up":
            live += 2 * element * layer.outputs
    return batch * peak


def _kept_elements(layer: Layer) -> int:
    """What one layer keeps for the backward pass."""
    if layer.kind == "head":
        return 0
    return UNIT_COPIES * layer.outputs  # of a transposed convolution: joined with the skip connection


def _passing_elements(layer: Layer, low: bool) -> float:
    """What one layer needs beside that while it is differentiated."""
    if layer.kind == "head":
        return layer.inputs * (1 + (HEAD_COPIES if low else 0))
    if layer.kind == "up":
        return 2 * (layer.inputs + layer.outputs)
    return max(2 * layer.outputs, layer.inputs + (CONVOLUTION_COPIES * layer.outputs if low else 0))


def _loss_bytes(loss: LossName, kind: LabelKind, heads: int, low: bool) -> tuple[float, float]:
    """Per logit: what the loss keeps, and what it needs beside that for the finest output."""
    kept = 9 / heads + LOSS_BYTES[loss]  # targets as integers of eight bytes, and whether they are annotated
    if kind == "exclusive":  # log-probabilities, probabilities, one-hot targets; products and gradients of both
        return 9 + kept, 12 if low else 8
    return 13 + kept, 8  # logits, targets and probabilities of each region in float32, targets; products
