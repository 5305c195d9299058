import numpy as np
import pytest
import torch

from autoseg.learn.loader import Batches, CaseSource, sample
from autoseg.learn.losses import IGNORED
from planners.contracts import Augmentation
from tests.learn.tiny import STILL, ball_case, source, training_plan

CPU = torch.device("cpu")
UNDISTURBED = {"mask_border_probability": 0.0, "mask_loss_probability": 0.0}


def take(plan, step, count, cases=None):
    with Batches(cases or source(), plan, CPU, seed=1, step=step) as batches:
        return [batches.next() for _ in range(count)]


def test_a_batch_depends_on_its_step_alone():
    plan = training_plan(augmentation=Augmentation(mirror_axes=(0, 1, 2)))
    whole, tail = take(plan, 0, 5), take(plan, 3, 2)
    for (image, labels), (image_again, labels_again) in zip(whole[3:], tail, strict=True):
        assert torch.equal(image, image_again)
        assert torch.equal(labels, labels_again)
    assert not torch.equal(whole[0][0], whole[1][0])


@pytest.mark.parametrize("shape", [(12, 12, 12), (5, 20, 12)])
def test_shapes_types_and_padding(shape):
    plan = training_plan(augmentation=STILL)
    images, labels = take(plan, 0, 1, source(shape=shape))[0]
    assert images.shape == (2, 1, 8, 8, 8)
    assert images.dtype == torch.float32
    assert labels.shape == (2, 8, 8, 8)
    padded = labels == IGNORED
    assert padded.any() == (shape[0] < 8)
    assert (images[:, 0][padded] == 0).all()


def test_two_dimensional_patches_are_slices():
    images, labels = take(training_plan(2), 0, 3)[2]
    assert images.shape == (2, 1, 8, 8)
    assert labels.shape == (2, 8, 8)


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


def test_the_cache_stays_under_its_limit():
    image, labels = np.zeros((1, 10, 10, 10), np.float32), np.zeros((10, 10, 10), np.uint8)
    opened = []

    def load(case):
        opened.append(case)
        return image, labels

    cases = CaseSource(("a", "b"), load, ((1,),), cache_bytes=5000)
    for _ in range(3):
        for case in "ab":
            cases.read(case, (0, 0, 0), (2, 2, 2))
    assert opened == ["a", "b"]
    assert list(cases._kept) == ["a"]


def test_an_error_in_the_thread_reaches_the_caller():
    def load(case):
        raise OSError(f"cannot open {case}")

    with (
        Batches(CaseSource(("a",), load, ((1,),)), training_plan(), CPU, 0, 0) as batches,
        pytest.raises(OSError, match="cannot open a"),
    ):
        batches.next()


def cascaded(previous):
    """Two cases with the class map of a previous stage."""
    cases = {name: ball_case(seed) for seed, name in enumerate(("a", "b"))}
    return CaseSource(("a", "b"), cases.__getitem__, ((1,), (1, 2)), previous=lambda case: previous(cases[case][1]))


def test_masks_of_a_previous_stage_are_the_last_channels():
    plan = training_plan(patch_vox=(16, 16, 16), augmentation=STILL.model_copy(update={"masks": 2, **UNDISTURBED}))
    images, labels = take(plan, 0, 1, cascaded(lambda labels: labels))[0]
    assert images.shape == (2, 3, 16, 16, 16)
    for mask in (1, 2):
        assert torch.equal(images[:, mask], (labels == 1).float())  # 0 also outside the case
    assert images[:, 1].any()


def test_masks_turn_with_the_image_are_disturbed_and_keep_their_intensities():
    turned = Augmentation(rotation_probability=1.0, noise_probability=1.0, masks=2, mirror_axes=(0, 1), **UNDISTURBED)
    images, labels = take(training_plan(augmentation=turned), 0, 1, cascaded(lambda labels: labels))[0]
    agreement = ((images[:, 1] > 0.5) == (labels == 1))[labels != IGNORED].float().mean()
    assert agreement > 0.97
    assert ((images[:, 1:] > -1e-5) & (images[:, 1:] < 1 + 1e-5)).all()
    disturbed = STILL.model_copy(update={"masks": 2, "mask_border_probability": 1.0})
    batches = take(training_plan(augmentation=disturbed), 0, 6, cascaded(lambda labels: labels))
    assert any(not torch.equal(images[:, 1], (labels == 1).float()) for images, labels in batches)


def test_predictions_of_a_previous_stage_stay_under_their_limit():
    asked = []
    cases = {name: ball_case(seed) for seed, name in enumerate("abc")}

    def previous(case):
        asked.append(case)
        return cases[case][1]

    room = 8 * cases["a"][1].nbytes  # a quarter of it holds two of the three
    source = CaseSource(tuple("abc"), cases.__getitem__, ((1,),), previous=previous, cache_bytes=room)
    for case in "abacab":
        assert source.read(case, (0, 0, 0), (4, 4, 4))[0].shape == (2, 4, 4, 4)
    assert asked == ["a", "b", "c", "b"]
