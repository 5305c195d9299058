"""The members' probabilities become one: averaged as probabilities or as logits, sharpened before or not.

Averaging probabilities lets a member that is sure outvote one that is not; averaging logits (the geometric mean, as
in products of experts: Hinton, Neural Computation 14:8, 2002) asks for more agreement. A temperature below 1 sharpens
each member first, which moves the average of probabilities towards a vote. One temperature for all logits would change
no decision, so they have none.

All functions work element by element on (H, ...) arrays, so that a table of voxels and a volume give equal bits.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from planners.contracts import LabelKind

Scale = Literal["probabilities", "logits"]
Heads = npt.NDArray[np.float32]
"""Probabilities or logits (H, ...) of one member, or of all."""

FLOOR = np.float32(2.0**-9)
"""Probabilities are at least this (and regions at most one minus this) where logarithms are taken of them: half a step
of the store in which blends are compared, so that what is 0 there is no surer than what is nearly 0 here."""


def on_scale(probabilities: Heads, kind: LabelKind, scale: Scale, temperature: float) -> Heads:
    """What is averaged of one member.

    Args:
        probabilities: (H, ...) from 0 to 1; exclusive heads sum to 1.
        kind: How heads compete.
        scale: Where members are averaged.
        temperature: Above 0; 1 changes nothing. Logits ignore it.
    """
    if scale == "logits":
        low = np.maximum(probabilities, FLOOR)
        return np.log(low) if kind == "exclusive" else np.log(low) - np.log(np.maximum(1 - probabilities, FLOOR))
    return tempered(probabilities, kind, temperature)


def tempered(probabilities: Heads, kind: LabelKind, temperature: float) -> Heads:
    """Probabilities (H, ...) whose logits are divided by a temperature: below 1 they get surer, above 1 less sure.

    The most probable class of a voxel stays so, and what has probability 0 or 1 keeps it.

    >>> [f"{head.item():.3f}" for head in tempered(np.float32([[0.8], [0.2]]), "exclusive", 2.0)]
    ['0.667', '0.333']
    """
    if temperature == 1.0:
        return probabilities
    power = np.float32(1 / temperature)
    sharp: Heads = np.power(probabilities, power)
    rest = sharp.sum(axis=0) if kind == "exclusive" else sharp + np.power(1 - probabilities, power)
    return np.asarray(sharp / rest, dtype=np.float32)


def mean(parts: Iterable[Heads], weights: Sequence[float], kind: LabelKind, scale: Scale) -> Heads:
    """The blended probabilities (H, ...) of members that are ``on_scale`` already; they are asked for one by one.

    Args:
        parts: One array per member; they are left as they are.
        weights: One per member, at least one above 0.
        kind: How heads compete.
        scale: Where the parts are.

    >>> sure, unsure = np.float32([[0.0], [1.0]]), np.float32([[0.75], [0.25]])
    >>> mean((sure, unsure), (1, 1), "exclusive", "probabilities").tolist()
    [[0.375], [0.625]]
    """
    total = sum(weights)
    result: Heads | None = None
    for part, weight in zip(parts, weights, strict=True):
        one = part * np.float32(weight / total)
        result = one if result is None else np.add(result, one, out=result)
    if result is None:
        raise ValueError("no members to blend")
    return result if scale == "probabilities" else _probabilities(result, kind)


def _probabilities(logits: Heads, kind: LabelKind) -> Heads:
    """Softmax or sigmoid of bounded logits, in place."""
    if kind == "exclusive":
        np.exp(logits, out=logits)
        logits /= logits.sum(axis=0)
        return logits
    np.exp(np.negative(logits, out=logits), out=logits)
    return np.divide(1, np.add(logits, 1, out=logits), out=logits)
