"""Temperature scaling: one number that makes probabilities as sure as they are right (Guo et al., ICML 2017).

All logits are divided by a temperature, which is fitted where the truth is known, by the least negative log-likelihood.
The most probable class of no voxel changes. For one temperature the likelihood has a single optimum.

Probabilities are rounded first (``rounding``), in the fit and in what is shown. Unrounded, the far background, which is
a little unsure everywhere, would have the greatest say. Voxels that one class then has for itself stay as they are at
any temperature: they are counted, right or wrong, and take no part in the fit. Of the others a random sample of bounded
size is kept, and each of its rows stands for several voxels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from autoseg.volumes import calibration
from autoseg.volumes.blending import FLOOR, Heads, tempered
from autoseg.volumes.calibration import Reliability
from autoseg.volumes.rounding import STEPS, rounded
from planners.contracts import LabelKind

LEAST, MOST = 0.25, 4.0
"""A temperature outside says that probabilities mean little, and is cut."""
_CERTAIN = 1 - 0.5 / STEPS
_PRECISION = 1e-3  # of the logarithm of a temperature

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Sample:
    """Predictions of one case, the truth of which is known.

    Attributes:
        heads: (H, N) probabilities that compete and sum to 1.
        truth: (N,) which of them is right.
        stands_for: How many predictions each row stands for.
        certain: How many further ones give one head everything.
        certain_right: How many of these are right.
    """

    heads: Heads
    truth: Rows
    stands_for: float
    certain: int
    certain_right: int

    @property
    def count(self) -> int:
        """How many predictions there are."""
        return round(len(self.truth) * self.stands_for) + self.certain

    def reliability(self, temperature: float) -> Reliability:
        """How sure the most probable classes are at a temperature, and how often right."""
        rows = tempered(self.heads, "exclusive", temperature)
        best = rows.argmax(axis=0)
        found = calibration.reliability(np.minimum(rows.max(axis=0, initial=0), 1), best == self.truth)
        return found.times(self.stands_for) + calibration.certain(self.certain, self.certain_right)


def draw(heads: Heads, truth: Rows, most: int | None = None, seed: int | Sequence[int] = 0) -> Sample:
    """Sample the predictions of one case.

    Args:
        heads: (H, N) rounded probabilities that compete.
        truth: (N,) which of them is right.
        most: Rows to keep of those that a temperature can change; None: all.
        seed: Of the choice.
    """
    best = heads.max(axis=0, initial=0)
    sure = best >= _CERTAIN
    certain_right = int(np.count_nonzero(sure & (np.take_along_axis(heads, truth[None], axis=0)[0] == best)))
    rows = np.flatnonzero(~sure)
    count = len(rows)
    if most is not None and count > most:
        rows = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
    stands_for = count / len(rows) if count else 1.0
    return Sample(np.ascontiguousarray(heads[:, rows]), truth[rows], stands_for, len(truth) - count, certain_right)


def calibrated(probabilities: Heads, kind: LabelKind, temperature: float) -> Heads:
    """Probabilities (H, ...) at a temperature; at 1 they stay as they are, at any other they are rounded first."""
    if temperature == 1.0:
        return probabilities
    return tempered(rounded(probabilities, exclusive=kind == "exclusive"), kind, temperature)


def fit(samples: Sequence[Sample]) -> float:
    """The temperature of the least negative log-likelihood; 1 where there is nothing to fit."""
    if not any(len(sample.truth) for sample in samples):
        return 1.0
    logs = np.concatenate([_logarithms(sample) for sample in samples], axis=1)
    truth = np.concatenate([sample.truth for sample in samples])
    stands_for = np.concatenate([np.full(len(sample.truth), sample.stands_for) for sample in samples])
    own = np.take_along_axis(logs, truth[None], axis=0)[0]

    def loss(logarithm: float) -> float:
        power = np.float32(np.exp(-logarithm))
        return float(stands_for @ (np.log(np.exp(power * logs).sum(axis=0)) - power * own))

    bounds = (np.log(LEAST), np.log(MOST))
    best = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": _PRECISION})
    return float(np.exp(best.x))


def _logarithms(sample: Sample) -> Heads:
    """(H, N) logarithms of the probabilities; that of a class which is right is at least that of the floor."""
    heads, columns = sample.heads.astype(np.float32), np.arange(len(sample.truth))
    heads[sample.truth, columns] = np.maximum(heads[sample.truth, columns], FLOOR)
    logs = np.full(heads.shape, -np.inf, dtype=np.float32)
    return np.log(heads, out=logs, where=heads > 0)
