"""How unsure a prediction is of one mask: expected Dice, entropy inside, outside and on the outline, disagreement.

None of it needs the truth. The expected Dice takes voxels for what their probabilities say: with M the mask and p the
probability of each voxel, ``2 sum_M p / (|M| + sum p)``, the ratio of what is expected of numerator and denominator.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from autoseg.volumes.labels import Mask
from autoseg.volumes.surfaces import surface

_TINY = 1e-7


@dataclass(frozen=True)
class Doubt:
    """About one mask that is not empty; entropies are in bits.

    Attributes:
        expected_dice: From 0 to 1.
        inside: Mean entropy of the mask's voxels.
        outside: Entropy of all voxels outside, per voxel of the mask.
        outline: Mean entropy of the mask's surface voxels.
    """

    expected_dice: float
    inside: float
    outside: float
    outline: float


def of(probabilities: npt.NDArray[np.floating], mask: Mask, *, plane: bool) -> Doubt:
    """Measure the doubt about a mask of at least one voxel.

    Args:
        probabilities: (z, y, x) that a voxel belongs to the structure.
        mask: (z, y, x).
        plane: The image has one slice.
    """
    voxels = int(np.count_nonzero(mask))
    unsure = _entropy(probabilities)
    return Doubt(
        expected_dice=float(2 * probabilities[mask].sum(dtype=float) / (voxels + probabilities.sum(dtype=float))),
        inside=float(unsure[mask].mean(dtype=float)),
        outside=float(unsure[~mask].sum(dtype=float) / voxels),
        outline=float(unsure[surface(mask, plane=plane)].mean(dtype=float)),
    )


def agreement(masks: Sequence[Mask]) -> float:
    """Mean Dice of all pairs of masks of one shape; 1 where there are no two, or both of a pair are empty.

    >>> one, two = np.array([True, True, False]), np.array([True, False, False])
    >>> round(agreement((one, one, two)), 3)
    0.778
    """
    found = []
    for one, other in combinations(masks, 2):
        total = int(np.count_nonzero(one)) + int(np.count_nonzero(other))
        found.append(2 * int(np.count_nonzero(one & other)) / total if total else 1.0)
    return float(np.mean(found)) if found else 1.0


def _entropy(probabilities: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Of each voxel's being in or out, in bits."""
    sure = np.clip(probabilities, _TINY, 1 - _TINY)
    return np.asarray(-(sure * np.log2(sure) + (1 - sure) * np.log2(1 - sure)))
