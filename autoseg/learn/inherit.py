"""Weights of a trained network for one whose channels or heads differ: matched one by one, new only where needed."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from autoseg.learn import networks
from planners.contracts import NetworkPlan

INPUT = "encoder.0.0.conv.weight"
"""Of every family: what sees the image."""
HEADS = "heads."


def inherited(
    weights: Mapping[str, Tensor],
    plan: NetworkPlan,
    channels: Sequence[int | None],
    heads: Sequence[int | None],
    seed: int,
) -> dict[str, Tensor]:
    """The weights that training starts from.

    Args:
        weights: Of the trained network, whose plan is the same but for channels and heads.
        plan: The network to train.
        channels: For each of its input channels, which one of the trained network it is; None: it is new, and seen with
            the mean of all filters, as the nearest thing to what comes later.
        heads: For each of its heads, which one of the trained network it is; None: it is new, and drawn at random.
        seed: Of new heads.
    """
    state = networks.build(plan, seed).state_dict()
    for name, fresh in state.items():
        known = weights[name]
        if name == INPUT:
            filters = known.unbind(1)
            state[name] = torch.stack([known.mean(1) if c is None else filters[c] for c in channels], dim=1)
        elif name.startswith(HEADS):
            state[name] = torch.stack([new if h is None else known[h] for new, h in zip(fresh, heads, strict=True)])
        else:
            state[name] = known
    return {name: value.clone().contiguous() for name, value in state.items()}
