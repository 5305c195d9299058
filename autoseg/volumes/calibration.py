"""How far probabilities can be believed: reliability in bins, and the expected calibration error (ECE).

A voxel whose structure was predicted with 0.8 should hold it in 80 % of cases. Probabilities are sorted into bins of
equal width over [0, 1], each closed on its left, the last on both sides; the error of a bin is the distance between the
mean probability in it and the share that came true, and ECE is the mean over bins, weighted by how much each holds
(Naeini et al., AAAI 2015; Guo et al., On Calibration of Modern Neural Networks, ICML 2017, who use 15 bins).

What is counted decides the number. Background far from any structure is certain and right, and hides errors elsewhere:
count the voxels inside a box around the structure, the same box for whatever is compared, and say so.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BINS = 15
Sums = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Reliability:
    """Counts of a reliability diagram, each (BINS,). Those of several cases add up to those of all.

    Attributes:
        count: Predictions in each bin.
        predicted: Sum of their probabilities.
        true: How many of them came true.
    """

    count: Sums
    predicted: Sums
    true: Sums

    def __add__(self, other: "Reliability") -> "Reliability":
        return Reliability(self.count + other.count, self.predicted + other.predicted, self.true + other.true)

    def times(self, share: float) -> "Reliability":
        """As if each prediction had been met ``share`` times."""
        return Reliability(self.count * share, self.predicted * share, self.true * share)

    def expected_error(self) -> float | None:
        """ECE, from 0 to 1; None without predictions."""
        total = self.count.sum()
        return float(np.abs(self.predicted - self.true).sum() / total) if total else None


def certain(count: float, right: float) -> Reliability:
    """So many predictions of probability 1, and how many of them came true.

    >>> certain(4.0, 3.0).expected_error()
    0.25
    """
    last = np.zeros(BINS)
    last[-1] = 1.0
    return Reliability(last * count, last * count, last * right)


def reliability(probabilities: npt.NDArray[np.floating], truth: npt.NDArray[np.bool_]) -> Reliability:
    """Sort predictions into bins.

    Args:
        probabilities: From 0 to 1, of any shape: of a structure, or of the class that was chosen.
        truth: Of the same shape: whether the structure is there, or the chosen class is the right one.

    Raises:
        ValueError: The shapes differ, or a probability is not in [0, 1].

    >>> found = reliability(np.array([0.8, 0.8, 0.8, 0.8]), np.array([True, True, True, False]))
    >>> round(found.expected_error(), 6)
    0.05
    """
    if probabilities.shape != truth.shape:
        raise ValueError(f"probabilities {probabilities.shape} and truth {truth.shape} differ in shape")
    values = probabilities.ravel().astype(np.float64)
    if not np.all((values >= 0) & (values <= 1)):
        raise ValueError("probabilities must lie in [0, 1] and be numbers")
    bins = np.minimum((values * BINS).astype(np.intp), BINS - 1)
    counts = (np.bincount(bins, weights, minlength=BINS) for weights in (None, values, truth.ravel()))
    return Reliability(*(each.astype(np.float64) for each in counts))
