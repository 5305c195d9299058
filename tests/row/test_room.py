import numpy as np
import pytest

from autoseg.contracts import Prepared, PreparedCase, PreparedConfiguration
from autoseg.errors import ResourceError
from autoseg.job import MIRROR_SHARE, mirrors
from autoseg.row import room
from autoseg.row.jobs import in_order
from planners.layers import parameters
from tests.oof_world import EXCLUSIVE, SHAPE, make, probabilities

WHOLE = tuple((0, size) for size in SHAPE)


def prepared(world) -> Prepared:
    one = (1.0, 1.0, 1.0)
    cases = tuple(
        PreparedCase(case=c, source_shape=SHAPE, source_spacing_mm=one, crop_box=WHOLE, shape=SHAPE, spacing_mm=one)
        for c in world.truth
    )
    names = [configuration.name for configuration in world.plan.configurations]
    return Prepared(
        configurations=tuple(PreparedConfiguration(configuration=name, cases=cases, bytes=1) for name in names)
    )


def test_what_jobs_leave_is_predicted_from_voxels_and_weights(tmp_path):
    world = make(tmp_path, cases=6, folds=3, names=("2d", "3d_fullres"))
    jobs = in_order(world.plan, world.dataset)
    needed = room.needed_bytes(jobs, world.plan, world.dataset, prepared(world))
    weights = [4 * parameters(configuration.network) for configuration in world.plan.configurations]
    kept = 2 * 6 * np.prod(SHAPE) * 3 * room.OUT_OF_FOLD_BYTES
    assert needed == int(kept + 3 * sum(weights) + 8 * max(weights))
    assert room.needed_bytes(jobs[:1], world.plan, world.dataset, prepared(world)) < needed / 3
    assert room.needed_bytes((), world.plan, world.dataset, prepared(world)) == 0


def test_predictions_take_no_more_than_predicted(tmp_path):
    world, rng = make(tmp_path, cases=4, folds=2), np.random.default_rng(0)
    for case, truth in world.truth.items():
        world.predict("3d_fullres", case, probabilities(truth, EXCLUSIVE, certainty=float(rng.uniform(0.6, 0.99))))
    written = sum(path.stat().st_size for path in tmp_path.rglob("oof/*.npz"))
    assert 0 < written < 4 * np.prod(SHAPE) * 3 * room.OUT_OF_FOLD_BYTES


def test_a_disk_without_room_is_refused_before_training(tmp_path):
    room.require(tmp_path, 0)
    with pytest.raises(ResourceError, match=r"predicted to write 1000000000\.0 GB .* GB are free"):
        room.require(tmp_path, 10**18)


def test_mirrored_copies_are_predicted_where_they_cost_little(tmp_path):
    world = make(tmp_path, cases=6, folds=3)
    (plain,) = world.plan.configurations
    turning = plain.training.augmentation.model_copy(update={"mirror_axes": (0, 1, 2)})
    flipped = plain.model_copy(update={"training": plain.training.model_copy(update={"augmentation": turning})})
    spent = 8 * 2 * plain.cost.case_inference_s

    def training_for(seconds: float):
        return flipped.model_copy(update={"cost": plain.cost.model_copy(update={"fold_training_s": seconds})})

    assert mirrors(training_for(spent / MIRROR_SHARE * 1.01), world.dataset)
    assert not mirrors(training_for(spent / MIRROR_SHARE * 0.99), world.dataset)
    assert not mirrors(plain, world.dataset)
