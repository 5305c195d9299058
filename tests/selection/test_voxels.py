import numpy as np
import pytest

from autoseg.contracts import LabelSet
from autoseg.evaluation.scoring import dice_of
from autoseg.selection.evidence import gather
from autoseg.selection.finalists import Choice, pipeline_of
from autoseg.selection.space import BIAS_STEPS, PARTS, Recipe, canonical
from autoseg.selection.store import Store
from autoseg.selection.voxels import VoxelTable, count_classes, split
from autoseg.volumes.components import Cleaning
from tests.oof_world import EXCLUSIVE, REGIONS, SHAPE, make

NAMES = ("2d", "3d_fullres")


def vague(truth: np.ndarray, labels: LabelSet, rng: np.random.Generator) -> np.ndarray:
    """Heads that lean to the truth, by as much or as little as it happens."""
    if labels.kind == "regions":
        heads = np.stack([np.isin(truth, region.members) for region in labels.regions])
        logits = (heads * 4.0 - 2.0) + rng.normal(0, 2.5, heads.shape)
        return (1 / (1 + np.exp(-logits))).astype(np.float32)
    heads = np.stack([truth == index for index in range(labels.heads)]) * 4.0
    odds = np.exp(heads + rng.normal(0, 1.5, heads.shape))
    return (odds / odds.sum(axis=0)).astype(np.float32)


def world_of(folder, labels):
    world, rng = make(folder, cases=4, folds=2, names=NAMES, labels=labels), np.random.default_rng(0)
    for case, truth in world.truth.items():
        for name in NAMES:
            for mirrored in (False, True):
                world.predict(name, case, vague(truth, labels, rng), mirrored=mirrored)
    return world, Store(world.dataset, world.workspace.dataset, world.workspace.job, frozenset(NAMES))


def recipes(labels, count=25):
    """Any recipe at all, the corners of the space among them."""
    rng = np.random.default_rng(1)
    for number in range(count):
        bias = BIAS_STEPS if number < 4 else int(rng.integers(0, BIAS_STEPS + 1))
        yield canonical(
            Recipe(
                weights=tuple(rng.integers(0, PARTS + 1, 2).tolist()),
                mirror=bool(rng.integers(2)),
                scale=("probabilities", "logits")[rng.integers(2)],
                temperature=(1.0, 0.5)[rng.integers(2)],
                biases=(bias, -bias) if number % 2 else tuple(rng.integers(-BIAS_STEPS, BIAS_STEPS + 1, 2).tolist()),
                nested=labels.kind == "regions" and bool(rng.integers(2)),
            )
        )


@pytest.mark.parametrize("labels", [EXCLUSIVE, REGIONS], ids=["exclusive", "regions"])
def test_the_table_gives_exactly_the_dice_of_segmented_volumes(tmp_path, labels):
    world, store = world_of(tmp_path, labels)
    evidence = gather(store, world.plan, lambda event: None)
    assert evidence.voxels.exact
    assert 0 < evidence.voxels.rows < 4 * np.prod(SHAPE)
    for recipe in recipes(labels):
        pipeline = pipeline_of(evidence.space, Choice(recipe, False, (Cleaning(),) * 2))
        direct = [
            dice_of(store.reference(case), store.predicted(case, fold, pipeline), labels) for case, fold in store.held
        ]
        assert evidence.dice(recipe).tolist() == [list(case) for case in direct], recipe


def test_unannotated_voxels_and_absent_labels(tmp_path):
    labels = EXCLUSIVE.model_copy(update={"ignore_value": 9})
    rng, truth = np.random.default_rng(3), np.zeros(SHAPE, dtype=np.uint8)
    truth[3:8, 3:8, 3:8] = 1
    truth[:, :, :5] = labels.ignore_index
    heads = [vague(np.where(truth == labels.ignore_index, 1, truth), labels, rng) for _ in range(2)]
    table = VoxelTable([split(heads, truth, labels, np.zeros(3, dtype=np.int64), 10**6)], labels)
    predicted = ((heads[0] + heads[1]) / 2).argmax(axis=0).astype(np.uint8)
    assert table.dice(Recipe((1, 1)), [0, 1])[0].tolist() == pytest.approx(dice_of(truth, predicted, labels), abs=1e-3)
    assert count_classes(truth, labels).tolist() == [(truth == 0).sum(), (truth == 1).sum(), 0]


@pytest.mark.parametrize("labels", [EXCLUSIVE, REGIONS], ids=["exclusive", "regions"])
def test_thinned_rows_are_off_by_little_and_no_case_is_left_out(labels):
    rng, shape, truth = np.random.default_rng(5), (24, 48, 48), np.zeros((24, 48, 48), dtype=np.uint8)
    truth[4:20, 8:40, 8:40] = 1
    truth[8:16, 16:30, 16:30] = 2
    heads = [vague(truth, labels, rng) for _ in range(2)]
    nothing = np.zeros(3, dtype=np.int64)
    whole, few = (VoxelTable([split(heads, truth, labels, nothing, most)], labels) for most in (10**6, 4000))
    assert whole.exact
    assert not few.exact
    assert few.rows == 4000 < whole.rows / 3
    assert np.prod(shape) > whole.rows
    found = [[table.dice(each, list(each.members)) for each in recipes(labels, 12)] for table in (few, whole)]
    assert np.abs(np.subtract(*found)).mean() < 0.01  # here every row is noise: real ones are far more alike
