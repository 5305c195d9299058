"""Probabilities as whole numbers of 1/255: what is kept of out-of-fold predictions, and what calibration speaks of.

A network gives most of a volume some tiny probability, and how tiny says nothing of how often it is wrong there. Below
half a step all of it is 0, in what a temperature is fitted on and in what it is applied to.
"""

import numpy as np
import numpy.typing as npt

STEPS = 255


def quantized(probabilities: npt.NDArray[np.float32], *, exclusive: bool) -> npt.NDArray[np.uint8]:
    """Probabilities (H, ...) as whole numbers of 1/255 that decide as they do themselves.

    Rounding alone would make ties of what is nearly one, and all ties fall to the lower class: in a network that is
    sure of little that moved the mean Dice by 3e-4. So where the winner changes, it is put ahead again.

    >>> quantized(np.float32([[0.4999], [0.5001]]), exclusive=True).tolist()
    [[127], [128]]
    """
    whole = np.ceil(probabilities * STEPS - 0.5).astype(np.uint8)  # over one half stays so: half a step rounds down
    if exclusive:
        winner, found = probabilities.argmax(axis=0), whole.argmax(axis=0)
        wrong = np.nonzero(winner != found)
        ahead = whole.max(axis=0)[wrong] + (winner > found)[wrong]
        whole[(winner[wrong], *wrong)] = np.minimum(ahead, STEPS)
    return whole


def rounded(probabilities: npt.NDArray[np.float32], *, exclusive: bool) -> npt.NDArray[np.float32]:
    """The same as probabilities; exclusive heads sum to 1 nearly. What is no number stays so.

    >>> rounded(np.float32([[0.999], [0.001]]), exclusive=True).tolist()
    [[1.0], [0.0]]
    """
    kept = quantized(np.nan_to_num(probabilities), exclusive=exclusive) / np.float32(STEPS)
    return np.where(np.isnan(probabilities), np.float32(np.nan), kept)


def as_probabilities(kept: npt.NDArray[np.float32] | npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Whole numbers of 1/255 as probabilities; probabilities as they are."""
    if kept.dtype == np.uint8:
        return np.divide(kept, np.float32(STEPS), dtype=np.float32)
    return kept.astype(np.float32, copy=False)
