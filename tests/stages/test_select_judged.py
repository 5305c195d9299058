"""Cases that a plan was chosen on: their scores are oof, and no nested number is made of them."""

import numpy as np
import pytest

from autoseg.selection.store import Store
from autoseg.selection.trials import Effort
from autoseg.stages.crossvalidate import crossvalidate
from autoseg.stages.select import select
from tests.oof_world import EXCLUSIVE, make, probabilities

FEW = Effort(trials=40, patience=20)


@pytest.fixture
def world(tmp_path):
    """Predictions that are right in the fold that judged, and poor elsewhere."""
    made = make(tmp_path)
    for case, truth in made.truth.items():
        guess = truth.copy()
        if case not in made.dataset.split.folds[0]:
            guess[:6] = 0
        made.predict("3d_fullres", case, probabilities(guess, EXCLUSIVE))
    return made


def selected(world, judged):
    folders = world.workspace.dataset, world.workspace.job
    validation = crossvalidate(world.dataset, world.plan, *folders)
    store, trials = Store(world.dataset, *folders), world.workspace.trials
    return select(store, world.plan, validation, trials, seed=0, effort=FEW, judged=judged)


def test_nested_numbers_leave_out_the_cases_that_judged_the_plan(world):
    judged = world.dataset.split.folds[0]
    flattered, honest = selected(world, ()), selected(world, judged)
    assert (flattered.nested_mean_dice.n, honest.nested_mean_dice.n) == (10, 8)
    assert honest.nested_mean_dice.value < flattered.nested_mean_dice.value
    assert honest.nested_gain.n == 8
    assert {target.dice.n for target in honest.nested_targets} == {8}
    assert honest.oof == flattered.oof
    assert "searched for on 2 of the cases" in honest.because
    assert "searched" not in flattered.because


def test_a_target_that_only_judging_cases_have_has_no_nested_number(world):
    """Its Dice would be 0 for whoever made some of it up elsewhere, and left out for the other."""
    judged = world.dataset.split.folds[0]
    for case, truth in world.truth.items():
        if case not in judged:
            truth[truth == 2] = 1
            np.save(world.workspace.dataset.label(case), truth)
            guess = truth.copy()
            guess[:6] = 0
            guess[0, 0, 0] = 2
            world.predict("3d_fullres", case, probabilities(guess, EXCLUSIVE))
    organ, lesion = selected(world, judged).nested_targets
    assert organ.dice.value is not None and lesion.dice.value is None
    assert selected(world, judged).nested_mean_dice.value == pytest.approx(organ.dice.value)


def test_where_all_cases_judged_there_is_no_nested_number(world):
    made = selected(world, world.dataset.development)
    assert made.nested_mean_dice.value is None
    assert made.nested_mean_dice.n == 0
