"""The page tells what a plan search tried, what won and by how much, and on how many cases."""

from dataclasses import replace

import pytest

from autoseg.contracts import Interval, PlanSearch, PlanTrial, Rung
from autoseg.stages.report import report
from planners.contracts import Variation
from tests import report_records as made


def rungs(*dice: float) -> tuple[Rung, ...]:
    return tuple(Rung(steps=100 * 3**k, seconds=9.0, oof_mean_dice=value, cases=32) for k, value in enumerate(dice))


@pytest.fixture
def searched():
    run = made.run()
    search = PlanSearch(
        asked=12,
        fitting=3,
        hours=0.3,
        predicted_hours=0.25,
        judged_on=tuple(f"case_{number}" for number in range(32)),
        trials=(
            PlanTrial(number=0, variation=Variation(), plan="a", rungs=rungs(0.7, 0.75, 0.8), state="complete"),
            PlanTrial(number=1, variation=Variation(rate=0.3), plan="b", rungs=rungs(0.6), state="pruned"),
            PlanTrial(
                number=2, variation=Variation(width=1.5), plan="c", rungs=rungs(0.72, 0.78, 0.8312), state="complete"
            ),
            PlanTrial(
                number=3, variation=Variation(patch=2.0), plan=None, rungs=(), state="failed", cause="<b>too large</b>"
            ),
            PlanTrial(
                number=4, variation=Variation(width=1.25), plan=None, rungs=(), state="refused", cause="no such plan"
            ),
        ),
        chosen=2,
        oof_gain=Interval(value=0.0312, low=0.01, high=0.05, n=32),
        compared=2,
        because="Of 3 variants tried, trial 2 (width x 1.5) did best.",
        plan=run.plan.model_copy(update={"provenance": None}),
    )
    return replace(run, search=search)


def test_what_was_tried_is_told(searched, tmp_path):
    page = tmp_path / "index.html"
    report(searched, made.overlay, page)
    text = page.read_text()
    assert 'id="plan-search"' in text
    assert "12 asked for, 3 fit the time" in text
    assert "<b>width x 1.5</b><small>trained</small>" in text
    assert "0.8312 <small>after 900</small>" in text
    assert "0.0312" in text
    assert "32 cases" in text
    assert "&lt;b&gt;too large" in text
    assert "<dt>variants tried</dt><dd>3<small>12 asked for" in text
    assert "for the 2 variants judged all together" in text
    assert "1 proposal refused before any training" in text
    assert "<b>width x 1.25</b>: no such plan" in text


def test_without_a_search_the_page_has_no_such_section(searched, tmp_path):
    page = tmp_path / "index.html"
    report(replace(searched, search=None), made.overlay, page)
    assert 'id="plan-search"' not in page.read_text()
