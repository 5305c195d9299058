"""What is said while work goes on where nobody sees bars: few lines, and never long silence."""

import time

import pytest

from autoseg.cli import progress
from autoseg.cli.progress import Lines
from autoseg.events import Event


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.2)
    monkeypatch.setattr(progress, "LOOK_EVERY_S", 0.01)


def case(done, name):
    return Event(stage="predict", done=done, total=9, unit="case", detail=name)


def lines(capsys):
    return [line.partition(" ")[2] for line in capsys.readouterr().err.splitlines()]


def test_lines_are_few_but_notes_and_the_end_are_always_told(capsys):
    with Lines() as told:
        for done in range(9):
            told(case(done, f"c{done}"))
        told(Event(stage="predict", what="warning", detail="odd"))
        told(case(9, ""))
    assert lines(capsys) == ["predict: 0/9 case, c0", "predict: warning: odd", "predict: 9/9 case"]


def test_a_total_that_is_unknown_is_neither_told_nor_reckoned_with(capsys, monkeypatch):
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    with Lines() as told:
        for done, total in ((1, 0), (2, 0), (30, 100)):
            told(Event(stage="train", done=done, total=total, unit="step", detail="loss 1"))
            time.sleep(0.01)
    first, second, third = lines(capsys)
    assert (first, second) == ("train: 1 step, loss 1", "train: 2 step, loss 1")
    assert third.startswith("train: 30/100 step, loss 1, ")


@pytest.mark.usefixtures("quick")
def test_a_case_that_lasts_is_named_once(capsys):
    with Lines() as told:
        told(case(0, "first"))
        told(case(1, "enormous"))
        time.sleep(0.7)
    first, second = lines(capsys)
    assert first == "predict: 0/9 case, first"
    assert second.startswith("predict: 1/9 case, enormous")
