"""Expected Dice: learned where quality varies with what is seen, withheld on noise and where cases are too few."""

import json

import numpy as np
import pytest

from autoseg.contracts import ExpectedDice, Foresight, Member
from autoseg.evaluation.foresight import compare
from autoseg.quality import angle_of, expect
from autoseg.selection import foresight
from autoseg.selection.regression import LEAST_SUBJECTS, Examples, learn
from autoseg.selection.store import Pipeline, Store
from autoseg.selection.trials import Effort
from autoseg.stages.crossvalidate import crossvalidate
from autoseg.stages.select import select
from tests.oof_world import EXCLUSIVE, REGIONS, SHAPE, make, probabilities

SINGLE = Pipeline((Member(configuration="3d_fullres", weight=1.0),))
FEATURES = ("expected_dice", "doubt_inside", "volume", "components")


def examples(count=100, told=1.0, shift=0.0, subjects=None, seed=0) -> Examples:
    """Dice follows the first feature as far as ``told``; each fold's network shifts all features by chance."""
    rng = np.random.default_rng(seed)
    folds = np.arange(count) % 5
    table = rng.normal(0, 1, (count, len(FEATURES)))
    dice = np.clip(0.75 + 0.1 * (told * table[:, 0] + (1 - told) * rng.normal(0, 1, count)), 0, 1)
    table += shift * rng.normal(0, 1, (5, len(FEATURES)))[folds]
    table[:, 3] = 0.0  # always one component
    names = [f"s{index}" for index in range(count)] if subjects is None else subjects
    seen = tuple(dict(zip(FEATURES, row.tolist(), strict=True)) for row in table)
    return Examples(seen, dice, folds, np.array(names))


def crossfitted(known: Examples):
    expected, median, low = foresight.crossfit("organ", known)
    return compare(expected, known.dice.tolist(), median.tolist(), low.tolist())


def test_what_follows_the_features_is_foreseen_on_other_folds():
    error = crossfitted(examples(told=0.8))
    assert error.cases == 100
    assert error.error < 0.5 * error.constant_error
    assert error.rank_correlation > 0.85
    assert 0.8 <= error.inside <= 0.97
    assert abs(error.bias) < 0.01
    assert error.low_flagged >= 5 and error.flagged < 25


def test_noise_is_not_foreseen():
    for seed in range(5):
        error = crossfitted(examples(told=0.0, seed=seed))
        assert error.error > 0.97 * error.constant_error
        assert abs(error.rank_correlation) < 0.3


def test_differences_between_networks_teach_nothing():
    """Features that say which network it was and no more: their coefficients stay small, and the true one is found."""
    line = {term.feature: term for term in learn(examples(told=0.9, shift=3.0)).terms}
    assert line["expected_dice"].coefficient > 5 * abs(line["doubt_inside"].coefficient)
    assert line["expected_dice"].scale == pytest.approx(1.0, abs=0.2)  # within folds
    assert "components" not in line  # it never varies


def test_residuals_hold_nine_in_ten_of_new_masks():
    predictor, fresh = learn(examples(told=0.6, count=150)), examples(told=0.6, count=2000, seed=9)
    term = {term.feature: term for term in predictor.terms}
    angles = predictor.intercept + sum(
        t.coefficient * (np.array([one[t.feature] for one in fresh.seen]) - t.mean) / t.scale for t in term.values()
    )
    residual = angle_of(fresh.dice) - angles
    inside = (predictor.residual_low <= residual) & (residual <= predictor.residual_high)
    assert inside.mean() == pytest.approx(0.9, abs=0.05)


def test_too_few_subjects_teach_nothing_however_many_cases():
    assert foresight.crossfit("organ", examples(count=20)) is None
    twelve = [f"s{index // 10}" for index in range(120)]
    assert foresight.crossfit("organ", examples(count=120, subjects=twelve)) is None
    assert foresight.crossfit("organ", examples(count=30)) is not None


def test_comparison_leaves_out_what_is_undefined_and_counts_what_is_flagged():
    told = [ExpectedDice(target="organ", dice=d, low=d - 0.1, high=d + 0.1) for d in (0.8, 0.6, 0.9)]
    untold = ExpectedDice(target="organ", look="unlike any")
    found = compare([*told, untold, untold], [0.85, 0.4, None, 0.2, None], [0.7] * 5, [0.5] * 5)
    assert (found.cases, found.low, found.flagged, found.low_flagged) == (2, 2, 1, 1)
    assert found.error == pytest.approx(0.125)
    assert found.constant_error == pytest.approx(0.225)
    assert found.bias == pytest.approx(0.075)
    assert (found.inside, found.rank_correlation) == (0.5, pytest.approx(1.0))
    nothing = compare([untold], [None], [0.7], [0.5])
    assert (nothing.cases, nothing.flagged, nothing.error) == (0, 0, None)


def varied(truth: np.ndarray, poor: float, labels, rng: np.random.Generator) -> np.ndarray:
    """The poorer, the more of the organ's neighbourhood is wrong, and the less sure the network is there."""
    guess = np.where(rng.random(SHAPE) < 0.5 * poor, np.roll(truth, 2, axis=1), truth)
    noisy = probabilities(guess, labels, certainty=0.95 - 0.35 * poor)
    return noisy.astype(np.float32)


def vary(world):
    """Predictions of any quality; returns the world."""
    rng = np.random.default_rng(0)
    for case, truth in world.truth.items():
        world.predict("3d_fullres", case, varied(truth, rng.random(), world.dataset.labels, rng))
    return world


def foreseen(world):
    """Without a search: of the one configuration as it is."""
    folders = world.workspace.dataset, world.workspace.job
    (validation,) = crossvalidate(world.dataset, world.plan, *folders).configurations
    return foresight.foresee(Store(world.dataset, *folders), SINGLE, validation.oof.cases, 1.2, seed=0)


def selected(world):
    folders = world.workspace.dataset, world.workspace.job
    validation = crossvalidate(world.dataset, world.plan, *folders)
    store = Store(world.dataset, *folders)
    return select(store, world.plan, validation, world.workspace.trials, seed=0, effort=Effort(trials=12, patience=6))


def test_selection_ships_what_can_be_foreseen_and_says_how_well(tmp_path):
    world = vary(make(tmp_path, cases=30, folds=3))
    found = selected(world)
    assert found.calibration is not None
    assert [one.expectation.target for one in found.foresight] == list(world.dataset.labels.targets)
    first = found.foresight[0]
    assert first.expectation.predictor is not None and first.expectation.present == 1.0
    assert first.oof.error < first.oof.constant_error and first.order.low > foresight.USEFUL_ORDER
    assert "is foreseen within" in first.because and "single fold models" in first.because
    assert type(found).model_validate_json(found.model_dump_json()) == found
    assert "NaN" not in json.dumps(found.model_dump(mode="json"))
    without = found.model_copy(update={"calibration": None, "foresight": ()})
    old = json.loads(without.model_dump_json(exclude={"calibration", "foresight"}))
    assert type(found).model_validate_json(json.dumps(old)) == without  # selections of versions before


def test_regions_are_judged_too(tmp_path):
    whole, core = foreseen(vary(make(tmp_path, cases=30, labels=REGIONS)))
    assert (whole.expectation.target, core.expectation.target) == ("whole", "core")
    assert whole.expectation.predictor is not None
    assert whole.oof.rank_correlation > 0.5


def test_ten_cases_are_too_few_and_it_is_said(tmp_path):
    for one in foreseen(vary(make(tmp_path))):
        assert isinstance(one, Foresight)
        assert one.expectation.predictor is None
        assert f"10 subjects have one with a known Dice, and with fewer than {LEAST_SUBJECTS}" in one.because


def test_a_target_that_is_nowhere_is_expected_nowhere(tmp_path):
    world = make(tmp_path, cases=30)
    for case, truth in world.truth.items():
        alone = np.where(truth == 2, 1, truth)
        np.save(world.workspace.dataset.label(case), alone)
        world.predict("3d_fullres", case, probabilities(alone, EXCLUSIVE))
    organ, lesion = foreseen(world)
    assert (organ.expectation.present, lesion.expectation.present) == (1.0, 0.0)
    assert "0 subjects" in lesion.because
    assert organ.expectation.predictor is None  # always right: nothing to put in order
    assert expect(lesion.expectation, None).look == ""
    assert "nothing was outlined" in expect(organ.expectation, None).look
