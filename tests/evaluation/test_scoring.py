import json

import numpy as np
import pytest

from autoseg.contracts import Interval, Label, LabelSet, Scores
from autoseg.errors import GeometryError
from autoseg.evaluation.scoring import class_counts, dice_of, score_case, summarize
from autoseg.volumes.metrics import METRICS
from tests.oof_world import EXCLUSIVE, REGIONS

SPACING = (2.0, 1.0, 1.0)
IGNORING = LabelSet(labels=EXCLUSIVE.labels, ignore_value=255)


def reference() -> np.ndarray:
    classes = np.zeros((6, 10, 10), dtype=np.uint8)
    classes[1:5, 1:7, 1:7] = 1
    classes[2:4, 3:5, 3:5] = 2
    return classes


def score(truth, guess, labels=EXCLUSIVE, case="a", subject="s"):
    return score_case(truth, guess, labels, SPACING, 2.0, case, subject)


def test_a_perfect_prediction():
    organ, lesion = score(reference(), reference()).targets
    assert (organ.target, organ.dice, organ.nsd, organ.hd95_mm) == ("organ", 1.0, 1.0, 0.0)
    assert lesion.reference_mm3 == lesion.predicted_mm3 == 16.0  # 8 voxels of 2 mm3


def test_regions_are_scored_as_unions():
    guess = reference()
    guess[guess == 2] = 1  # the core is missed, the whole is right
    whole, core = score(reference(), guess, REGIONS).targets
    assert (whole.target, whole.dice, whole.reference_mm3) == ("whole", 1.0, 4 * 36 * 2.0)
    assert (core.dice, core.nsd, core.hd95_mm) == (0.0, 0.0, None)


def test_unannotated_voxels_count_for_nothing():
    truth, guess = reference(), np.ones((6, 10, 10), dtype=np.uint8)
    truth[reference() == 0] = IGNORING.ignore_index
    organ = score(truth, guess, IGNORING).targets[0]
    assert organ.predicted_mm3 == 4 * 36 * 2.0  # only where something is annotated
    assert organ.dice == pytest.approx(2 * (144 - 8) / (144 - 8 + 144))
    assert dice_of(truth, guess, IGNORING)[0] == organ.dice


def test_absent_targets_follow_the_convention():
    truth = reference()
    truth[truth == 2] = 0
    assert score(truth, truth).targets[1].dice is None
    assert score(truth, reference()).targets[1].dice == 0.0


@pytest.mark.parametrize("labels", [EXCLUSIVE, REGIONS])
def test_the_short_way_gives_the_same_dice(labels):
    rng = np.random.default_rng(0)
    truth, guess = rng.integers(0, 3, (2, 4, 5, 6)).astype(np.uint8)
    assert dice_of(truth, guess, labels) == tuple(target.dice for target in score(truth, guess, labels).targets)
    assert class_counts(truth, labels)[:3].tolist() == [(truth == k).sum() for k in range(3)]


def test_a_flat_target_in_a_volume_is_not_a_plane():
    truth = np.zeros((6, 10, 10), dtype=np.uint8)
    truth[5, 2:7, 2:7] = 1
    guess = truth.copy()
    guess[5, 4, 4] = 0
    found = score_case(truth, guess, EXCLUSIVE, SPACING, 0.5, "a", "s").targets[0]
    assert found.nsd == pytest.approx(48 / 49)


def test_shapes_must_match():
    with pytest.raises(GeometryError, match=r"case a: reference \(6, 10, 10\)"):
        score(reference(), reference()[:5])


def test_summary_per_target_then_overall():
    absent = reference()
    absent[absent == 2] = 0
    cases = [
        score(reference(), reference(), case="a", subject="a"),
        score(absent, absent, case="b", subject="b"),
        score(absent, reference(), case="c", subject="c"),
    ]
    scores = summarize(cases, EXCLUSIVE, 2.0, seed=0)
    organ, lesion = scores.targets
    assert (lesion.absent, lesion.dice.n, lesion.dice.value) == (2, 2, 0.5)
    assert organ.dice.n == 3
    assert scores.mean_dice.value == pytest.approx((organ.dice.value + 0.5) / 2)
    assert lesion.hd95_mm.n == 1
    assert scores.mean_dice.low is None  # three subjects have no interval
    assert "left out" in scores.convention


def test_specificity_knows_the_whole_image_but_not_what_nobody_annotated():
    truth, guess = reference(), np.roll(reference(), 1, axis=2)
    organ = score(truth, guess).targets[0]
    outside = (truth != 1).sum()
    assert organ.specificity == pytest.approx(1 - ((guess == 1) & (truth != 1)).sum() / outside)
    truth[0] = IGNORING.ignore_index
    fewer = score(truth, guess, IGNORING).targets[0]
    assert fewer.specificity == pytest.approx(1 - ((guess == 1) & (truth != 1)).sum() / (outside - 100))


def test_every_metric_is_summed_up_per_target_and_over_targets():
    missed = np.where(reference() == 2, 1, reference())
    cases = [score(reference(), guess, case=c, subject=c) for c, guess in zip("ab", (reference(), missed), strict=True)]
    scores = summarize(cases, EXCLUSIVE, 2.0, seed=0)
    organ, lesion = scores.targets
    assert (lesion.missed, organ.missed) == (1, 0)
    for name in METRICS:
        values = [value for case in cases if (value := getattr(case.targets[1], name)) is not None]
        assert getattr(lesion, name).n == len(values), name
        assert getattr(lesion, name).value == pytest.approx(np.mean(values)), name
        mean = (getattr(organ, name).value + getattr(lesion, name).value) / 2
        assert getattr(scores.means, name).value == pytest.approx(mean), name
    assert (scores.means.dice, scores.means.nsd) == (scores.mean_dice, scores.mean_nsd)


def test_scores_of_earlier_versions_are_read_and_what_they_did_not_measure_is_undefined():
    scores = summarize([score(reference(), reference())], EXCLUSIVE, 2.0, seed=0)
    known = {"target", "dice", "nsd", "hd95_mm", "reference_mm3", "predicted_mm3", "absent"}
    earlier = json.loads(scores.model_dump_json(exclude={"means", "groups"}))
    for entry in (*earlier["targets"], *earlier["cases"][0]["targets"]):
        for name in entry.keys() - known:
            del entry[name]
    read = Scores.model_validate_json(json.dumps(earlier))
    assert read.mean_dice == scores.mean_dice
    assert read.targets[0].nsd == scores.targets[0].nsd
    assert (read.targets[0].iou, read.targets[0].missed, read.means.dice) == (Interval(), None, Interval())
    assert read.cases[0].targets[0].iou is None


def test_a_target_nobody_has_is_null():
    labels = LabelSet(labels=(*EXCLUSIVE.labels, Label(name="rare", value=3)))
    scores = summarize([score(reference(), reference(), labels, case=c, subject=c) for c in "ab"], labels, 2.0, 0)
    assert (scores.targets[2].dice.value, scores.targets[2].absent) == (None, 2)
    assert scores.mean_dice.value == 1.0


def test_no_cases():
    scores = summarize([], EXCLUSIVE, 0.0, 0)
    assert (scores.mean_dice.value, scores.mean_dice.n, len(scores.targets)) == (None, 0, 2)
