"""Expected Dice beside true Dice: how far off, how often within the interval, how many bad masks were pointed out."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

from autoseg.contracts import ExpectationError, ExpectedDice

Values = npt.NDArray[np.float64]


def compare(
    expected: Sequence[ExpectedDice], dice: Sequence[float | None], constant: Sequence[float], low: Sequence[float]
) -> ExpectationError:
    """Hold expectations against the truth.

    Args:
        expected: Of each mask.
        dice: What it has; None: not defined, the mask is left out.
        constant: What would be said of each without looking at it.
        low: Of each, the Dice below which it is a bad one.
    """
    known = [row for row in zip(expected, dice, constant, low, strict=True) if row[1] is not None]
    told = [(one, true, always) for one, true, always, _ in known if one.dice is not None]
    bad = np.array([true is not None and true < limit for _, true, _, limit in known], dtype=bool)
    flagged = np.array([bool(one.look) for one, _, _, _ in known], dtype=bool)
    found = ExpectationError(
        cases=len(told), low=int(bad.sum()), flagged=int(flagged.sum()), low_flagged=int((bad & flagged).sum())
    )
    if not told:
        return found
    columns = zip(*((one.dice, one.low, one.high, true, always) for one, true, always in told), strict=True)
    guess, least, most, true, always = (np.array(column, dtype=np.float64) for column in columns)
    return found.model_copy(
        update={
            "error": float(np.abs(guess - true).mean()),
            "constant_error": float(np.abs(always - true).mean()),
            "bias": float((guess - true).mean()),
            "rank_correlation": _rank_correlation(guess, true),
            "inside": float(np.mean((least <= true) & (true <= most))),
        }
    )


def _rank_correlation(guess: Values, true: Values) -> float | None:
    if len(guess) < 2 or np.ptp(guess) == 0 or np.ptp(true) == 0:
        return None
    return float(stats.spearmanr(guess, true).statistic)
