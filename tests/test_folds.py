import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoseg import folds as module
from autoseg.contracts import Case
from autoseg.folds import Candidate


def split(candidates, *, folds, holdout, seed, given=()):
    cases = [
        Case(case=c.case, subject=c.subject, images=("i",), label="l", given_holdout=c.case in given)
        for c in candidates
    ]
    return module.split(candidates, module.draw(cases, holdout, seed), folds=folds, seed=seed)


def one_each(count, present=lambda n: (100 + n,)):
    return [Candidate(f"c{n:03d}", f"s{n:03d}", present(n)) for n in range(count)]


def test_folds_divide_the_cases_evenly():
    made = split(one_each(23), folds=5, holdout=0, seed=0)
    assert sorted(len(fold) for fold in made.folds) == [4, 4, 5, 5, 5]
    assert sorted(case for fold in made.folds for case in fold) == [f"c{n:03d}" for n in range(23)]
    assert made.holdout == ()


def test_hold_out_is_a_share_of_subjects():
    made = split(one_each(200), folds=5, holdout=0.2, seed=1)
    assert len(made.holdout) == 40
    assert not set(made.holdout) & {case for fold in made.folds for case in fold}
    assert "40 of 200 subjects" in made.because


def test_seeds_differ_and_repeat():
    cases = one_each(40)
    assert split(cases, folds=5, holdout=0.2, seed=1) == split(cases, folds=5, holdout=0.2, seed=1)
    assert split(cases, folds=5, holdout=0.2, seed=1).holdout != split(cases, folds=5, holdout=0.2, seed=2).holdout
    assert split(cases, folds=5, holdout=0, seed=1).folds != split(cases, folds=5, holdout=0, seed=2).folds


def test_the_order_of_cases_does_not_matter():
    cases = [Candidate(f"c{n}", f"s{n // 3}", (n % 5, n % 2)) for n in range(40)]
    shuffled = random.Random(3).sample(cases, len(cases))
    assert split(cases, folds=4, holdout=0.2, seed=7) == split(shuffled, folds=4, holdout=0.2, seed=7)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40),
    st.integers(2, 6),
    st.sampled_from([0.0, 0.2, 0.5]),
    st.integers(0, 5),
)
def test_subjects_are_never_torn_apart(rows, folds, holdout, seed):
    cases = [Candidate(f"c{n}", f"s{subject}", (a, b)) for n, (subject, a, b) in enumerate(rows)]
    made = split(cases, folds=folds, holdout=holdout, seed=seed)
    subject_of = {c.case: c.subject for c in cases}
    places = {}
    for number, part in enumerate((made.holdout, *made.folds)):
        for case in part:
            places.setdefault(subject_of[case], set()).add(number)
    assert all(len(numbers) == 1 for numbers in places.values())
    development = {subject for subject in subject_of.values() if subject not in {subject_of[c] for c in made.holdout}}
    if len(development) >= 2:
        assert len(made.folds) == min(folds, len(development))
        assert all(made.folds)
        assert sum(len(fold) for fold in made.folds) + len(made.holdout) == len(cases)
    else:
        assert made.folds == ((),)
    assert development


def test_dividing_again_keeps_the_holdout():
    cases = one_each(40)
    made = split(cases, folds=5, holdout=0.25, seed=2)
    again = module.divide_again(made, cases, 2)
    assert again.holdout == made.holdout
    assert [len(fold) for fold in again.folds] == [15, 15]
    assert not set(again.holdout) & {case for fold in again.folds for case in fold}
    assert again.folds == split(cases, folds=2, holdout=0.25, seed=2).folds, "as if asked for at once"


def test_a_rare_label_is_spread_over_the_folds():
    made = split(one_each(50, lambda n: (500, 10 if n % 10 == 0 else 0)), folds=5, holdout=0, seed=0)
    assert [sum(int(case[1:]) % 10 == 0 for case in fold) for fold in made.folds] == [1, 1, 1, 1, 1]
    assert {len(fold) for fold in made.folds} == {10}


def test_small_and_large_structures_are_in_every_fold():
    made = split(one_each(40, lambda n: (10 if n < 20 else 10_000,)), folds=5, holdout=0, seed=0)
    assert [sum(int(case[1:]) < 20 for case in fold) for fold in made.folds] == [4, 4, 4, 4, 4]


def test_subjects_with_many_cases_are_balanced_first():
    cases = [
        Candidate(f"c{s}_{n}", f"s{s}", (1,))
        for s, count in enumerate([9, 1, 1, 1, 6, 6, 3, 3, 3, 3])
        for n in range(count)
    ]
    made = split(cases, folds=4, holdout=0, seed=0)
    assert sorted(len(fold) for fold in made.folds) == [9, 9, 9, 9]


def test_what_is_held_out_does_not_depend_on_labels():
    one = split(one_each(30), folds=5, holdout=0.3, seed=4).holdout
    other = split(one_each(30, lambda n: (n % 7, n % 3)), folds=5, holdout=0.3, seed=4).holdout
    assert one == other


def test_changing_held_out_labels_changes_nothing():
    cases = one_each(30, lambda n: (n, n % 3))
    before = split(cases, folds=5, holdout=0.3, seed=4)
    changed = [Candidate(c.case, c.subject, (9999, 1)) if c.case in before.holdout else c for c in cases]
    assert split(changed, folds=5, holdout=0.3, seed=4) == before


def test_a_given_hold_out_is_taken_and_pulls_its_subjects():
    cases = [Candidate("a1", "a", (1,)), Candidate("a2", "a", (1,)), *one_each(6)]
    made = split(cases, folds=3, holdout=0.5, seed=0, given={"a2"})
    assert made.holdout == ("a1", "a2")
    assert "given by the source" in made.because
    assert "1 more of the same subjects" in made.because


@pytest.mark.parametrize("cases", [one_each(1), [Candidate("a", "s", (1,)), Candidate("b", "s", (1,))]])
def test_one_subject_trains_without_validation_and_says_so(cases):
    made = split(cases, folds=5, holdout=0.2, seed=0)
    assert made.folds == ((),)
    assert made.holdout == ()
    assert "no validation" in made.because


def test_fewer_subjects_than_folds_is_said():
    made = split(one_each(3), folds=5, holdout=0, seed=0)
    assert len(made.folds) == 3
    assert "not 5, as there are too few subjects" in made.because


def test_a_bad_held_out_case_changes_nothing_for_the_others():
    cases = [Case(case=c.case, subject=c.subject, images=("i",), label="l") for c in one_each(20)]
    drawn = module.draw(cases, 0.2, 3)
    gone = min(drawn.cases)
    before = module.split(one_each(20), drawn, folds=4, seed=3)
    after = module.split([c for c in one_each(20) if c.case != gone], drawn, folds=4, seed=3)
    assert after.folds == before.folds
    assert set(before.holdout) - set(after.holdout) == {gone}


def test_a_case_that_turns_out_to_be_a_held_out_subject_is_held_out_too():
    made = module.split(
        [Candidate("a", "x", (1,)), Candidate("b", "x", (1,)), *one_each(4)],
        module.HoldOut(frozenset({"a"}), "for the test"),
        folds=2,
        seed=0,
    )
    assert made.holdout == ("a", "b")
