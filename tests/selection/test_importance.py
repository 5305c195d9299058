"""What each choice is worth: nothing where it is the default, all of the gain where it alone made it."""

import numpy as np
import pytest

from autoseg.selection.importance import variance_shares
from autoseg.selection.journal import Line
from autoseg.selection.space import Space
from tests.oof_world import EXCLUSIVE, REGIONS, configuration, make, predict_timidly, probabilities
from tests.stages.test_select import half_blind, run, with_islands


def of(selection, choice, *targets):
    return next(one for one in selection.importance if (one.choice, one.targets) == (choice, targets))


def test_a_blend_that_makes_all_the_difference_is_told(tmp_path):
    world = make(tmp_path, cases=6, folds=3, names=("2d", "3d_fullres"))
    for case, truth in world.truth.items():
        world.predict("2d", case, half_blind(truth, wrong_first=True))
        world.predict("3d_fullres", case, half_blind(truth, wrong_first=False))
    selection, _ = run(world)
    members = of(selection, "members")
    assert members.default_oof_mean_dice == pytest.approx(selection.default_oof_mean_dice)
    assert members.variance_share > 0.3
    shares = [one.variance_share for one in selection.importance if one.variance_share is not None]
    assert sum(shares) <= 1 + 1e-9
    assert of(selection, "mirror").possible is False
    assert of(selection, "mirror").variance_share is None
    assert all(one.default_oof_mean_dice is None for one in selection.importance if one.choice != "members")
    assert selection.changes == ()
    assert selection.preferred.oof_mean_dice == 1.0
    assert selection.preferred == selection.trials[selection.preferred.number]


def test_the_rule_that_cleans_is_worth_the_gain_and_the_cases_it_changes_are_listed(tmp_path):
    world, rng = make(tmp_path, cases=6, folds=3), np.random.default_rng(0)
    for index, (case, truth) in enumerate(world.truth.items()):
        guess = with_islands(truth, rng) if index else truth
        world.predict("3d_fullres", case, probabilities(guess, EXCLUSIVE))
    selection, validation = run(world)
    rule = of(selection, "postprocessing", "organ")
    assert rule.default_oof_mean_dice == pytest.approx(selection.default_oof_mean_dice)
    assert rule.variance_share is None  # no trial varies it
    assert of(selection, "postprocessing", "lesion").default_oof_mean_dice is None
    assert {change.case for change in selection.changes} == set(world.truth) - {"case_00"}
    before = {case.case: [t.dice for t in case.targets] for case in validation.configurations[0].oof.cases}
    assert all(list(change.before) == before[change.case] for change in selection.changes)
    assert all(change.after == (1.0, 1.0) for change in selection.changes)


def test_what_did_not_suffice_is_told_too(tmp_path):
    """The search prefers a rule that helps two cases in six; it does not ship, and what it would change is known."""
    world, rng = make(tmp_path, cases=6, folds=3), np.random.default_rng(0)
    for index, (case, truth) in enumerate(world.truth.items()):
        guess = with_islands(truth, rng) if index < 2 else truth
        world.predict("3d_fullres", case, probabilities(guess, EXCLUSIVE))
    selection, _ = run(world)
    assert selection.postprocessing == () and not selection.decision.biases
    assert selection.preferred.postprocessing
    assert {change.case for change in selection.changes} == {"case_00", "case_01"}
    assert of(selection, "postprocessing", "organ").default_oof_mean_dice < selection.preferred.oof_mean_dice


def test_a_bias_is_worth_what_it_gains(tmp_path):
    world = make(tmp_path, cases=6, folds=3)
    predict_timidly(world, "3d_fullres")
    selection, _ = run(world)
    assert of(selection, "bias", "organ").default_oof_mean_dice == pytest.approx(selection.default_oof_mean_dice)
    assert of(selection, "bias", "organ").variance_share > 0.5 > of(selection, "bias", "lesion").variance_share
    assert len(selection.changes) == 6


def test_shares_follow_the_truth_and_equal_scores_have_none():
    both = tuple(configuration(name, 3) for name in ("2d", "3d_fullres"))
    space = Space(both, (True, True), REGIONS, 5)
    rng, lines = np.random.default_rng(0), []
    for number in range(150):
        found = {"weight 2d": int(rng.integers(5)), "weight 3d_fullres": int(rng.integers(5))}
        found |= {
            "mirror": bool(rng.integers(2)),
            "scale": "logits",
            "temperature": 1.0,
            "nested": bool(rng.integers(2)),
        }
        found |= {"bias whole": int(rng.integers(-4, 5)), "bias core": 0}
        lines.append(Line(search="all", number=number, parameters=found, value=0.1 * found["bias whole"]))
    shares = variance_shares(space, lines, 0)
    assert shares["bias whole"] > 0.9
    assert shares == variance_shares(space, lines, 0)
    rounding = [line.model_copy(update={"value": 0.5 + 1e-9 * line.value}) for line in lines]
    assert variance_shares(space, rounding, 0) == variance_shares(space, [], 0) == {}
