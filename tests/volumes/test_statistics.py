import numpy as np
import pytest
from scipy import stats

from autoseg.volumes import statistics

NAN = float("nan")


def test_targets_first_then_their_mean():
    table = np.array([[1.0, 0.0], [1.0, NAN], [1.0, NAN]])
    assert statistics.mean_of_targets(table) == 0.5  # not the 0.75 of all defined scores
    assert statistics.target_means(table).tolist() == [1.0, 0.0]


def test_a_target_never_scored_is_left_out_not_averaged():
    table = np.array([[0.8, NAN], [0.6, NAN]])
    assert statistics.mean_of_targets(table) == pytest.approx(0.7)
    assert np.isnan(statistics.target_means(table)[1])
    found = statistics.interval(table[:, [1]], ["a", "b"], 0)
    assert (found.value, found.low, found.high, found.n) == (None, None, None, 0)


def test_no_cases_at_all():
    found = statistics.interval(np.zeros((0, 2)), [], 0)
    assert (found.value, found.low, found.high, found.n) == (None, None, None, 0)


def test_few_subjects_have_no_interval():
    """However many cases they have, and however many others there are that nothing can be scored in."""
    scores = np.linspace(0.5, 0.9, 12)[:, None]
    five = statistics.interval(scores, [f"s{case % 5}" for case in range(12)], 0)
    assert (five.value, five.low, five.high, five.n) == (pytest.approx(0.7), None, None, 12)
    assert statistics.interval(scores, [f"s{case % 6}" for case in range(12)], 0).low is not None
    scores[5:] = np.nan
    assert statistics.interval(scores, [f"s{case}" for case in range(12)], 0).low is None


def test_interval_matches_the_normal_theory():
    scores = np.random.default_rng(0).normal(0.8, 0.05, (200, 1))
    found = statistics.interval(scores, [str(i) for i in range(200)], 3)
    half = 1.96 * scores.std() / np.sqrt(200)
    assert found.low == pytest.approx(scores.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(scores.mean() + half, abs=0.1 * half)
    assert found == statistics.interval(scores, [str(i) for i in range(200)], 3)


def test_copies_of_a_case_do_not_narrow_the_interval():
    scores = np.random.default_rng(1).uniform(0.5, 1, (20, 1))
    names = [str(i) for i in range(20)]
    single = statistics.interval(scores, names, 0)
    copied = statistics.interval(np.repeat(scores, 10, axis=0), np.repeat(names, 10).tolist(), 0)
    assert copied.low == pytest.approx(single.low)
    assert copied.high == pytest.approx(single.high)
    assert copied.n == 200


def test_resamples_without_a_rare_target_are_left_out():
    table = np.full((10, 2), NAN)
    table[:, 0], table[0, 1] = 0.9, 0.1
    found = statistics.interval(table, [str(i) for i in range(10)], 0)
    assert found.low == pytest.approx(0.5)  # every resample that counts has both targets
    assert found.high == pytest.approx(0.5)


def test_pairing_removes_what_both_share():
    rng = np.random.default_rng(2)
    first = rng.uniform(0.3, 1, (40, 2))
    second = first - 0.01 + rng.normal(0, 0.001, first.shape)
    names = [str(i) for i in range(40)]
    gain = statistics.paired_interval(first, second, names, 0)
    assert gain.value == pytest.approx(0.01, abs=1e-3)
    assert 0.009 < gain.low < gain.high < 0.011
    single = statistics.interval(first, names, 0)
    assert single.high - single.low > 0.05
    assert statistics.paired_standard_error(first, second, names, 0) == pytest.approx(0.001 / np.sqrt(80), rel=0.3)
    assert statistics.paired_standard_error(first, second, ["x"] * 40, 0) == 0.0


def test_rows_and_subjects_must_match():
    with pytest.raises(ValueError, match="2 rows of scores but 1 subjects"):
        statistics.interval(np.zeros((2, 1)), ["a"], 0)


def test_the_best_of_many_equals_rarely_seems_better():
    """Of 12 equal candidates the best has a plain interval above zero far too often, and the corrected one rarely."""
    rng, names = np.random.default_rng(0), [str(i) for i in range(24)]
    plain = corrected = 0
    for _ in range(100):
        base = rng.normal(0.8, 0.05, (24, 1))
        others = [base + rng.normal(0, 0.02, base.shape) for _ in range(12)]
        best = max(others, key=np.mean)
        plain += statistics.paired_interval(best, base, names, 0).low > 0
        corrected += statistics.paired_interval_of_best(best, base, names, 0, 12).low > 0
    assert plain > 15
    assert corrected <= 5


def test_the_best_of_one_has_students_interval():
    gain = np.random.default_rng(0).normal(0.01, 0.02, (30, 1))
    found = statistics.paired_interval_of_best(gain, np.zeros((30, 1)), [str(i) for i in range(30)], 0, 1)
    half = 2.045 * gain.std(ddof=1) / np.sqrt(30)
    assert found.high - found.value == pytest.approx(half, rel=0.05)
    assert found.value - found.low == pytest.approx(half, rel=0.05)
    assert statistics.paired_interval_of_best(gain, gain, ["x"] * 30, 0, 1).low is None


def test_rank_correlation_is_spearmans_and_its_interval_resamples_subjects():
    rng = np.random.default_rng(0)
    first = rng.normal(size=80)
    second = first + rng.normal(0, 0.5, 80)
    alone = statistics.rank_interval(first, second, [f"s{n}" for n in range(80)], 0)
    assert alone.value == pytest.approx(stats.spearmanr(first, second).statistic)
    assert 0.5 < alone.low < alone.value < alone.high < 1
    copies = [f"s{n % 20}" for n in range(80)]
    alike = statistics.rank_interval(np.tile(first[:20], 4), np.tile(second[:20], 4), copies, 0)
    few = statistics.rank_interval(first[:20], second[:20], [f"s{n}" for n in range(20)], 0)
    assert alike.high - alike.low == pytest.approx(few.high - few.low, rel=0.05)  # copies add no certainty


def test_rank_correlation_of_what_does_not_vary_is_undefined():
    assert statistics.rank_interval(np.ones(4), np.arange(4.0), list("abcd"), 0).value is None
    assert statistics.rank_interval(np.zeros(0), np.zeros(0), [], 0).value is None
