"""What is seen of a mask, what is expected of it, and the conventions where nothing can be."""

import numpy as np
import pytest

from autoseg.contracts import DicePredictor, DiceTerm, Expectation
from autoseg.outoffold import place
from autoseg.quality import Segmented, angle_of, dice_at, expect, features
from tests.oof_world import EXCLUSIVE, REGIONS, SHAPE, probabilities, true_label

SPACING = (2.0, 1.0, 1.0)
WHOLE = tuple((0, size) for size in SHAPE)


def seen(labels=EXCLUSIVE, certainty=0.9, guess=None, opinions=()) -> Segmented:
    label = true_label(np.random.default_rng(0)) if guess is None else guess
    return Segmented(probabilities(label, labels, certainty), label, opinions, SPACING, WHOLE, SHAPE)


def predictor(**changes) -> DicePredictor:
    term = DiceTerm(feature="expected_dice", mean=2.0, scale=1.0, coefficient=0.1, low=0.0, high=4.0)
    plain = {"intercept": float(angle_of(0.8)), "terms": (term,), "residual_low": -0.2, "residual_high": 0.1}
    return DicePredictor(**{**plain, "median_dice": 0.8, "low_dice": 0.7, **changes})


def known(**changes) -> Expectation:
    return Expectation(**{"target": "organ", "present": 1.0, "predictor": predictor(), **changes})


@pytest.mark.parametrize("labels", [EXCLUSIVE, REGIONS])
@pytest.mark.parametrize("temperature", [1.0, 1.7])
def test_a_box_around_the_foreground_shows_what_the_whole_image_shows(labels, temperature):
    """Selection sees the stored box, prediction the image."""
    whole = seen(labels)
    faint = np.where(
        whole.classes > 0,
        whole.probabilities,
        np.array([1, 0, 0] if labels is EXCLUSIVE else [0, 0]).reshape(-1, 1, 1, 1),
    )
    faint = faint.astype(np.float32) + np.float32(0.0005)  # what a network says of any background
    z, y, x = (slice(found.min(), found.max() + 1) for found in np.nonzero(whole.classes))
    box = tuple((part.start, part.stop) for part in (z, y, x))
    crop = Segmented(faint[:, z, y, x], whole.classes[z, y, x], (), SPACING, box, SHAPE)
    all_of_it = Segmented(faint, place(crop.classes, box, SHAPE), (), SPACING, WHOLE, SHAPE)
    for one, other in zip(features(crop, labels, temperature), features(all_of_it, labels, temperature), strict=True):
        assert one == pytest.approx(other, abs=1e-6)


def test_surer_members_that_agree_are_trusted_more():
    label = true_label(np.random.default_rng(0))
    moved = np.roll(label, 2, axis=1)
    sure, unsure = (features(seen(certainty=c, opinions=(label, label)), EXCLUSIVE, 1.0)[0] for c in (0.98, 0.6))
    apart = features(seen(opinions=(label, moved)), EXCLUSIVE, 1.0)[0]
    assert sure["expected_dice"] > unsure["expected_dice"]
    assert sure["doubt_inside"] < unsure["doubt_inside"]
    assert apart["agreement"] < sure["agreement"] == 1.0
    flatter = features(seen(certainty=0.98), EXCLUSIVE, 2.0)[0]
    assert flatter["expected_dice"] < sure["expected_dice"]


def test_the_border_of_the_image_is_told_from_the_border_of_the_box():
    label = np.zeros(SHAPE, dtype=np.uint8)
    label[4:8, 0:3, 4:8] = 1
    assert features(seen(guess=label), EXCLUSIVE, 1.0)[0]["at_border"] == 1.0
    assert features(seen(), EXCLUSIVE, 1.0)[0]["at_border"] == 0.0
    plane = Segmented(
        probabilities(label[5:6, 3:], EXCLUSIVE),
        np.roll(label[5:6, 3:] * 0 + 1, 0),
        (),
        SPACING,
        ((0, 1), (3, 8), (2, 9)),
        (1, 40, 40),
    )
    inner = features(plane, EXCLUSIVE, 1.0)[0]
    assert inner["at_border"] == 0.0  # a single slice is no border


def test_an_empty_mask_is_told_where_nearly_all_cases_have_the_target():
    found = features(seen(guess=np.zeros(SHAPE, dtype=np.uint8)), EXCLUSIVE, 1.0)
    assert found == (None, None)
    missed, fine = expect(known(), None), expect(known(present=0.5), None)
    assert missed.dice is None and "nothing was outlined, though 100% of the cases" in missed.look
    assert (fine.dice, fine.look) == (None, "")


def test_expected_dice_and_its_interval():
    found = expect(known(), {"expected_dice": 3.0})
    assert found.dice == pytest.approx(float(dice_at(angle_of(0.8) + 0.1)))
    assert found.low < found.dice < found.high <= 1
    assert found.look == ""
    poor = expect(known(), {"expected_dice": 0.5})
    assert poor.dice < 0.7
    assert "a Dice of about 0.67 is expected, where nine of ten validated cases reached 0.70" in poor.look


def test_no_expectation_without_a_predictor():
    found = expect(known(predictor=None), {"expected_dice": 0.5})
    assert (found.dice, found.low, found.high, found.look) == (None, None, None, "")


@pytest.mark.parametrize(
    ("value", "words"), [(np.nan, "could not be computed"), (9.0, "unlike that in any"), (-9.0, "unlike that in any")]
)
def test_what_no_case_was_like_is_looked_at_and_not_guessed(value, words):
    found = expect(known(), {"expected_dice": value})
    assert found.dice is None
    assert words in found.look and "cannot be told" in found.look


def test_probabilities_that_are_no_numbers_reach_no_estimate():
    broken = seen()
    broken.probabilities[:, 5, 7, 7] = np.nan
    found = expect(known(), features(broken, EXCLUSIVE, 1.5)[0])
    assert found.dice is None and found.look


def test_absurd_coefficients_stay_within_a_dice():
    for coefficient in (1e6, -1e6):
        term = predictor().terms[0].model_copy(update={"coefficient": coefficient})
        found = expect(known(predictor=predictor(terms=(term,))), {"expected_dice": 3.0})
        assert 0 <= found.low <= found.dice <= found.high <= 1


def test_records_come_back_as_they_were():
    told = known()
    assert Expectation.model_validate_json(told.model_dump_json()) == told
    with pytest.raises(ValueError, match="scale"):
        DiceTerm(feature="volume", mean=0.0, scale=0.0, coefficient=1.0, low=0.0, high=1.0)
    with pytest.raises(ValueError, match="finite"):
        predictor(intercept=float("nan"))
