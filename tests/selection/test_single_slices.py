"""Predictions that lie in one slice of a volume: they are judged as the deployed model makes them."""

import numpy as np

from autoseg.contracts import Member, Postprocessing
from autoseg.postprocessing import segment
from autoseg.selection.store import Pipeline, Store
from tests.oof_world import EXCLUSIVE, SHAPE, make, probabilities


def test_a_slice_of_a_volume_is_not_smoothed_as_a_plane(tmp_path):
    world = make(tmp_path, cases=2, folds=2)
    guess = np.zeros(SHAPE, np.uint8)
    guess[5, 3:12, 3:12] = 1
    heads = probabilities(guess, EXCLUSIVE)
    heads[:, guess == 0] = np.array([1, 0, 0])[:, None]
    world.predict("3d_fullres", "case_00", heads)
    smoothing = (Postprocessing(target="organ", smooth_mm=1.0),)
    pipeline = Pipeline((Member(configuration="3d_fullres", weight=1.0),), postprocessing=smoothing)
    judged = Store(world.dataset, world.workspace.dataset, world.workspace.job).predicted("case_00", 0, pipeline)
    shipped = segment(heads, EXCLUSIVE, (1.0, 1.0, 1.0), smoothing)
    assert not shipped.any()
    np.testing.assert_array_equal(judged, shipped)
