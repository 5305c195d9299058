import numpy as np

from autoseg.learn.cases import CaseSource
from autoseg.learn.losses import IGNORED
from autoseg.learn.sampling import drawn_cases, sample
from planners.contracts import Augmentation
from tests.learn.tiny import STILL, source, training_plan


def test_two_dimensional_affine_never_leaves_the_slice():
    always = Augmentation(rotation_probability=1.0, scale_probability=1.0)
    image = np.arange(1, 4, dtype=np.float32)[:, None, None] * np.ones((3, 40, 40), np.float32)
    cases = CaseSource(("a",), lambda case: (image[None], np.ones((3, 40, 40), np.uint8)), ((1,),))
    for index in range(10):
        drawn = sample(cases, training_plan(2, augmentation=always), (0, 0, index)).image
        assert len(set(np.unique(drawn)) - {0.0}) == 1


def test_foreground_fraction_and_balance():
    labels = np.zeros((40, 40, 40), np.uint8)
    labels[30, 30, 30], labels[5:9, 5:9, 5:9] = 1, 2  # one voxel against 64
    image = np.zeros((1, 40, 40, 40), np.float32)
    cases = CaseSource(("a",), lambda case: (image, labels), ((1,), (2,)))
    plan = training_plan(foreground_fraction=1.0, augmentation=STILL)
    seen = [np.unique(sample(cases, plan, (0, 0, i)).labels) for i in range(200)]
    assert all(values.max() > 0 for values in seen)
    assert 0.4 < np.mean([1 in values for values in seen]) < 0.6
    plan = training_plan(foreground_fraction=0.3, augmentation=STILL)
    share = np.mean([sample(cases, plan, (0, 0, i)).labels.max() > 0 for i in range(300)])
    assert 0.25 < share < 0.5


def test_ignored_voxels_are_marked_and_patches_lie_where_something_is_annotated():
    labels = np.full((30, 30, 30), 2, np.uint8)
    labels[10:12, 10:12, 10:12] = 1
    labels[9, 9, 9] = 0
    image = np.zeros((1, 30, 30, 30), np.float32)
    cases = CaseSource(("a",), lambda case: (image, labels), ((1,),), ignore_index=2)
    plan = training_plan(foreground_fraction=0.0, augmentation=STILL)
    for index in range(30):
        drawn = sample(cases, plan, (0, 0, index)).labels
        assert set(np.unique(drawn)) <= {IGNORED, 0, 1}
        assert (drawn != IGNORED).any()


def test_a_sample_is_drawn_the_same_whatever_the_batch():
    plan = training_plan(augmentation=Augmentation(mirror_axes=(0, 1, 2), gamma_probability=1.0))
    drawn = [sample(source(), plan, (1, 5, index)) for index in (0, 1, 0)]
    assert drawn[0].intensities == drawn[2].intensities != drawn[1].intensities
    assert np.array_equal(drawn[0].image, drawn[2].image)


def test_drawn_cases_are_those_that_samples_come_from():
    images = {f"case{i}": np.full((1, 8, 8, 8), i, np.float32) for i in range(5)}
    labels = np.zeros((8, 8, 8), np.uint8)
    cases = CaseSource(tuple(images), lambda case: (images[case], labels), ((1,),))
    plan = training_plan(batch=3, augmentation=STILL)
    for step in range(5):
        read = [f"case{int(sample(cases, plan, (2, step, index)).image.max())}" for index in range(3)]
        assert drawn_cases(cases, 3, seed=2, step=step) == tuple(dict.fromkeys(read))
