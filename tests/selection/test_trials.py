import numpy as np
import pytest

from autoseg.selection.journal import Journal
from autoseg.selection.space import BIAS_STEPS, Recipe, Space, canonical
from autoseg.selection.trials import Effort, run
from tests.oof_world import EXCLUSIVE, REGIONS, configuration


def space(*names: str, labels=EXCLUSIVE, mirrored=False) -> Space:
    return Space(tuple(configuration(name, labels.heads) for name in names), (mirrored,) * len(names), labels, folds=5)


PAIR = space("2d", "3d_fullres", mirrored=True)


def hilly(recipe: Recipe) -> float:
    """Best at weights 1 to 2 with mirrored copies and one bias."""
    share = recipe.weights[0] / sum(recipe.weights)
    biases = recipe.biases or (0, 0)
    return 0.8 - (share - 1 / 3) ** 2 - 0.002 * abs(biases[0] - 2) - 0.002 * abs(biases[1]) + 0.003 * recipe.mirror


class Killed(Exception):
    pass


def killed_after(count: int):
    asked = []

    def objective(recipe: Recipe) -> float:
        if len(asked) == count:
            raise Killed
        asked.append(recipe)
        return hilly(recipe)

    return objective


EFFORT = Effort(trials=60)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    return run(PAIR, hilly, Journal(tmp_path_factory.mktemp("journal") / "trials.jsonl", "x"), "all", 3, EFFORT)


@pytest.mark.parametrize("kills", [(1,), (7,), (50,), (1, 7, 50)])
def test_a_search_killed_after_any_trial_goes_on_to_the_same_end(tmp_path, unbroken, kills):
    path = tmp_path / "trials.jsonl"
    done = 0
    for kill in kills:
        with pytest.raises(Killed):
            run(PAIR, killed_after(kill - done), Journal(path, "x"), "all", 3, EFFORT)
        done = kill
    path.write_text(path.read_text() + '{"search": "all", "number": 5')  # and the last line was cut off
    assert run(PAIR, hilly, Journal(path, "x"), "all", 3, EFFORT) == unbroken


def test_a_finished_search_asks_for_nothing_again(tmp_path, unbroken):
    path = tmp_path / "trials.jsonl"
    run(PAIR, hilly, Journal(path, "x"), "all", 3, EFFORT)
    assert run(PAIR, killed_after(0), Journal(path, "x"), "all", 3, EFFORT) == unbroken
    with pytest.raises(Killed):
        run(PAIR, killed_after(0), Journal(path, "other evidence"), "all", 3, EFFORT)


def test_damage_in_the_middle_costs_what_follows_only(tmp_path, unbroken):
    path = tmp_path / "trials.jsonl"
    run(PAIR, hilly, Journal(path, "x"), "all", 3, EFFORT)
    lines = path.read_text().split("\n")
    lines[31] = lines[31][:20] + "\x00"
    path.write_text("\n".join(lines))
    assert len(Journal(path, "x").of("all")) == 30
    assert run(PAIR, hilly, Journal(path, "x"), "all", 3, EFFORT) == unbroken


def test_other_seeds_propose_other_trials_and_all_find_the_hill(tmp_path, unbroken):
    other = run(PAIR, hilly, Journal(tmp_path / "trials.jsonl", "x"), "all", 4, EFFORT)
    assert other != unbroken
    for tried in (other, unbroken):
        start = max(each.mean_dice for each in tried[:10])
        assert max(each.mean_dice for each in tried) > start + 0.01


def test_everybodys_choices_come_first(unbroken):
    recipes = [each.recipe for each in unbroken]
    assert recipes[:4] == [Recipe((1, 0)), Recipe((0, 1)), Recipe((1, 1)), Recipe((1, 1), scale="logits")]
    assert recipes[4:8] == [
        Recipe((1, 0), mirror=True), Recipe((0, 1), mirror=True), Recipe((1, 1), mirror=True),
        Recipe((1, 1), mirror=True, scale="logits"),
    ]  # fmt: skip


def test_a_small_space_is_tried_as_a_whole(tmp_path):
    alone = space("2d")
    tried = run(alone, hilly, Journal(tmp_path / "trials.jsonl", "x"), "all", 0)
    assert len({each.recipe for each in tried}) == len(tried) == (2 * BIAS_STEPS + 1) ** 2 == alone.size


def test_a_search_that_finds_nothing_ends_early(tmp_path):
    tried = run(PAIR, lambda recipe: 0.5, Journal(tmp_path / "trials.jsonl", "x"), "all", 0, Effort(300, 20))
    assert len(tried) == 8 + 20


@pytest.mark.parametrize("chosen", [PAIR, space("2d"), space("2d", "3d_fullres", "3d_lowres", labels=REGIONS)])
def test_a_recipe_is_suggested_by_its_own_parameters(chosen):
    import optuna

    rng = np.random.default_rng(0)
    study = optuna.create_study()
    for _ in range(20):
        weights = tuple(rng.integers(0, 5, len(chosen.configurations)).tolist())
        biases = tuple(rng.integers(-BIAS_STEPS, BIAS_STEPS + 1, 2).tolist())
        recipe = canonical(Recipe(weights if len(weights) > 1 else (1,), scale="logits", biases=biases))
        study.enqueue_trial(chosen.parameters(recipe))
        assert chosen.suggest(study.ask()) == recipe


def test_configurations_without_mirrored_predictions_stay_out_of_mirrored_recipes():
    mixed = Space(PAIR.configurations, (False, True), EXCLUSIVE, 5)
    assert [recipe.weights for recipe in mixed.first() if recipe.mirror] == [(0, 1)]


def test_a_recipe_costs_all_its_folds_and_copies():
    flat, deep = PAIR.configurations
    turning = deep.training.model_copy(
        update={"augmentation": deep.training.augmentation.model_copy(update={"mirror_axes": (0, 1, 2)})}
    )
    costly = Space((flat, deep.model_copy(update={"training": turning})), (True, True), EXCLUSIVE, 5)
    assert costly.case_s(Recipe((1, 0))) == 5
    assert costly.case_s(Recipe((1, 2))) == 10
    assert costly.case_s(Recipe((0, 1), mirror=True)) == 5 * 8
