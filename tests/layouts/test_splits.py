"""Where given splits are found, and in which form."""

import json

import pytest

from autoseg.contracts import Case
from autoseg.errors import DataError, UsageError
from autoseg.layouts import splits
from autoseg.layouts.splits import Fold


def cases(*folds):
    return [
        Case(case=f"c{n}", subject=f"c{n}", images=(f"images/c{n}.png",), label=f"masks/c{n}.png", given_fold=fold)
        for n, fold in enumerate(folds)
    ]


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_nobody_gives_a_split(tmp_path):
    assert splits.find(cases(None, None), tmp_path, None) is None


@pytest.mark.parametrize("name", splits.FILES)
@pytest.mark.parametrize("folder", ["", "images"])
def test_a_file_in_the_folder_is_taken(tmp_path, name, folder):
    write(tmp_path / folder / name, [{"train": ["c0"], "val": ["c1"]}])
    found = splits.find(cases(None, None), tmp_path, None)
    assert (found.origin, found.folds) == (name, (Fold(("c0",), ("c1",)),))


def test_the_option_wins_over_file_and_column(tmp_path):
    write(tmp_path / "splits.json", [{"train": ["c0"], "val": ["c1"]}])
    asked = write(tmp_path / "elsewhere" / "mine.json", {"train": ["c1"], "val": ["c0"], "test": ["c2"]})
    found = splits.find(cases(0, 1), tmp_path, str(asked))
    assert found.folds == (Fold(("c1",), ("c0",), ("c2",)),)
    assert splits.find(cases(0, 1), tmp_path, None).origin == "splits.json"


def test_an_option_without_file_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        splits.find(cases(None), tmp_path, str(tmp_path / "absent.json"))


def test_two_files_are_not_guessed_between(tmp_path):
    for name in splits.FILES:
        write(tmp_path / name, [{"train": ["c0"], "val": ["c1"]}])
    with pytest.raises(DataError, match="both give folds"):
        splits.find(cases(None, None), tmp_path, None)


@pytest.mark.parametrize("first", [0, 1])
def test_fold_numbers_of_cases_become_folds(tmp_path, first):
    found = splits.find(cases(first, first + 1, first, None), tmp_path, None)
    assert found.folds == (Fold(("c1", "c3"), ("c0", "c2")), Fold(("c0", "c2", "c3"), ("c1",)))


@pytest.mark.fault(58, "fold number out of range", "exit 3, number and cases are listed")
@pytest.mark.parametrize(("folds", "says"), [((0, 1, 7), r"7 \(c2\)"), ((-1, 0, 1), r"-1 \(c0\)")])
def test_fold_numbers_out_of_range_are_listed(tmp_path, folds, says):
    with pytest.raises(DataError, match=says) as caught:
        splits.find(cases(*folds), tmp_path, None)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[{", "line 1, column 3"),
        ("\ufeff[]", "expected folds"),
        ([], "expected folds"),
        ({"folds": 3}, "expected folds"),
        ([{"train": ["c0"]}], r"at \$\[0\]"),
        ([{"train": ["c0"], "val": [1]}], r"at \$\[0\]\.val"),
        ([{"train": ["c0"], "val": ["c1"], "extra": []}], r"at \$\[0\]"),
        ("[" * 100_000, "not valid JSON"),
        ("1" * 5000, "correct the number"),
        ('["\\ud800"]', "half a character"),
    ],
)
def test_other_forms_are_errors_that_say_where(tmp_path, content, says):
    with pytest.raises(DataError, match=says):
        splits.read(write(tmp_path / "splits.json", content))
