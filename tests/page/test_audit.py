"""The audit on the page: every case with its verdict, outliers and duplicates counted, nothing of it executed."""

from dataclasses import replace

import pytest

from autoseg.contracts import Audit, AuditEntry
from autoseg.stages.report import report
from tests import report_records as made

EVIL = "<script>alert('1')</script>=cmd()"


def page(tmp_path, *entries, left_over=()):
    run = made.run()
    dataset = run.dataset.model_copy(update={"audit": Audit(entries=entries, left_over=left_over)})
    report(replace(run, dataset=dataset), made.overlay, tmp_path / "index.html")
    return (tmp_path / "index.html").read_text()


@pytest.mark.fault(61, "markup or formulas in case names and reasons", "shown as text in the report")
def test_every_case_is_listed_and_escaped(tmp_path):
    text = page(
        tmp_path,
        AuditEntry(case="(all)", verdict="ok", reason="images from images/"),
        AuditEntry(case="plain", verdict="ok"),
        AuditEntry(case=EVIL, verdict="repaired", reason=f"its {EVIL}", repair=f"made {EVIL}"),
        AuditEntry(case="odd", verdict="ok", reason="spacing 1 x 1 x 1 mm", kinds=("outlier",)),
        AuditEntry(case="twin", verdict="repaired", reason="identical to plain", kinds=("duplicate", "outlier")),
        left_over=(EVIL,),
    )
    assert EVIL not in text
    assert "<script>alert" not in text
    assert text.count("&lt;script&gt;alert") >= 4
    assert "Verdict on each of 4 cases" in text
    for name, count in (("unlike the others", 2), ("duplicates", 1), ("repaired", 2), ("left-over files", 1)):
        assert f"<dt>{name}</dt><dd>{count}" in text
    assert "images from images/" in text


def test_strange_predictions_are_counted(tmp_path):
    run = made.run()
    first, *rest = run.prediction.cases
    strange = first.model_copy(update={"ood": True, "warnings": ("values seem inverted",)})
    prediction = run.prediction.model_copy(update={"cases": (strange, *rest)})
    report(replace(run, prediction=prediction), made.overlay, tmp_path / "index.html")
    text = (tmp_path / "index.html").read_text()
    assert "<dt>unlike the training cases</dt><dd>1" in text
    assert "values seem inverted" in text
