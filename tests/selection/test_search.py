import numpy as np
import pytest

from autoseg.contracts import Member
from autoseg.selection.ensembles import Evidence, mixes
from autoseg.selection.search import MOST_TRIALS, best_cleaning, search
from autoseg.volumes.components import Cleaning, Pieces, PieceTable

CASES = 12


def pieces(right: int, island: int, reference: int = 100) -> Pieces:
    """One big component that is all right, and optionally one island that is all wrong."""
    sizes = np.array([right, island] if island else [right])
    nothing = np.zeros(0, dtype=np.int64)
    correct = np.array([right, 0] if island else [right])
    largest = np.arange(len(sizes)) == 0
    return Pieces(sizes, sizes, correct, largest, nothing, nothing, nothing, reference, 1.0)


def evidence(names: tuple[str, ...], per_mix, targets=("organ",)) -> Evidence:
    """``per_mix(members, case)`` gives the pieces of every target."""
    found = mixes(names, 4)
    tables = tuple(
        tuple(PieceTable([per_mix(members, case) for case in range(CASES)]) for _ in targets) for members in found
    )
    cases = tuple(f"case_{case}" for case in range(CASES))
    return Evidence(found, tuple(targets), cases, cases, np.arange(CASES) % 3, tables)


ALL = np.arange(CASES)


def test_mixes_start_with_singles_and_end_with_the_mean_of_all():
    found = mixes(("2d", "3d_lowres", "3d_fullres"), 2)
    assert [len(members) for members in found] == [1, 1, 1, 2, 2, 2, 3]
    assert found[-1][0] == Member(configuration="2d", weight=1 / 3)
    assert all(sum(m.weight for m in members) == pytest.approx(1) for members in mixes(("2d", "3d_fullres"), 4))
    assert len(mixes(("2d", "3d_fullres"), 4)) == 5


def test_the_best_single_without_cleaning_is_the_default():
    made = evidence(("2d", "3d_fullres"), lambda members, case: pieces(90 if len(members) == 1 else 80, 0))
    outcome = search(made, ALL, seed=0)
    assert outcome.default == outcome.chosen
    assert made.mixes[outcome.default.candidate.mix][0].configuration == "2d"
    assert outcome.tried[0] == outcome.default


def test_a_better_ensemble_must_be_better_by_a_standard_error():
    def slightly_and_unsteadily(members, case):
        return pieces(80 + (case % 5) + {3: 4, 7: -3}.get(case, 0) * (len(members) == 2), 0)

    def clearly(members, case):
        return pieces(80 + (case % 5) + (5 if len(members) == 2 else 0), 0)

    assert len(evidence(("2d", "3d_fullres"), clearly).mixes[0]) == 1
    unsteady = evidence(("2d", "3d_fullres"), slightly_and_unsteadily)
    assert len(unsteady.mixes[search(unsteady, ALL, 0).chosen.candidate.mix]) == 1
    clear = evidence(("2d", "3d_fullres"), clearly)
    assert len(clear.mixes[search(clear, ALL, 0).chosen.candidate.mix]) == 2


def test_only_the_given_rows_count():
    made = evidence(("2d",), lambda members, case: pieces(90, 5 + case % 2 if case >= 6 else 0))
    assert search(made, np.arange(6), 0).chosen.candidate.cleaning == (Cleaning(),)
    assert search(made, np.arange(6, 12), 0).chosen.candidate.cleaning != (Cleaning(),)


def test_the_rule_is_the_simplest_of_the_best():
    table = PieceTable([pieces(90, 6) for _ in range(CASES)])
    assert best_cleaning(table, ALL) == Cleaning(keep_largest=True)
    clean = PieceTable([pieces(90, 0) for _ in range(CASES)])
    assert best_cleaning(clean, ALL) == Cleaning()


def test_small_islands_go_and_large_second_parts_stay():
    def two_parts() -> Pieces:
        sizes = np.array([50, 40, 3])
        nothing = np.zeros(0, dtype=np.int64)
        return Pieces(sizes, sizes, np.array([50, 40, 0]), sizes == 50, nothing, nothing, nothing, 100, 1.0)

    rule = best_cleaning(PieceTable([two_parts() for _ in range(CASES)]), ALL)
    assert not rule.keep_largest
    assert 3 < rule.minimum_mm3 <= 40


def test_more_combinations_than_trials_are_sampled_the_same_way_each_time():
    names = tuple(f"target_{index}" for index in range(20))
    made = evidence(("2d", "3d_fullres"), lambda members, case: pieces(80 + case % 3, 4), names)
    outcome = search(made, ALL, seed=5)
    assert len(outcome.tried) <= MOST_TRIALS
    assert outcome == search(made, ALL, seed=5)


def test_nothing_to_score():
    nothing = np.zeros(0, dtype=np.int64)
    empty = Pieces(nothing, nothing, nothing, nothing > 0, nothing, nothing, nothing, 0, 1.0)
    assert search(evidence(("2d",), lambda members, case: empty), ALL, 0) is None
