"""Uncertainty of averages over subjects: bootstrap intervals, paired differences, the one-standard-error rule.

Cases of one subject are alike, so *subjects* are resampled and bring all their cases (Davison and Hinkley, Bootstrap
Methods, 1997, section 3.8). Scores come as a table (N cases, T targets) with NaN where a score is undefined. The
estimate averages each target over the cases that define it, then the targets. A target that no case defines is left out
as a whole and by everyone; a resample in which another target happens to be undefined is left out, because averaging
the remaining targets would estimate something else.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import stats

RESAMPLES = 2000
FEWEST_SUBJECTS = 6
"""For an interval. All of n subjects lie on the same side of what is estimated with probability 2 / 2^n, and then no
resample reaches the other side: with five, an interval that says 95 % is wrong more often than that by this alone."""
Table = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % percentile interval.

    Attributes:
        value: None: undefined, no score at all.
        low, high: None where the value is, and with fewer subjects than an interval needs.
        n: Cases with at least one defined score.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int


def target_means(table: Table) -> Table:
    """Mean of each target over the cases that define it, (T,); NaN where none does."""
    defined = ~np.isnan(table)
    counts = defined.sum(axis=0)
    sums = np.where(defined, table, 0.0).sum(axis=0)
    return np.divide(sums, counts, out=np.full(table.shape[1], np.nan), where=counts > 0)


def mean_of_targets(table: Table) -> float | None:
    """Per target first, then over targets; None where nothing is defined.

    >>> mean_of_targets(np.array([[1.0, 0.5], [0.8, np.nan]]))
    0.7
    """
    means = target_means(table)
    return float(np.nanmean(means)) if np.isfinite(means).any() else None


def interval(table: Table, subjects: Sequence[str], seed: int) -> Estimate:
    """The mean over targets with its bootstrap interval. A table with one column gives that target's mean."""
    return _estimate(mean_of_targets(table), resampled(table, subjects, seed), table, subjects)


def paired_interval(first: Table, second: Table, subjects: Sequence[str], seed: int) -> Estimate:
    """First minus second, both on the same resamples of the same cases."""
    means = mean_of_targets(first), mean_of_targets(second)
    value = None if means[0] is None or means[1] is None else means[0] - means[1]
    draws = resampled(first, subjects, seed) - resampled(second, subjects, seed)
    return _estimate(value, draws, np.where(np.isnan(first), second, first), subjects)


def paired_interval_of_best(first: Table, second: Table, subjects: Sequence[str], seed: int, compared: int) -> Estimate:
    """First minus second, where first was the best of several: an interval that holds for all of them together.

    The luckiest of ``compared`` looks better than it is. So each gets an interval at the level 1 - 0.05 / ``compared``,
    and with probability 0.95 none of them errs, whichever was picked and however alike they are (Dunn, Multiple
    Comparisons Among Means, JASA 56:52, 1961). As there, it is Student's, with the standard error over subjects: so far
    out, percentiles of a bootstrap hang on a few resamples, and with few subjects they cannot reach out at all.

    Args:
        first: The best (N, T).
        second: What each was compared with (N, T).
        subjects: Of each row.
        seed: Of the resamples.
        compared: How many the best was picked from, itself among them.
    """
    plain = paired_interval(first, second, subjects, seed)
    if plain.value is None or plain.low is None:
        return plain
    count = len(set(subjects))
    error = paired_standard_error(first, second, subjects, seed) * (count / (count - 1)) ** 0.5  # unbiased
    reach = float(stats.t.ppf(1 - 0.025 / compared, count - 1)) * error
    return Estimate(plain.value, plain.value - reach, plain.value + reach, plain.n)


def paired_standard_error(first: Table, second: Table, subjects: Sequence[str], seed: int) -> float:
    """Bootstrap standard error of first minus second; 0 where it cannot be known (one subject)."""
    draws = resampled(first, subjects, seed) - resampled(second, subjects, seed)
    draws = draws[np.isfinite(draws)]
    return float(draws.std()) if len(draws) and len(set(subjects)) > 1 else 0.0


def resampled(table: Table, subjects: Sequence[str], seed: int) -> Table:
    """The mean over targets in each of ``RESAMPLES`` resamples of the subjects; NaN where it is undefined.

    The same seed and subjects give the same resamples, which is what makes paired comparisons paired.
    """
    if len(table) != len(subjects):
        raise ValueError(f"{len(table)} rows of scores but {len(subjects)} subjects")
    names, row_of = np.unique(np.asarray(subjects, dtype=str), return_inverse=True)
    if not len(names):
        return np.full(RESAMPLES, np.nan)
    draws = _draws(len(names), seed)
    defined = ~np.isnan(table[:, ~np.isnan(table).all(axis=0)])
    scores = np.where(defined, table[:, ~np.isnan(table).all(axis=0)], 0.0)
    sums, counts = np.zeros((2, len(names), defined.shape[1]))
    np.add.at(sums, row_of, scores)
    np.add.at(counts, row_of, defined)
    drawn_sums, drawn_counts = draws @ sums, draws @ counts
    means = np.divide(drawn_sums, drawn_counts, out=np.full(drawn_sums.shape, np.nan), where=drawn_counts > 0)
    return means.mean(axis=1) if means.shape[1] else np.full(RESAMPLES, np.nan)


@lru_cache(maxsize=4)
def _draws(subjects: int, seed: int) -> Table:
    """How often each subject is drawn in each resample, (RESAMPLES, subjects); floats, for fast products."""
    counts = np.random.default_rng(seed).multinomial(subjects, np.full(subjects, 1 / subjects), size=RESAMPLES)
    draws = counts.astype(np.float64)
    draws.setflags(write=False)
    return draws


def rank_interval(first: Table, second: Table, subjects: Sequence[str], seed: int) -> Estimate:
    """Spearman's correlation of two scores per case, with its interval over subjects.

    Ranks are those among all cases, in each resample too. Undefined where all values of either score are equal.

    Args:
        first: (N,), all defined.
        second: The same of the other score.
        subjects: Whose cases they are.
        seed: Of the resamples.

    >>> rank_interval(np.array([0.1, 0.4, 0.2]), np.array([3.0, 9.0, 5.0]), ("a", "b", "c"), 0).value
    1.0
    """
    if not len(first) or np.ptp(first) == 0 or np.ptp(second) == 0:
        return Estimate(None, None, None, len(first))
    x, y = (stats.rankdata(scores) - (len(scores) + 1) / 2 for scores in (first, second))
    names, row_of = np.unique(np.asarray(subjects, dtype=str), return_inverse=True)
    moments = np.zeros((len(names), 6))
    np.add.at(moments, row_of, np.stack([np.ones(len(x)), x, y, x * x, y * y, x * y], axis=1))
    whole = float(np.round(_correlation(moments.sum(axis=0, keepdims=True))[0], 12))
    draws = _correlation(_draws(len(names), seed) @ moments)
    return _estimate(whole, draws, np.stack([first, second], axis=1), subjects)


def _correlation(moments: Table) -> Table:
    """Pearson's correlation from (M, 6) sums of 1, x, y, xx, yy, xy; NaN where either does not vary."""
    n, x, y, xx, yy, xy = moments.T
    spread = np.sqrt(np.maximum(n * xx - x * x, 0) * np.maximum(n * yy - y * y, 0))
    return np.divide(n * xy - x * y, spread, out=np.full(len(n), np.nan), where=spread > 1e-9)


def _estimate(value: float | None, draws: Table, table: Table, subjects: Sequence[str]) -> Estimate:
    scored: npt.NDArray[np.bool_] = np.any(~np.isnan(table), axis=1)
    n, draws = int(scored.sum()), draws[np.isfinite(draws)]
    if value is None or len(set(itertools.compress(subjects, scored))) < FEWEST_SUBJECTS or not len(draws):
        return Estimate(value, None, None, n)
    low, high = np.percentile(draws, [2.5, 97.5])
    return Estimate(value, float(low), float(high), n)
