"""One, two, three and four cases: the row runs, and the report says what can and cannot be known from them."""

import os

import pytest

from autoseg import machine, phantoms, pipeline, records
from autoseg.contracts import Selection, Settings
from autoseg.workspace import Workspace
from tests import quick


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    """No waiting for the disk, nor of threads for each other: the network is too small to be shared."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setattr(machine, "cores", lambda: 1)


@pytest.mark.fault(54, "one to four cases", "one trains without validation, more leave one out; the report says so")
@pytest.mark.parametrize("cases", [1, 2, 3, 4])
def test_few_cases_run_and_say_what_they_are_worth(tmp_path, cases):
    phantoms.write_pairs(tmp_path / "source", cases, (24, 24))
    settings = Settings(hours=0.1, device="cpu", preset="fast", folds=4, deterministic=True)
    out = quick.prepare(tmp_path / "out", settings, flops_per_s=1e8)
    made = pipeline.run(tmp_path / "source", out, settings)
    page = Workspace(out).page.read_text()
    selection = records.read(Workspace(out).record("select"), Selection)
    with pipeline.opened(out) as row:
        folds = row.dataset.split.folds
    if cases == 1:
        assert folds == ((),)
        assert made.honest_kind == "none"
        assert selection.oof.cases == ()
        assert "no validation: 1 case(s) of 1 subject(s), so every case trains" in page
    else:
        assert sorted(folds) == sorted((f"slide_{n:03d}",) for n in range(cases))
        assert len(selection.oof.cases) == cases
        assert "each subject is left out once" in page
    assert (Workspace(out).model.record).exists()
