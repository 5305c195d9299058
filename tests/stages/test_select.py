import numpy as np
import pytest

from autoseg.contracts import Postprocessing
from autoseg.errors import DataError
from autoseg.selection.store import Store
from autoseg.selection.trials import Effort
from autoseg.stages.crossvalidate import crossvalidate
from autoseg.stages.select import select
from tests.oof_world import EXCLUSIVE, REGIONS, SHAPE, make, predict_timidly, probabilities

FEW = Effort(trials=40, patience=20)


def run(world, seed=0):
    folders = world.workspace.dataset, world.workspace.job
    validation = crossvalidate(world.dataset, world.plan, *folders)
    store = Store(world.dataset, *folders)
    return select(store, world.plan, validation, world.workspace.trials, seed=seed, effort=FEW), validation


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
    assert "less of the gain may be left" in selection.because


def test_equals_need_no_ensemble(tmp_path):
    world, rng = make(tmp_path, names=("2d", "3d_fullres")), np.random.default_rng(1)
    for case, truth in world.truth.items():
        noise = rng.random(SHAPE) < 0.02
        for name in ("2d", "3d_fullres"):
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
        assert (selection.calibration, selection.foresight) == (None, ())
        assert selection.members[0].configuration == "3d_fullres"
        assert selection.trials == ()
        assert "no validation cases" in selection.because


def lucky(truth: np.ndarray, shift: int) -> np.ndarray:
    """The organ without its last voxels, as it is, or with as many too many: equally bad either way."""
    guess, organ = truth.copy(), np.argwhere(truth == 1)
    if shift < 0:
        guess[tuple(organ[-20:].T)] = 0
    if shift > 0:
        z, y, x = organ.max(axis=0)
        beside = [(z - n // 7, y + 1, x - n % 7) for n in range(21)]
        guess[tuple(np.transpose(beside))] = 1
    return guess


def test_noise_candidates_gain_nothing(tmp_path):
    """Two members, and any mixture of them, are right, too small or too large by luck alone, each in a third of cases.

    So is the larger or the smaller of two independent ones. The naive winner looks better than it is; the nested gain
    covers zero.
    """
    flattery, nested = [], []
    for seed in range(3):
        world, rng = make(tmp_path / str(seed), cases=15, names=("2d", "3d_fullres")), np.random.default_rng(seed)
        for case, truth in world.truth.items():
            for name in ("2d", "3d_fullres"):
                world.predict(name, case, probabilities(lucky(truth, rng.integers(-1, 2)), EXCLUSIVE, certainty=0.98))
        selection, _ = run(world, seed)
        flattery.append(selection.default_oof_mean_dice - selection.nested_mean_dice.value)
        nested.append(selection.nested_gain)
        assert len(selection.members) == 1
    assert np.mean(flattery) > 0
    assert all(gain.low <= 0 <= gain.high for gain in nested)
    assert np.mean([gain.value for gain in nested]) <= 0.0005


def test_the_incumbents_choice_is_a_baseline_with_a_name(tmp_path):
    world, rng = make(tmp_path, names=("2d", "3d_fullres")), np.random.default_rng(0)
    for case, truth in world.truth.items():
        for name in ("2d", "3d_fullres"):
            world.predict(name, case, probabilities(with_islands(truth, rng), EXCLUSIVE))
    selection, _ = run(world)
    assert selection.nnunet.name == "nnU-Net's procedure"
    assert selection.nnunet.decision.joint_largest
    assert selection.nnunet.oof_mean_dice == 1.0
    assert [trial.name for trial in selection.trials].count("nnU-Net's procedure") == 1
    assert selection.nested_gain_over_nnunet.value == pytest.approx(0.0)
    assert [target.target for target in selection.nested_targets] == ["organ", "lesion"]
    assert selection.nested_targets[0].dice.value == 1.0
    assert selection.case_s == 5.0  # five folds of one configuration, a second each


def test_a_search_that_was_killed_gives_the_same_selection(tmp_path):
    world, rng = make(tmp_path, cases=6, folds=3), np.random.default_rng(0)
    for case, truth in world.truth.items():
        world.predict("3d_fullres", case, probabilities(with_islands(truth, rng), EXCLUSIVE, certainty=0.6))
    whole, _ = run(world)
    lines = world.workspace.trials.read_text().split("\n")
    for kept in (1, 7, 50):
        world.workspace.trials.write_text("\n".join(lines[: kept + 1]) + "\n" + lines[kept + 1][:15])
        assert run(world)[0] == whole


def test_too_timid_a_member_gets_a_bias(tmp_path):
    """Half of the organ's border is 40 % sure everywhere: a bias finds it, and says what flatter outputs would do."""
    world = make(tmp_path)
    predict_timidly(world, "3d_fullres")
    selection, _ = run(world)
    (bias,) = selection.decision.biases
    assert bias.target == "organ"
    assert 0 < bias.logit <= 1
    assert selection.oof.mean_dice.value == 1.0
    assert selection.bias_strengths[0].oof_mean_dice <= 1.0
    assert "the mean of several is flatter" in selection.because


def test_a_bias_that_the_best_of_many_has_by_luck_is_not_preferred(tmp_path):
    """It helps two cases in six: more than one standard error, less than luck gives the best of all that are tried."""
    world = make(tmp_path, cases=6, folds=3)
    for index, (case, truth) in enumerate(world.truth.items()):
        timid = (truth == 1) & (np.indices(SHAPE)[0] % 2 == 0) & (index < 2)
        heads = probabilities(truth, EXCLUSIVE)
        heads[:, timid] = np.array([0.55, 0.4, 0.05])[:, None]
        world.predict("3d_fullres", case, heads)
    selection, _ = run(world)
    assert not selection.preferred.decision.biases
    best = max(selection.trials, key=lambda trial: trial.oof_mean_dice)
    assert best.decision.biases and best.oof_mean_dice > selection.preferred.oof_mean_dice + 0.01


@pytest.mark.fault(
    48,
    "a label that no reference shows, and one of a single voxel, at selection",
    "the first takes no part in any choice and has no score, the second counts like any other; neither is judged",
)
def test_an_absent_label_and_one_of_a_single_voxel(tmp_path):
    """The first takes no part in the choice, the second counts like any other."""
    world, rng = make(tmp_path), np.random.default_rng(0)
    for case in world.truth:
        truth = np.zeros(SHAPE, dtype=np.uint8)
        truth[5, 5, 5] = 1
        np.save(world.workspace.dataset.label(case), truth)
        guess = with_islands(truth, rng) if case != "case_00" else truth.copy()
        guess[0, 0, 0] = 2  # predicted, and nowhere in any reference
        world.predict("3d_fullres", case, probabilities(guess, EXCLUSIVE))
    selection, _ = run(world)
    assert selection.default_oof_mean_dice == pytest.approx(selection.nested_mean_dice.value)
    assert selection.nested_targets[1].dice.value is None
    assert 0 < selection.default_oof_mean_dice < 1
    assert [one.expectation.present for one in selection.foresight] == [1.0, 0.0]
    assert all(one.expectation.predictor is None for one in selection.foresight)


@pytest.mark.fault(
    54,
    "one case alone, at selection",
    "the default ships; no nested score, no temperature and no expected Dice are claimed, each with its reason",
)
def test_one_case_alone_is_not_searched_on_others(tmp_path):
    world = make(tmp_path, cases=1, folds=1)
    (case,) = world.truth
    world.predict(
        "3d_fullres", case, probabilities(with_islands(world.truth[case], np.random.default_rng(0)), EXCLUSIVE)
    )
    selection, _ = run(world)
    assert selection.postprocessing == ()
    assert selection.nested_mean_dice.value is None
    assert "too few folds or subjects" in selection.because
    assert (selection.calibration.temperature, selection.calibration.ece_after) == (1.0, None)
    assert "one fold only" in selection.calibration.because
    assert all(one.expectation.predictor is None and "1 subjects" in one.because for one in selection.foresight)


def test_predictions_that_are_missing_or_no_probabilities_are_named(tmp_path):
    world = make(tmp_path, names=("2d", "3d_fullres"))
    for case, truth in world.truth.items():
        for name in ("2d", "3d_fullres"):
            world.predict(name, case, probabilities(truth, EXCLUSIVE))
    _, validation = run(world)
    store = Store(world.dataset, world.workspace.dataset, world.workspace.job)
    path = world.workspace.job("2d", 3).out_of_fold("case_03")
    broken = np.full((3, 1, 1, 1), 0.5, dtype=np.float16)
    broken[1] = np.nan
    np.savez(path, probabilities=broken, box=np.array([[0, 1], [0, 1], [0, 1]]))
    with pytest.raises(DataError, match="case case_03, job 2d/fold_3: .*1 of .* values are no probabilities"):
        select(store, world.plan, validation, world.workspace.trials, seed=0)
    path.unlink()
    with pytest.raises(DataError, match="case case_03, job 2d/fold_3: .*missing"):
        select(store, world.plan, validation, world.workspace.trials, seed=0)
    world.predict("2d", "case_03", probabilities(world.truth["case_03"], EXCLUSIVE)[:2])
    with pytest.raises(DataError, match="has 2 heads, expected 3"):
        select(store, world.plan, validation, world.workspace.trials, seed=0)
