"""What the deployed model promises, held against hold-out cases."""

import numpy as np
import pytest

from autoseg.contracts import ExpectedDice, PredictedCase, Prediction
from autoseg.row.holdout import CalibrationOnHoldout, expectations
from autoseg.volumes.blending import tempered
from tests import report_records
from tests.model import test_trust as trust
from tests.model import tiny
from tests.oof_world import EXCLUSIVE, SHAPE, make


@pytest.fixture
def world(tmp_path):
    made = make(tmp_path)
    split = made.dataset.split.model_copy(update={"holdout": ("case_00", "case_01", "case_02")})
    made.dataset = made.dataset.model_copy(update={"split": split})
    return made


def drawn(world, case, rng):
    """Probabilities that need the temperature 2, and a truth that is drawn from what they then say."""
    logits = rng.normal(0, 1.3, (EXCLUSIVE.heads, *SHAPE))
    shares = np.exp(logits) / np.exp(logits).sum(axis=0)
    truth = (rng.random(SHAPE) > shares.cumsum(axis=0)).sum(axis=0).clip(max=2).astype(np.uint8)
    np.save(world.workspace.dataset.label(case), truth)
    return tempered(shares.astype(np.float32), "exclusive", 0.5)


def test_the_right_temperature_lowers_the_error_of_the_deployed_model(world):
    check, rng = CalibrationOnHoldout(world.dataset, world.workspace, temperature=2.0), np.random.default_rng(0)
    heads = {case: drawn(world, case, rng) for case in ("case_00", "case_01", "case_05")}
    for case, probabilities in heads.items():
        check.observe(case, probabilities)
    found = check.result()
    assert (found.cases, found.predictions) == (2, 2 * np.prod(SHAPE))  # case_05 is no hold-out case
    assert found.ece_after < found.ece_before / 3
    check.observe("case_00", heads["case_00"])  # predicted again after an interruption
    assert CalibrationOnHoldout(world.dataset, world.workspace, 2.0).result() == found


def test_truth_on_another_grid_does_not_count(world):
    check = CalibrationOnHoldout(world.dataset, world.workspace, temperature=2.0)
    check.observe("case_00", np.full((3, 4, 4, 4), 1 / 3, dtype=np.float32))
    assert check.result().cases == 0 and check.result().ece_before is None


def test_nothing_held_out_nothing_said(tmp_path):
    made = make(tmp_path)
    assert CalibrationOnHoldout(made.dataset, made.workspace, 1.0).result() is None
    assert expectations(tiny.draft(), Prediction(cases=()), None) == ()


def test_expected_beside_true_dice_by_the_names_of_cases():
    scores = report_records.run(report_records.Sample(labels=("organ", "lesion"), development=4, holdout=6)).holdout
    truth = [case.targets[0].dice for case in scores.cases]
    told = [
        PredictedCase(
            case=case.case,
            status="done",
            expected=(ExpectedDice(target="organ", dice=dice - 0.01, low=dice - 0.1, high=dice + 0.1),),
        )
        for case, dice in zip(scores.cases, truth, strict=True)
    ]
    model = tiny.draft().model_copy(update={"expectations": (trust.expectation("organ"),)})
    (check,) = expectations(model, Prediction(cases=tuple(reversed(told))), scores)
    assert check.target == "organ"
    assert (check.holdout.cases, check.holdout.inside) == (6, 1.0)
    assert check.holdout.bias == pytest.approx(-0.01)
    assert check.holdout.rank_correlation == pytest.approx(1.0)
    assert check.holdout.constant_error == pytest.approx(np.mean(np.abs(np.array(truth) - 0.7)))
