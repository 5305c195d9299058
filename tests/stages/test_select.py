import numpy as np
import pytest

from autoseg.contracts import Postprocessing
from autoseg.stages.crossvalidate import crossvalidate
from autoseg.stages.select import select
from tests.oof_world import EXCLUSIVE, REGIONS, SHAPE, make, probabilities


def run(world, seed=0):
    folders = world.workspace.dataset, world.workspace.job
    validation = crossvalidate(world.dataset, world.plan, *folders)
    return select(world.dataset, world.plan, validation, *folders, seed=seed), validation


def with_islands(truth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    guess = truth.copy()
    guess[10:12, 13 : 13 + rng.integers(1, 4), 11:13] = 1  # 4 to 12 voxels away from everything
    return guess


def half_blind(truth: np.ndarray, wrong_first: bool) -> np.ndarray:
    """Very sure on one half, slightly wrong on the other."""
    sure = probabilities(truth, EXCLUSIVE, certainty=0.98)
    unsure = probabilities(np.where(truth > 0, 0, 1), EXCLUSIVE, certainty=0.6)
    first = (np.arange(SHAPE[2]) < SHAPE[2] // 2)[None, None, :]
    return np.where(first == wrong_first, unsure, sure)


def test_islands_are_cleaned_away_when_that_helps_every_fold(tmp_path):
    world, rng = make(tmp_path), np.random.default_rng(0)
    for case, truth in world.truth.items():
        world.predict("3d_fullres", case, probabilities(with_islands(truth, rng), EXCLUSIVE))
    selection, validation = run(world)
    assert selection.postprocessing == (Postprocessing(target="organ", keep_largest=True),)
    assert selection.oof.mean_dice.value == 1.0
    assert selection.default_oof_mean_dice == pytest.approx(validation.configurations[0].oof.mean_dice.value)
    assert selection.nested_mean_dice.value == 1.0
    assert selection.nested_gain.low > 0
    assert selection.nested_gain.value == pytest.approx(1 - selection.default_oof_mean_dice)
    assert selection.because.endswith("so it ships.")
    assert "organ: the largest component only" in selection.because
    assert [trial.number for trial in selection.trials] == list(range(len(selection.trials)))


def test_the_default_ships_where_nothing_helps(tmp_path):
    world = make(tmp_path)
    for case, truth in world.truth.items():
        eroded = truth.copy()
        eroded[:5] = 0
        world.predict("3d_fullres", case, probabilities(eroded, EXCLUSIVE))
    selection, validation = run(world)
    assert selection.postprocessing == ()
    assert selection.oof == validation.configurations[0].oof
    assert selection.nested_mean_dice.value == pytest.approx(selection.default_oof_mean_dice)
    assert selection.nested_gain.value == 0.0
    assert "so it ships" in selection.because


def test_luck_on_one_case_does_not_ship(tmp_path):
    world, rng = make(tmp_path), np.random.default_rng(0)
    for index, (case, truth) in enumerate(world.truth.items()):
        guess = with_islands(truth, rng) if index == 0 else truth
        world.predict("3d_fullres", case, probabilities(guess, EXCLUSIVE))
    selection, _ = run(world)
    assert selection.postprocessing == ()
    assert selection.nested_gain.low <= 0


def test_two_that_are_blind_in_different_places_are_blended(tmp_path):
    world = make(tmp_path, names=("2d", "3d_fullres"))
    for case, truth in world.truth.items():
        world.predict("2d", case, half_blind(truth, wrong_first=True))
        world.predict("3d_fullres", case, half_blind(truth, wrong_first=False))
    selection, _ = run(world)
    assert [(m.configuration, m.weight) for m in selection.members] == [("2d", 0.5), ("3d_fullres", 0.5)]
    assert selection.oof.mean_dice.value == 1.0
    assert selection.nested_gain.low > 0
    assert "0.5 x 2d + 0.5 x 3d_fullres" in selection.because


def test_equals_need_no_ensemble(tmp_path):
    world, rng = make(tmp_path, names=("2d", "3d_fullres")), np.random.default_rng(1)
    for case, truth in world.truth.items():
        for name in ("2d", "3d_fullres"):
            noise = rng.random(SHAPE) < 0.02
            world.predict(name, case, probabilities(np.where(noise, 0, truth), EXCLUSIVE))
    selection, validation = run(world)
    assert len(selection.members) == 1
    best = max(validation.configurations, key=lambda found: found.oof.mean_dice.value)
    assert selection.members[0].configuration == best.configuration


def test_regions_are_cleaned_as_regions(tmp_path):
    world, rng = make(tmp_path, labels=REGIONS), np.random.default_rng(0)
    for case, truth in world.truth.items():
        world.predict("3d_fullres", case, probabilities(with_islands(truth, rng), REGIONS))
    selection, _ = run(world)
    assert [step.target for step in selection.postprocessing] == ["whole"]
    assert selection.oof.mean_dice.value == 1.0


def test_the_same_seed_gives_the_same_choice(tmp_path):
    world, rng = make(tmp_path, cases=6, folds=3, names=("2d", "3d_fullres")), np.random.default_rng(0)
    for case, truth in world.truth.items():
        world.predict("2d", case, probabilities(with_islands(truth, rng), EXCLUSIVE))
        world.predict("3d_fullres", case, probabilities(with_islands(truth, rng), EXCLUSIVE))
    assert run(world, seed=4)[0] == run(world, seed=4)[0]


@pytest.mark.parametrize("folds", [0, 1])
def test_without_folds_nothing_is_claimed(tmp_path, folds):
    world = make(tmp_path, cases=3, folds=folds, names=("2d", "3d_fullres"))
    if folds:
        for case, truth in world.truth.items():
            for name in ("2d", "3d_fullres"):
                world.predict(name, case, probabilities(with_islands(truth, np.random.default_rng(0)), EXCLUSIVE))
    selection, _ = run(world)
    assert len(selection.members) == 1
    assert selection.postprocessing == ()
    assert selection.nested_mean_dice.value is None
    if not folds:
        assert selection.members[0].configuration == "3d_fullres"
        assert selection.trials == ()
        assert "no validation cases" in selection.because
