"""Which metrics a table shows: what is defined, in a reader's words, and old records too."""

from autoseg.contracts import Interval, Means
from autoseg.page.metric_table import columns
from autoseg.volumes.metrics import METRICS
from tests import report_records as made
from tests.report_records import Sample


def names(scores, which="main"):
    return [column.name for column in columns(scores, "mm", which)]


def scored(sample=None, **changed):
    scores = made.scores(sample or Sample(), tuple(f"c{i}" for i in range(12)))
    targets = tuple(target.model_copy(update=changed) for target in scores.targets)
    return scores.model_copy(update={"targets": targets})


def test_what_nobody_defines_is_left_out():
    assert names(scored())[:4] == ["dice", "nsd", "hd95_mm", "assd_mm"]
    assert "hd95_mm" not in names(scored(hd95_mm=Interval()))
    assert "specificity" not in names(scored(), "all")
    assert set(names(scored(), "all")) <= set(METRICS)


def test_lesions_are_counted_where_there_are_several():
    one, several = Interval(value=1.0, n=12), Interval(value=3.0, n=12)
    assert "lesion_f1" in names(scored(lesions_found=several))
    assert "lesion_f1" in names(scored(lesions_found=one, lesions_missed=one))
    assert "lesion_f1" not in names(scored(lesions_found=one, lesions_missed=Interval(value=0.0)))
    assert "lesion_f1" not in names(scored(lesions_found=Interval(), lesions_missed=Interval()))


def test_values_have_signs_and_units_where_these_tell_something():
    by_name = {column.name: column for column in columns(scored(), "mm", "all")}
    too_large = Interval(value=0.039, low=-0.002, high=0.081, n=9)
    assert by_name["relative_volume_error"].value(too_large) == "+3.9 %"
    assert by_name["relative_volume_error"].span(too_large) == "-0.2 to +8.1 %"
    assert by_name["hd95_mm"].heading == "HD95 (mm)"
    assert by_name["hd95_mm"].value(Interval(value=2.345)) == "2.35"
    assert by_name["dice"].span(Interval(value=0.9, low=0.85, high=0.95)) == "0.850–0.950"
    assert by_name["dice"].span(Interval(value=0.9)) == ""
    assert by_name["volume_error_mm3"].heading == "Volume error, absolute (mm³)"
    pixels = {column.name: column.heading for column in columns(scored(), "pixels", "all")}
    assert (pixels["hd95_mm"], pixels["volume_error_mm3"]) == ("HD95 (pixels)", "Volume error, absolute (pixels)")


def test_records_that_know_no_means_of_all_metrics_have_those_of_two():
    assert columns(scored(), "mm")[3].mean(scored()).value > 0
    scores = scored().model_copy(update={"means": Means.model_validate({})})
    dice, _, hd95, *_ = columns(scores, "mm")
    assert dice.mean(scores) == scores.mean_dice
    assert hd95.mean(scores) == Interval()
    known = Means.model_validate({"dice": Interval(value=0.5), "hd95_mm": Interval(value=3.0)})
    assert dice.mean(scores.model_copy(update={"means": known})).value == 0.5
