"""The temperature of what ships: measured on other folds, taken where it helps, and of no weight for masks."""

import numpy as np
import pytest

from autoseg.contracts import Blend, Calibration, LabelSet, Member
from autoseg.selection import calibrating
from autoseg.selection.calibrating import calibrate, competing
from autoseg.selection.store import Pipeline, Store
from autoseg.volumes.blending import tempered
from tests.oof_world import EXCLUSIVE, REGIONS, SHAPE, World, make

SINGLE = Pipeline((Member(configuration="3d_fullres", weight=1.0),))
WITH_IGNORE = EXCLUSIVE.model_copy(update={"ignore_value": 9})


def boastful(world: World, power: float, names=("3d_fullres",), seed: int = 0) -> None:
    """Truths drawn from honest probabilities; what is stored needs the temperature ``power``."""
    rng, labels = np.random.default_rng(seed), world.dataset.labels
    for case in world.truth:
        logits = rng.normal(0, 1.3, (3, *SHAPE))
        shares = np.exp(logits) / np.exp(logits).sum(axis=0)
        truth = (rng.random(SHAPE) > shares.cumsum(axis=0)).sum(axis=0).clip(max=2).astype(np.uint8)
        heads = shares if labels.kind == "exclusive" else np.stack([shares[1] + shares[2], shares[2]])
        np.save(world.workspace.dataset.label(case), truth)
        world.truth[case] = truth
        for name in names:
            world.predict(name, case, tempered(heads.astype(np.float32), labels.kind, 1 / power))


def store_of(world: World) -> Store:
    return Store(world.dataset, world.workspace.dataset, world.workspace.job)


@pytest.mark.parametrize("labels", [EXCLUSIVE, REGIONS])
@pytest.mark.parametrize("power", [0.7, 1.8])
def test_a_known_temperature_is_found_and_the_error_falls_on_other_folds(tmp_path, labels: LabelSet, power):
    world = make(tmp_path, labels=labels)
    boastful(world, power)
    found = calibrate(store_of(world), SINGLE, seed=0)
    assert found.temperature == found.fitted == pytest.approx(power, rel=0.05)
    assert found.ece_after < found.ece_before / 3
    heads = 1 if labels is EXCLUSIVE else 2  # of regions, each is counted
    assert found.predictions == heads * len(world.truth) * np.prod(SHAPE)
    assert f"shown at temperature {found.temperature:g}; masks do not change" in found.because
    assert "single fold models" in found.because
    assert calibrate(store_of(world), SINGLE, seed=0) == found
    assert Calibration.model_validate_json(found.model_dump_json()) == found


def test_honest_probabilities_need_next_to_no_temperature(tmp_path):
    world = make(tmp_path)
    boastful(world, 1.0)
    found = calibrate(store_of(world), SINGLE, seed=0)
    assert found.fitted == pytest.approx(1.0, abs=0.03)
    assert found.ece_before < 0.01


def test_what_does_not_help_on_other_folds_does_not_ship(tmp_path):
    """Half of the folds are too sure, half not sure enough: what one half asks for harms the other."""
    world = make(tmp_path, folds=2)
    for fold, power in enumerate((0.6, 1.8)):
        part = World(world.workspace, world.dataset, world.plan, dict.fromkeys(world.dataset.split.folds[fold]))
        boastful(part, power, seed=fold)
    found = calibrate(store_of(world), SINGLE, seed=0)
    assert found.temperature == 1.0 and found.fitted is not None
    assert found.ece_after >= found.ece_before
    assert "shown as they are" in found.because


def test_one_fold_alone_proves_nothing(tmp_path):
    world = make(tmp_path, cases=3, folds=1)
    boastful(world, 1.8)
    found = calibrate(store_of(world), SINGLE, seed=0)
    assert (found.temperature, found.ece_after) == (1.0, None)
    assert found.fitted > 1.5 and "one fold only" in found.because


def test_members_are_blended_before_their_temperature_is_fitted(tmp_path):
    world = make(tmp_path, names=("2d", "3d_fullres"))
    boastful(world, 1.8, names=("2d", "3d_fullres"))
    members = tuple(Member(configuration=name, weight=0.5) for name in ("2d", "3d_fullres"))
    for scale in ("probabilities", "logits"):
        found = calibrate(store_of(world), Pipeline(members, blend=Blend(scale=scale)), seed=0)
        assert found.temperature == pytest.approx(1.8, rel=0.05)


def test_few_voxels_of_each_case_give_nearly_the_same(tmp_path, monkeypatch):
    world = make(tmp_path)
    boastful(world, 1.8)
    whole = calibrate(store_of(world), SINGLE, seed=0)
    monkeypatch.setattr(calibrating, "MOST_VALUES", 15_000)
    some = calibrate(store_of(world), SINGLE, seed=0)
    assert some.temperature == pytest.approx(whole.temperature, rel=0.05)
    assert some.predictions == whole.predictions


def test_voxels_that_nobody_annotated_do_not_count(tmp_path):
    world = make(tmp_path, labels=WITH_IGNORE)
    boastful(world, 1.8)
    before = calibrate(store_of(world), SINGLE, seed=0)
    for case, truth in world.truth.items():
        spoiled = truth.copy()
        spoiled[:6] = WITH_IGNORE.ignore_index
        np.save(world.workspace.dataset.label(case), spoiled)
    after = calibrate(store_of(world), SINGLE, seed=0)
    assert after.predictions == before.predictions / 2
    assert after.temperature == pytest.approx(before.temperature, rel=0.05)


def test_nothing_predicted_anywhere_is_said(tmp_path):
    world = make(tmp_path)
    nothing = np.zeros((3, *SHAPE), dtype=np.float32)
    nothing[0] = 1
    for case in world.truth:
        world.predict("3d_fullres", case, nothing)
    found = calibrate(store_of(world), SINGLE, seed=0)
    assert (found.temperature, found.fitted, found.predictions) == (1.0, None, 0)
    assert "Nothing was predicted" in found.because


def test_regions_compete_with_their_absence():
    heads = np.float32([[[[0.8, 0.2]]], [[[0.4, 0.2]]]])
    found, truth = competing(heads, np.array([[[1, 2]]], dtype=np.uint8), REGIONS)
    np.testing.assert_allclose(found[1], [0.8, 0.2, 0.4, 0.2], atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=0), 1)
    assert truth.tolist() == [1, 1, 0, 1]  # both lie in `whole`, the second in `core` too
