"""What the page tells of a selection: what was tried, what each choice is worth, what post-processing changes."""

import re
from dataclasses import replace

import numpy as np
import pytest

from autoseg.contracts import CaseChange, Decision, LabelSet, Selection
from autoseg.errors import UnreadableFile
from autoseg.page.before_after import Comparison, difference, side_by_side
from autoseg.page.candidates import candidates
from autoseg.page.changes import changes
from autoseg.page.overlays import OverlayInput
from autoseg.page.worth import worth
from autoseg.stages.report import report
from tests import report_records as made
from tests.report_records import Sample

TWO = made.labels(Sample())


def page(tmp_path, run, **options):
    report(run, made.overlay, tmp_path / "index.html", **options)
    return (tmp_path / "index.html").read_text()


@pytest.fixture
def selection() -> Selection:
    return made.run().selection


# ----------------------------------------------------------------------------------------------------- candidates


def test_each_candidate_stands_once_and_the_known_ones_are_found(selection):
    """Thirty that differ in an offset; one was tried twice, and the second time measured more exactly."""
    first, *_ = selection.trials
    (bias,) = selection.decision.biases

    def offset(number: int, name: str = "", dice: float | None = None):
        decision = Decision(biases=(bias.model_copy(update={"logit": float(number)}),))
        update = {"number": number, "decision": decision, "name": name, "oof_mean_dice": dice or 0.5 + number / 100}
        return first.model_copy(update=update)

    plain = first.model_copy(update={"number": 50, "postprocessing": (), "oof_mean_dice": 0.505})
    trials = (*(offset(number) for number in range(1, 31)), plain, offset(2, dice=0.515))
    rows, different = candidates(selection.model_copy(update={"trials": trials, "nnunet": offset(2, "a baseline")}))
    assert different == 31
    assert [row.rank for row in rows] == [*range(1, 13), 29, 31]
    assert [row.trial.oof_mean_dice for row in rows[:2]] == [0.8, 0.79]
    assert [row.marks for row in rows[-2:]] == [("a baseline",), ("best single configuration",)]
    assert [row.trial.oof_mean_dice for row in rows[-2:]] == [0.515, 0.505]
    assert rows[0].steps[0] == "Anterior: offset +30"
    assert not any(row.ships for row in rows)


def test_the_one_that_ships_and_the_one_that_does_not(selection, tmp_path):
    kept = selection.preferred
    simple = kept.model_copy(update={"decision": Decision(), "postprocessing": (), "name": "best single configuration"})
    both = {"trials": (simple, kept), "nnunet": None}
    shipped, _ = candidates(selection.model_copy(update=both))
    assert [(row.ships, row.marks) for row in shipped if row.ships] == [(True, ())]
    default = {"decision": Decision(), "postprocessing": ()}
    refused = selection.model_copy(update=both | default)
    marks = {row.ships: row.marks for row in candidates(refused)[0]}
    assert marks == {
        True: ("best single configuration",),
        False: ("preferred by the search, not confirmed on other folds",),
    }
    text = page(tmp_path, replace(made.run(), selection=refused))
    assert "This does not ship, because it is not confirmed on other folds. The search preferred:" in text


# ----------------------------------------------------------------------------------------------------------- worth


def test_choices_are_told_in_words_the_dearest_first(selection, tmp_path):
    told = worth(selection)
    assert [row.name for row in told.rows] == ["offset of Anterior", "post-processing of Anterior"]
    assert [row.chosen for row in told.rows] == ["+0.25", "the largest component only"]
    assert told.rows[0].gain == pytest.approx(0.0031)
    assert told.interplay == pytest.approx(0.375)
    assert told.untouched == ("post-processing of Posterior",)
    assert told.impossible[0] == "which networks, with which weights (only one configuration was trained)"
    text = page(tmp_path, made.run())
    assert "+0.0031" in text
    assert "averaging over mirrored copies (no mirrored copies were predicted)" in text
    assert "Nothing was gained by these, so they stay at their default: post-processing of Posterior." in text


def test_records_before_this_say_nothing(selection, tmp_path):
    old = selection.model_copy(update={"preferred": None, "importance": (), "changes": ()})
    assert worth(old) is None
    assert changes(old, TWO, "mri", made.comparison) is None
    text = page(tmp_path, replace(made.run(), selection=old), comparisons=made.comparison)
    assert "What each choice is worth" not in text
    assert "What decision and post-processing change" not in text


# --------------------------------------------------------------------------------------------------------- changes


def test_cases_are_counted_and_the_lowest_shown(selection, tmp_path):
    told = changes(selection, TWO, "mri", made.comparison)
    assert (told.ships, told.better, told.worse, told.even) == (True, 8, 4, 0)
    assert told.unchanged == 80 - 12
    defined = [change for change in selection.changes if None not in change.after]
    lowest = min(defined, key=lambda change: min(sum(change.before), sum(change.after)))
    assert told.shown[0].change == lowest
    assert len(told.shown) == 3
    assert all(len(item.panels) == 3 for item in told.shown)
    text = page(tmp_path, made.run(), comparisons=made.comparison)
    assert "It changes 12 of 80 out-of-fold cases: <b>8 better</b>, <b>4 worse</b>" in text
    assert f"{lowest.before[0]:.3f} → <b>{lowest.after[0]:.3f}</b>" in text
    assert text.count("48 voxels removed, 0 added") == 3
    assert len(text) < 1_500_000


def test_a_false_alarm_that_is_removed_counts_as_better(selection):
    alarm = CaseChange(case="a", before=(0.9, 0.0), after=(0.9, None))
    raised = CaseChange(case="b", before=(0.9, None), after=(0.9, 0.0))
    told = changes(selection.model_copy(update={"changes": (alarm, raised)}), TWO, "mri", None)
    assert (told.better, told.worse) == (1, 1)
    assert told.shown == ()


def test_a_case_that_cannot_be_read_gets_a_sentence(tmp_path):
    def broken(name):
        raise UnreadableFile(f"{name}.npz", "the file is gone")

    text = page(tmp_path, made.run(), comparisons=broken)
    assert text.count("No picture:") == 3
    assert "the file is gone" in text


def test_where_nothing_follows_the_blend_that_is_said(selection, tmp_path):
    plain = selection.preferred.model_copy(update={"decision": Decision(), "postprocessing": ()})
    nothing = {"preferred": plain, "decision": Decision(), "postprocessing": (), "changes": ()}
    text = page(tmp_path, replace(made.run(), selection=selection.model_copy(update=nothing)))
    assert "Nothing: masks stay as the networks' blend decides. No offset and no rule was worth having." in text


# -------------------------------------------------------------------------------------------------------- pictures


def _comparison(ignore=False):
    image = np.random.default_rng(0).normal(size=(12, 20, 30)).astype(np.float32)
    reference = np.zeros(image.shape, dtype=np.uint8)
    reference[3:8, 5:11, 10:20] = 1
    after = reference.copy()
    after[4, 5, 10:13] = 2
    before = reference.copy()
    before[9, 15:18, 25:28] = 1
    before[4, 6, 10:12] = 0
    if ignore:
        reference[9, 14:19, 24:29] = 3
    return Comparison(before, OverlayInput(image, reference, after, (1.0, 1.0, 1.0)))


def _marked(panel, kind):
    path = re.search(rf'class="{kind}" d="([^"]*)"', panel.svg).group(1)
    return np.array([int(v) for v in re.findall(r"-?\d+", path)]).reshape(-1, 2)


def test_what_changes_is_marked_in_the_slice_that_changes_most():
    case = _comparison()
    found = difference(case, TWO)
    assert (found.removed, found.added, found.relabelled) == (9, 2, 3)
    reference, before, after = side_by_side(case, TWO, "mri")
    assert reference.caption == "Axial slice that changes most, reference (10 of 12)"
    assert "prediction" not in reference.svg and "removed" not in before.svg
    points = _marked(after, "removed")
    assert (points[:, 0].min(), points[:, 0].max()) == (2 * 25, 2 * 28)
    assert (points[:, 1].min(), points[:, 1].max()) == (2 * 15, 2 * 18)
    assert not len(_marked(after, "added"))
    assert len(_marked(before, "prediction")) and not len(_marked(after, "prediction"))


def test_the_slice_is_not_chosen_for_what_nobody_annotated():
    labels = LabelSet(labels=TWO.labels, ignore_value=9)
    case = _comparison(ignore=True)
    assert "(5 of 12)" in side_by_side(case, labels, "mri")[0].caption


def test_flat_pictures_show_the_part_that_changes():
    reference, before, after = side_by_side(made.flat_comparison("a"), TWO, "rgb")
    assert reference.caption == "Image that changes most, reference"
    assert reference.ratio == before.ratio == after.ratio
    assert len(_marked(after, "removed"))
