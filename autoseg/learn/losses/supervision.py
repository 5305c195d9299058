"""Deep supervision: coarser outputs of a network are judged too, against a coarser truth and with less weight.

Weights: Isensee et al. 2021 (doi:10.1038/s41592-020-01008-z).
"""

from collections.abc import Sequence

from torch import Tensor


def supervision_weights(outputs: int) -> list[float]:
    """Weight of each output of a deeply supervised network: halved per level, summing to 1.

    >>> supervision_weights(2)
    [0.6666666666666666, 0.3333333333333333]
    """
    raw = [0.5**level for level in range(outputs)]
    return [weight / sum(raw) for weight in raw]


def coarsen(target: Tensor, scale: Sequence[int]) -> Tensor:
    """Every ``scale``-th voxel of (B, …), taken from the middle of its block.

    >>> import torch
    >>> coarsen(torch.arange(6)[None], (3,))
    tensor([[1, 4]])
    """
    return target[(slice(None), *(slice(s // 2, None, s) for s in scale))]
