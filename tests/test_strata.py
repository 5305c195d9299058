"""Every fold gets its share of each kind of case, whatever tells the kinds apart."""

import pytest

from autoseg import folds as module
from autoseg.contracts import Settings
from autoseg.folds import Candidate, HoldOut
from autoseg.stages import dataset as stage
from tests.real_data import real

NOTHING = HoldOut(frozenset(), "nothing")


def split(cases, held=NOTHING, folds=5, seed=0):
    return module.split(cases, held, folds=folds, seed=seed)


def mixed(count=50, rare=10):
    """Every fifth-or-so case is in colour; size and a second label vary independently of that."""
    return [
        Candidate(f"c{n:02d}", f"s{n:02d}", (100 + n * 37 % 50, n % 2), frozenset({"colour" if n < rare else "grey"}))
        for n in range(count)
    ]


@pytest.mark.parametrize("seed", range(5))
def test_traits_are_spread_like_labels(seed):
    made = split(mixed(), seed=seed)
    assert [sum(int(case[1:]) < 10 for case in fold) for fold in made.folds] == [2] * 5
    assert {len(fold) for fold in made.folds} == {10}
    assert "balanced by label, size, colour, grey" in made.because


def test_traits_hold_with_a_hold_out():
    held = HoldOut(frozenset(f"c{n:02d}" for n in (0, 1, 2, 3, 4, 20, 21, 22, 23, 24)), "drawn")
    made = split(mixed(), held)
    assert [sum(int(case[1:]) < 10 for case in fold) for fold in made.folds] == [1] * 5


def test_what_all_cases_share_changes_nothing():
    plain = [Candidate(f"c{n}", f"s{n}", (n, n % 3)) for n in range(30)]
    alike = [Candidate(c.case, c.subject, c.voxels, frozenset({"grey"})) for c in plain]
    assert split(alike) == split(plain)


def test_sizes_are_still_mixed_within_a_trait():
    cases = [
        Candidate(f"c{n:02d}", f"s{n:02d}", (10 if n % 4 < 2 else 9999,), frozenset({"ab"[n % 2]})) for n in range(40)
    ]
    made = split(cases)
    assert [sum(int(case[1:]) % 4 < 2 for case in fold) for fold in made.folds] == [4] * 5


@pytest.mark.data
@pytest.mark.parametrize("holdout", [0.0, 0.2])
def test_stained_and_grey_cells_are_in_every_fold(holdout):
    made, scans = stage.inspect(real("nuclei_png"), Settings(holdout=holdout))
    colour = {scan.case for scan in scans if scan.overall[0] != scan.overall[2]}
    assert len(colour) == 12
    counts = [len(colour & set(fold)) for fold in made.split.folds]
    assert max(counts) - min(counts) <= 1
