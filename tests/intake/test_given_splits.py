"""Given splits: what contradicts itself is an error with names, the rest is reconciled with the hold-out."""

import json
import os

import pytest

from autoseg.contracts import Settings
from autoseg.errors import DataError
from autoseg.folds import Candidate, HoldOut
from autoseg.intake import given_splits, stamping
from autoseg.layouts.splits import Fold, GivenSplit
from autoseg.stages import dataset as stage
from autoseg.workspace import DatasetFolder
from tests.made import folder_of_pairs, nifti, noise

SIX = [f"case_{n}" for n in range(6)]


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def three_folds():
    return [{"train": [c for c in SIX if c not in SIX[k::3]], "val": SIX[k::3]} for k in range(3)]


def look(source, content, **settings):
    (source / "splits_final.json").write_text(json.dumps(content))
    return stage.inspect(source, Settings(**settings))[0]


@pytest.fixture
def source(tmp_path):
    return folder_of_pairs(tmp_path / "data")


def test_a_given_split_is_taken_as_it_is(source):
    made = look(source, three_folds())
    assert made.split.folds == tuple(tuple(SIX[k::3]) for k in range(3))
    assert made.split.holdout == ()
    assert "3 folds given by splits_final.json" in made.split.because


def test_a_split_named_by_an_option_is_taken(source, tmp_path):
    (tmp_path / "mine.json").write_text(json.dumps(three_folds()[:2]))
    made, _ = stage.inspect(source, Settings(splits=str(tmp_path / "mine.json")))
    assert made.split.folds == (("case_0", "case_3"), ("case_1", "case_4"))
    assert "never validated: case_2, case_5" in made.split.because


def without(cases, fold=0, part="val"):
    split = three_folds()
    split[fold][part] = [case for case in split[fold][part] if case not in cases]
    return split


def adding(cases, fold=0, part="val"):
    split = three_folds()
    split[fold][part] = [*split[fold][part], *cases]
    return split


@pytest.mark.fault(
    58, "splits file with overlap, unknown ids or empty parts", "exit 3 before any image is read, with the ids"
)
@pytest.mark.parametrize(
    ("split", "says"),
    [
        (adding(["case_0"], part="train"), "fold 0: both in train and val: case_0"),
        (adding(["nobody"]), "fold 0: no such case: nobody"),
        (adding(["../../etc/passwd"]), "fold 0: no such case: ../../etc/passwd"),
        (without(SIX), "fold 0: the val part is empty"),
        (without(SIX, part="train"), "fold 0: the train part is empty"),
        (without(["case_1"], part="train"), "fold 0: named elsewhere but in no part here: case_1"),
        (adding(["case_0"]), "fold 0: named twice: case_0"),
        ([three_folds()[0], three_folds()[0]], "in the val part of more than one fold: case_0, case_3"),
        (adding(["new"]), "fold 0: without a label: new"),
        ({**three_folds()[0], "test": ["case_0"]}, "under test and in another part: case_0"),
    ],
)
def test_contradictions_are_fatal_and_named(source, split, says, monkeypatch):
    nifti(source / "images" / "new.nii.gz", noise(9))
    monkeypatch.setattr(stage, "_examine", lambda *_: pytest.fail("an image was read"))
    with pytest.raises(DataError) as caught:
        look(source, split)
    assert says in str(caught.value)
    assert caught.value.exit_code == 3


@pytest.mark.fault(
    57, "paths out of the folder as case names in a splits file", "names that no case has: exit 3, nothing is opened"
)
@pytest.mark.parametrize("name", ["../../etc/hostname", "/etc/hostname", "..\\..\\hostname", "\\\\host\\share"])
def test_names_are_never_paths(source, name):
    with pytest.raises(DataError) as caught:
        look(source, adding([name]))
    assert f"no such case: {name}" in str(caught.value)


@pytest.mark.fault(58, "splits file that tears a subject", "exit 3 with the subject and its cases on both sides")
def test_a_torn_subject_is_named(tmp_path):
    source = tmp_path / "data"
    for name in ("P1_ED", "P1_ES", "P2_ED", "P2_ES"):
        folder_of_pairs(tmp_path / "one", 1)
        for folder in ("images", "masks"):
            (source / folder).mkdir(parents=True, exist_ok=True)
            (tmp_path / "one" / folder / "case_0.nii.gz").rename(source / folder / f"{name}.nii.gz")
    with pytest.raises(DataError, match="subject P1 in two parts: P1_ES in train and P1_ED in val"):
        look(source, [{"train": ["P1_ES", "P2_ED", "P2_ES"], "val": ["P1_ED"]}])


def test_equal_images_on_both_sides_are_one_subject_torn(source):
    nifti(source / "images" / "case_1.nii.gz", noise(0))
    with pytest.raises(DataError, match="in two parts: case_1 in train and case_0 in val"):
        look(source, three_folds())


def test_cases_that_are_named_nowhere_are_held_out(source):
    made = look(source, {"train": ["case_0", "case_1"], "val": ["case_2", "case_3"], "test": ["case_4"]})
    assert made.split.holdout == ("case_4", "case_5")
    assert made.split.folds == (("case_2", "case_3"),)
    assert "held out: case_4, case_5" in made.split.because


@pytest.mark.parametrize("seed", range(4))
def test_a_hold_out_leaves_every_fold(source, seed):
    made = look(source, three_folds(), holdout=0.34, seed=seed)
    held = set(made.split.holdout)
    assert len(held) == 2
    expected = [tuple(case for case in SIX[k::3] if case not in held) for k in range(3)]
    assert made.split.folds == tuple(fold for fold in expected if fold)
    assert ("dropped" in made.split.because) == (not all(expected))


def test_a_quarantined_case_leaves_its_fold(source):
    (source / "images" / "case_3.nii.gz").write_bytes(b"broken")
    assert look(source, three_folds()).split.folds == (("case_0",), ("case_1", "case_4"), ("case_2", "case_5"))


def test_a_changed_split_file_is_seen_wherever_it_lies(source, tmp_path):
    out, settings = DatasetFolder(tmp_path / "run"), Settings(splits=str(tmp_path / "mine.json"))
    (tmp_path / "mine.json").write_text(json.dumps(three_folds()))
    stage.dataset(source, out, settings)
    assert stamping.unchanged(source, out, settings)
    (tmp_path / "mine.json").write_text(json.dumps(three_folds()[:2]))
    assert not stamping.unchanged(source, out, settings)


def given(*parts):
    return GivenSplit("test", tuple(Fold(train, val) for train, val in parts))


def candidates(*names):
    return [Candidate(name, name, (1,)) for name in names]


def test_all_validation_cases_held_out_means_no_validation():
    split = given((("a", "b"), ("c",)))
    made = given_splits.divide(split, candidates("a", "b", "c"), HoldOut(frozenset("c"), "drawn"), seed=0)
    assert (made.holdout, made.folds) == (("c",), ((),))
    assert "no validation" in made.because


def test_nothing_left_to_train_on_is_an_error():
    split = given((("a",), ("b",)), (("b",), ("a",)))
    with pytest.raises(DataError, match="nothing is left to train on in fold 0"):
        given_splits.divide(split, candidates("a", "b"), HoldOut(frozenset("a"), "drawn"), seed=0)


def test_cases_that_the_source_sets_apart_need_not_be_named():
    """Not even where another case of their subject is named; that one is held out with them."""
    split = given((("a", "b"), ("c",)))
    cases = [*candidates("a", "b", "c"), Candidate("t", "a", (1,))]
    made = given_splits.divide(split, cases, HoldOut(frozenset("t"), "given by the source"), seed=0)
    assert (made.holdout, made.folds) == (("a", "t"), (("c",),))
