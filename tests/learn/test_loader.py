import pytest
import torch

from autoseg.learn import loader
from autoseg.learn.cases import CaseSource
from autoseg.learn.loader import Batches
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


def test_an_error_in_the_thread_reaches_the_caller():
    def load(case):
        raise LookupError(f"cannot open {case}")

    with (
        Batches(CaseSource(("a",), load, ((1,),)), training_plan(), CPU, 0, 0) as batches,
        pytest.raises(LookupError, match="cannot open a"),
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


@pytest.mark.parametrize("dimension", [2, 3])
def test_many_threads_read_what_one_reads(monkeypatch, dimension):
    plan = training_plan(dimension, batch=5, augmentation=Augmentation(mirror_axes=(0, 1)))
    alone = take(plan, 0, 4)
    monkeypatch.setattr(loader, "readers", lambda device: 6)
    together = take(plan, 0, 4)
    for one, other in zip(alone, together, strict=True):
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], other[1])


def test_cores_that_do_not_train_read(monkeypatch):
    monkeypatch.setattr(loader.machine, "cores", lambda: 6)
    assert loader.readers(CPU) == 1
    assert loader.readers(torch.device("cuda")) == 5
    monkeypatch.setattr(loader.machine, "cores", lambda: 64)
    assert loader.readers(torch.device("cuda")) == loader.MOST_READERS
    monkeypatch.setattr(loader.machine, "cores", lambda: 1)
    assert loader.readers(torch.device("cuda")) == 1


def test_an_augmented_sample_does_not_depend_on_the_rest_of_its_batch():
    always = Augmentation(mirror_axes=(0,), rotation_probability=1.0, noise_probability=1.0, gamma_probability=1.0)
    pair = take(training_plan(batch=2, augmentation=always), 3, 1)[0]
    alone = take(training_plan(batch=1, augmentation=always), 3, 1)[0]
    torch.testing.assert_close(pair[0][:1], alone[0])
    assert torch.equal(pair[1][:1], alone[1])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("dimension", [2, 3])
def test_a_gpu_makes_the_batches_that_a_cpu_makes(dimension):
    """But for noise, which each device has a generator of its own for; nothing may wait for the device meanwhile."""
    always = Augmentation(mirror_axes=(0,), rotation_probability=1.0, noise_probability=0.0, gamma_probability=1.0)
    plan = training_plan(dimension, batch=4, augmentation=always)
    torch.cuda.set_sync_debug_mode("error")
    try:
        with Batches(source(), plan, torch.device("cuda:0"), seed=1, step=0) as batches:
            made = [batches.next() for _ in range(3)]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for (image, labels), (image_there, labels_there) in zip(take(plan, 0, 3), made, strict=True):
        torch.testing.assert_close(image_there.cpu(), image, atol=1e-4, rtol=1e-4)
        assert (labels_there.cpu() != labels).float().mean() < 1e-3  # half-way between two voxels either is right
