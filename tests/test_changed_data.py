"""Data that changed after planning: what was added, edited or removed is told by name, and redone only on request."""

import os

import pytest

from autoseg import phantoms, pipeline, records
from autoseg.contracts import Settings
from autoseg.errors import ChangedInputs

SETTINGS = Settings(folds=2)
SHAPE = (8, 10, 12)


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def source(tmp_path):
    phantoms.write_pairs(tmp_path / "source", 6, (16, 20))
    return tmp_path / "source"


def look(source, out, redo="nothing"):
    with pipeline.opened(out, source, SETTINGS, redo=redo) as row:
        return records.digest(row.fingerprint), records.digest(row.dataset)


def edit(source):
    path = source / "masks" / "slide_002.png"
    (source / "masks" / "slide_003.png").replace(path.with_name("spare"))
    path.with_name("slide_003.png").write_bytes(path.read_bytes())
    path.with_name("spare").unlink()


def add(source):
    for folder in ("images", "masks"):
        (source / folder / "slide_new.png").write_bytes((source / folder / "slide_002.png").read_bytes())


def remove(source):
    for folder in ("images", "masks"):
        (source / folder / "slide_004.png").unlink()


@pytest.mark.fault(
    59,
    "files edited, added or removed after planning",
    "exit 3 with cases and files by name and what would be redone; --replan redoes it",
)
@pytest.mark.parametrize(
    ("change", "case", "says", "files"),
    [
        (edit, "slide_003", r"\w+ -> \w+", {"masks/slide_003.png: changed"}),
        (add, "slide_new", r"absent -> \w+", {"images/slide_new.png: added", "masks/slide_new.png: added"}),
        (remove, "slide_004", r"\w+ -> absent", {"images/slide_004.png: removed", "masks/slide_004.png: removed"}),
    ],
)
def test_changes_are_told_by_name(source, tmp_path, change, case, says, files):
    out = tmp_path / "out"
    _, before = look(source, out)
    change(source)
    for _ in range(2):  # a refused change stays a change
        with pytest.raises(ChangedInputs, match=rf"case {case}: {says}(.|\n)*would be redone: dataset") as caught:
            look(source, out)
        assert caught.value.exit_code == 3
        lines = {line.strip().partition(",")[0] for line in str(caught.value).splitlines()}
        assert {line for line in lines if ".png" in line} == files
    _, after = look(source, out, redo="all")
    assert before != after
    assert look(source, out)[1] == after


def test_a_file_that_is_no_case_changes_nothing(source, tmp_path):
    _, before = look(source, tmp_path / "out")
    (source / "notes.txt").write_text("checked by a colleague")
    assert look(source, tmp_path / "out")[1] == before


def test_touching_a_file_changes_nothing(source, tmp_path):
    _, before = look(source, tmp_path / "out")
    os.utime(source / "images" / "slide_000.png", ns=(1, 1))
    assert look(source, tmp_path / "out")[1] == before


def test_a_split_that_appears_is_a_change(source, tmp_path):
    look(source, tmp_path / "out")
    names = [f"slide_{n:03d}" for n in range(6)]
    (source / "splits.json").write_text(str([{"train": names[:3], "val": names[3:]}]).replace("'", '"'))
    with pytest.raises(ChangedInputs, match="channels, labels, split, audit"):
        look(source, tmp_path / "out")
