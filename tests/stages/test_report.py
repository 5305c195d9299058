"""The page: everything in one file, safe, honest, and standing up to odd runs."""

import re
import time
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from autoseg.contracts import LabelSet
from autoseg.errors import UnreadableFile
from autoseg.page import tables
from autoseg.page.overlays import OverlayInput, panels
from autoseg.stages.report import report
from autoseg.workspace import STAGES
from tests import report_records as made
from tests.report_records import Sample

VOID = {"meta", "input", "img", "br", "image", "link"}
ODD = {
    "typical": Sample(),
    "nothing held out": Sample(holdout=0),
    "one case": Sample(development=1, holdout=0, folds=1),
    "two cases": Sample(development=2, holdout=0, folds=2),
    "regions": Sample(regions=True),
    "flat colour": Sample(flat=True, labels=("nucleus",), prefix="0123456789abcdef" * 4),
    "many labels": Sample(labels=tuple(f"structure {i}" for i in range(40)), development=12, holdout=6),
    "weak": Sample(dice=0.3, spread=0.2, development=9, holdout=0),
}


class Structure(HTMLParser):
    """Checks nesting; collects ids, links and what is loaded."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.links, self.loaded = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.ids += [values["id"]] if "id" in values else []
        self.links += [values["href"]] if tag == "a" else []
        self.loaded += [v for k, v in attrs if k in ("src", "href", "xlink:href") and tag != "a"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


def write(tmp_path, run, flat=False, overlays=None):
    page = tmp_path / "report" / "index.html"
    taken = made.flat_comparison if flat else made.comparison
    result = report(run, overlays or (made.flat_overlay if flat else made.overlay), page, comparisons=taken)
    return result, page.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ODD)
def test_page_is_whole_and_loads_nothing(tmp_path, name):
    sample = ODD[name]
    result, text = write(tmp_path, made.run(sample), sample.flat)
    page = Structure(text)
    assert result.page == "report/index.html"
    assert result.headline in text
    assert [stage for stage in STAGES if stage in page.ids] == list(STAGES)
    assert len(page.ids) == len(set(page.ids))
    assert all(link[1:] in page.ids for link in page.links)
    assert all(what.startswith(("#", "data:")) for what in page.loaded)
    assert not re.search(r'url\((?!#)|@import|src="http', text)
    assert "None" not in text and "nan" not in re.findall(r">\s*(nan)\s*<", text)
    assert len(text) < 1_500_000


def test_numbers_of_a_typical_run(tmp_path):
    run = made.run()
    result, text = write(tmp_path, run)
    assert result.honest_kind == "holdout"
    assert result.honest_mean_dice == run.holdout.mean_dice
    assert "on 40 hold-out cases that no choice saw" in result.headline
    assert f"{run.holdout.targets[1].dice.value:.3f}" in text
    assert "holdout Dice" in text and "oof mean Dice" in text
    for reason in run.plan.reasons:
        assert reason.because in text and reason.source in text
    assert "voxels are cubes" in text  # why 2d was left out
    assert "image is cut short (CRC differs)" in text  # the quarantined case
    assert "notes.txt" in text  # a left-over file
    assert "the file is cut short" in text  # a failed prediction
    assert "autoseg predict OUT/model" in text
    assert "torch 2.13.0" in text


def test_expected_dice_and_calibration_stand_beside_the_truth_of_the_holdout(tmp_path):
    text = re.sub(r"\s+", " ", re.sub("<[^>]*>", "", write(tmp_path, made.run())[1]))
    assert "On 40 hold-out cases the expected Dice of Anterior was off by 0.031 on average" in text
    assert "4 of 5 poor masks were among the 6 marked" in text
    assert "look probably outlined less well than usual" in text
    assert "its size is unlike that in any validated case" in text
    assert "off by 0.0059 as the networks give them and by 0.0007 as they are shown" in text
    assert "Probabilities off." in text and "Posterior is foreseen." in text
    assert "How good these masks probably are" not in write(tmp_path, made.run(Sample(holdout=0)))[1]


def test_nested_number_without_a_holdout(tmp_path):
    run = made.run(Sample(holdout=0))
    result, text = write(tmp_path, run)
    assert result.honest_kind == "nested"
    assert result.honest_mean_dice == run.selection.nested_mean_dice
    assert "slightly optimistic" in text


def test_single_case_claims_nothing(tmp_path):
    result, text = write(tmp_path, made.run(Sample(development=1, holdout=0, folds=1)))
    assert result.honest_kind == "none"
    assert result.honest_mean_dice.value is None
    assert "No out-of-fold scores" in text


def test_everything_foreign_is_escaped(tmp_path):
    evil = "<script>alert('1')</script>&$x_1$\"'"
    sample = Sample(prefix=evil, labels=(evil, "b"), development=20, holdout=10)
    run = replace(made.run(sample), name=evil)
    _, text = write(tmp_path, run)
    Structure(text)
    assert "<script>alert" not in text
    assert text.count("<script>") == 1
    assert "script-src 'sha256-" in text


def test_missing_picture_is_explained(tmp_path):
    def broken(name):
        raise UnreadableFile(f"{name}.npy", "the file is gone")

    _, text = write(tmp_path, made.run(), overlays=broken)
    assert text.count("No picture:") == 3
    assert "the file is gone" in text


def test_a_thousand_cases_stay_small_and_quick(tmp_path):
    labels = tuple(f"structure {i}" for i in range(40))
    begun = time.process_time()
    _, text = write(tmp_path, made.run(Sample(labels=labels, development=1000, holdout=0)))
    assert len(text) < 4_000_000
    assert time.process_time() - begun < 20


def test_same_records_give_the_same_page(tmp_path):
    first, second = (write(tmp_path / name, made.run())[1] for name in ("a", "b"))
    assert first == second


def test_worst_case_comes_first_and_undefined_last():
    run = made.run()
    case = run.holdout.cases[0]
    empty = case.model_copy(
        update={"targets": tuple(t.model_copy(update={"dice": None, "nsd": None}) for t in case.targets)}
    )
    scores = run.holdout.model_copy(update={"cases": (empty, *run.holdout.cases[1:])})
    rows = tables.case_rows(scores, run.dataset)
    dice = [row.dice for row in rows[:-1]]
    assert dice == sorted(dice)
    assert rows[-1].dice is None and rows[-1].case == case.case
    assert [title for title, _ in tables.typical(rows)] == ["Best", "Median", "Worst"]
    assert tables.typical(rows)[2][1] == rows[0]
    assert len(tables.typical(rows[:2])) == 2 and len(tables.typical(rows[:1])) == 1


def test_stage_times_add_up():
    run = made.run()
    times = {row.stage: row for row in tables.stage_times([("plan", run.of("plan")), ("train", run.of("train"))])}
    assert times["plan"].seconds == pytest.approx(1.4 + 12.0)
    assert times["train"].seconds == pytest.approx(5 * 240.0)
    assert times["train"].share == 1.0
    assert times["train"].peak_memory_bytes == 1_500_000_000


def test_network_levels_shrink_by_the_strides():
    levels = tables.resolutions(made.configuration(Sample()))
    assert [level.patch_vox for level in levels] == [(40, 56, 40), (20, 28, 20), (10, 14, 10), (5, 7, 5)]
    assert levels[-1].convolutions == (2, None)


# ------------------------------------------------------------------------------------------------------- pictures


def _points(svg, kind):
    path = re.search(rf'class="{kind}" d="([^"]*)"', svg).group(1)
    return np.array([int(v) for v in re.findall(r"-?\d+", path)]).reshape(-1, 2)


def _box_case(spacing=(1.0, 1.0, 1.0)):
    image = np.random.default_rng(0).normal(size=(12, 20, 30)).astype(np.float32)
    reference = np.zeros(image.shape, dtype=np.uint8)
    reference[3:8, 5:11, 10:20] = 1
    predicted = reference.copy()
    predicted[7, 5:11, 10:20] = 0
    return OverlayInput(image, reference, predicted, spacing), made.labels(Sample(labels=("box",)))


def test_outline_runs_around_the_voxels_and_the_worst_slice_is_found():
    case, labels = _box_case()
    first, second = panels(case, labels, "mri")
    assert first.caption == "Axial slice with the largest reference area (4 of 12)"
    assert second.caption == "Axial slice where they differ most (8 of 12)"
    assert first.edges == ("A", "P", "R", "L")
    points = _points(first.svg, "reference")  # half voxels; outlines pass through the midpoints of border voxels' gaps
    assert points[:, 0].min() == 2 * 10 and points[:, 0].max() == 2 * 20
    assert points[:, 1].min() == 2 * 5 and points[:, 1].max() == 2 * 11
    assert not len(_points(second.svg, "prediction"))


def test_thick_slices_are_cut_across_and_shown_upright():
    case, labels = _box_case(spacing=(1.0, 8.0, 1.0))
    first = panels(case, labels, "mri")[0]
    assert first.caption.startswith("Coronal")
    assert first.edges == ("S", "I", "R", "L")
    rows = _points(first.svg, "reference")[:, 1]
    assert (rows.min(), rows.max()) == (2 * (12 - 8), 2 * (12 - 3))  # z grows upwards on the page
    assert first.ratio == pytest.approx(30 / 12)


def test_perfect_prediction_and_missing_reference_need_one_picture():
    case, labels = _box_case()
    assert len(panels(replace(case, predicted=case.reference), labels, "ct")) == 1
    alone = panels(replace(case, reference=None), labels, "mri")
    assert alone[0].caption.startswith("Axial slice with the largest predicted area")


def test_unannotated_voxels_are_no_disagreement():
    case, _ = _box_case()
    labels = LabelSet(labels=made.labels(Sample(labels=("box",))).labels, ignore_value=9)
    reference = np.where(case.reference != case.predicted, labels.ignore_index, case.reference).astype(np.uint8)
    assert len(panels(replace(case, reference=reference), labels, "mri")) == 1


def test_odd_images_still_give_a_picture():
    case, labels = _box_case()
    for image in (np.full_like(case.image, np.nan), np.zeros_like(case.image), case.image > 0):
        assert "data:image/png" in panels(replace(case, image=image), labels, "ct")[0].svg


def test_flat_colour_pictures_get_a_close_up():
    case = made.flat_overlay("a")
    whole, close = panels(case, made.labels(Sample()), "rgb")
    assert (whole.caption, close.caption) == ("Whole image", "Close-up where they differ most")
    assert whole.edges is None
    assert whole.ratio == pytest.approx(320 / 256)
    assert 'viewBox="0 0 640 512"' in whole.svg
    assert panels(
        OverlayInput(case.image, case.reference, case.reference, case.spacing_mm), made.labels(Sample()), "rgb"
    )


def test_huge_pictures_are_thinned():
    label = np.zeros((1, 2000, 3000), dtype=np.uint8)
    label[0, 500:1500, 500:1500] = 1
    image = np.random.default_rng(0).integers(0, 255, (3, *label.shape), dtype=np.uint8)
    pictures = panels(OverlayInput(image, label, label, (1.0, 1.0, 1.0)), made.labels(Sample(labels=("a",))), "rgb")
    assert len(pictures[0].svg) < 700_000
