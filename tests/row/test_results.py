"""What the report is given to draw: a case before and after post-processing, or why it cannot be read."""

import numpy as np
import pytest

from autoseg.errors import DataError, UnreadableFile
from autoseg.row.results import comparison
from tests.oof_world import EXCLUSIVE, SHAPE, make, probabilities
from tests.stages.test_select import run, with_islands


@pytest.fixture
def cleaned(tmp_path):
    """A world in which islands are cleaned away, its selection, and what the networks said."""
    world, rng = make(tmp_path, cases=6, folds=3), np.random.default_rng(0)
    said = {case: with_islands(truth, rng) for case, truth in world.truth.items()}
    for case, guess in said.items():
        world.predict("3d_fullres", case, probabilities(guess, EXCLUSIVE))
    return world, run(world)[0], said


def test_before_is_what_the_networks_said_and_after_what_ships(cleaned):
    world, selection, said = cleaned
    image = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
    np.save(world.workspace.dataset.image("case_02"), image)
    found = comparison("case_02", world.dataset, selection, world.workspace)
    np.testing.assert_array_equal(found.before, said["case_02"])
    np.testing.assert_array_equal(found.after.predicted, world.truth["case_02"])
    np.testing.assert_array_equal(found.after.reference, world.truth["case_02"])
    np.testing.assert_array_equal(found.after.image, image)


def test_what_cannot_be_read_is_named(cleaned):
    world, selection, _ = cleaned
    with pytest.raises(UnreadableFile, match="case_02.*delete dataset.json"):
        comparison("case_02", world.dataset, selection, world.workspace)
    world.workspace.dataset.image("case_02").write_bytes(b"cut short")
    with pytest.raises(UnreadableFile, match="case_02.*delete dataset.json"):
        comparison("case_02", world.dataset, selection, world.workspace)
    world.workspace.job("3d_fullres", 2).out_of_fold("case_02").unlink()
    with pytest.raises(DataError, match="case case_02, job 3d_fullres/fold_2: .*missing"):
        comparison("case_02", world.dataset, selection, world.workspace)


def test_a_record_of_before_has_nothing_to_compare(cleaned):
    world, selection, _ = cleaned
    with pytest.raises(DataError, match="case case_02: nothing was searched"):
        comparison("case_02", world.dataset, selection.model_copy(update={"preferred": None}), world.workspace)
