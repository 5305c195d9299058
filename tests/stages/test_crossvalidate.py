import numpy as np
import pytest

from autoseg.errors import DataError
from autoseg.stages.crossvalidate import crossvalidate
from tests.oof_world import EXCLUSIVE, REGIONS, make, probabilities


def run(world, **options):
    return crossvalidate(world.dataset, world.plan, world.workspace.dataset, world.workspace.job, **options)


@pytest.mark.parametrize("labels", [EXCLUSIVE, REGIONS])
def test_each_configuration_is_scored_by_the_fold_that_held_the_case(tmp_path, labels):
    world = make(tmp_path, cases=4, folds=2, names=("2d", "3d_fullres"), labels=labels, spacing=(3.0, 0.8, 0.8))
    for case, truth in world.truth.items():
        world.predict("3d_fullres", case, probabilities(truth, labels))
        worse = truth.copy()
        worse[truth == 2] = 1
        world.predict("2d", case, probabilities(worse, labels))
    events = []
    flat, full = run(world, notify=events.append).configurations
    assert (flat.configuration, full.configuration) == ("2d", "3d_fullres")
    assert full.oof.mean_dice.value == 1.0
    assert [case.case for case in full.oof.cases] == ["case_00", "case_02", "case_01", "case_03"]
    assert full.oof.tolerance_mm == pytest.approx(1.6)
    assert flat.oof.targets[1].dice.value == 0.0
    assert 0.4 < flat.oof.mean_dice.value < 0.6
    assert (events[-1].done, events[-1].total) == (8, 8)


def test_nothing_predicted_scores_zero(tmp_path):
    world = make(tmp_path, cases=2, folds=2)
    for case, truth in world.truth.items():
        world.predict("3d_fullres", case, probabilities(np.zeros_like(truth), EXCLUSIVE, certainty=1.0))
    assert run(world).configurations[0].oof.mean_dice.value == 0.0


def test_a_missing_prediction_names_case_and_job(tmp_path):
    world = make(tmp_path, cases=2, folds=2)
    world.predict("3d_fullres", "case_00", probabilities(world.truth["case_00"], EXCLUSIVE))
    with pytest.raises(DataError, match="case case_01, job 3d_fullres/fold_1: .*missing"):
        run(world)


def test_too_few_cases_to_validate_on(tmp_path):
    found = run(make(tmp_path, cases=2, folds=0)).configurations[0].oof
    assert (found.mean_dice.n, found.mean_dice.value, found.cases) == (0, None, ())
