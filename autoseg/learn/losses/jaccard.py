"""The Lovász loss: a convex surrogate of the Jaccard index itself, which sorts voxels by how wrong they are.

Source: Berman et al. 2018, The Lovász-Softmax loss (arXiv:1705.08790).
"""

import torch
from torch import Tensor

from autoseg.learn.losses.comparison import Comparison


def lovasz(seen: Comparison) -> Tensor:
    """Mean over targets, of each sample or with ``batch_dice`` of the batch: 0 at best, 1 at worst.

    Absent targets count too: their Jaccard index is lost with the first voxel, so the worst one is what they cost.
    """
    truth = seen.truth
    errors = (truth.to(seen.logits.dtype) - seen.probabilities).abs() * seen.annotated
    if seen.batch_dice:
        errors, truth = errors.transpose(0, 1).flatten(1), truth.transpose(0, 1).flatten(1)
    else:
        errors, truth = errors.flatten(2), truth.flatten(2)
    errors, order = errors.sort(dim=-1, descending=True)
    return (errors * _steps(truth.gather(-1, order))).sum(-1).mean()


def _steps(truth: Tensor) -> Tensor:
    """What each voxel adds to the Jaccard loss if voxels become wrong in this order; (…, N) bool to (…, N) float32.

    >>> _steps(torch.tensor([[True, False, True]]))
    tensor([[0.5000, 0.1667, 0.3333]])
    """
    size = truth.sum(-1, keepdim=True)
    shared = size - truth.cumsum(-1)
    union = size + (~truth).cumsum(-1)
    loss = 1 - shared / union
    return torch.diff(loss, dim=-1, prepend=torch.zeros_like(loss[..., :1]))
