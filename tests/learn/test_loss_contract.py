"""What every loss keeps to: masks, absent classes, precision, both kinds of labels, 2D and 3D, a best at the truth."""

import itertools
import math

import pytest
import torch
from torch.nn import functional

from autoseg.learn.loop import Store, Task, train
from autoseg.learn.losses import IGNORED, LOSSES
from planners.contracts import TrainingPlan
from planners.memory import LOSS_BYTES
from tests.learn.tiny import network_plan, source, training_plan

MEMBERS = {"exclusive": ((1,), (2,)), "regions": ((1, 2), (2,))}
HEADS = {"exclusive": 3, "regions": 2}
SHAPES = {"2D": (2, 12, 10), "3D": (2, 8, 6, 10), "one sample": (1, 12, 10)}
EVERY = pytest.mark.parametrize("name", sorted(LOSSES))
KINDS = pytest.mark.parametrize("kind", HEADS)
PLACES = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
BATCHED = pytest.mark.parametrize("batch_dice", [False, True])
KINKED = {"lovasz", "lovasz_ce", "focal_tversky", "exponential_logarithmic"}
"""Whose slope jumps where voxels change places, or where they clamp."""


def loss_of(name, kind, logits, target, batch_dice=False):
    return LOSSES[name](logits, target, batch_dice=batch_dice, members=MEMBERS[kind])


def truth(shape=SHAPES["2D"]):
    """A box of class 1 with one of class 2 inside; a border of the first axis is not annotated."""
    target = torch.zeros(shape, dtype=torch.long)
    target[(slice(None), *(slice(2, -2) for _ in shape[1:]))] = 1
    target[(slice(None), *(slice(3, -4) for _ in shape[1:]))] = 2
    target[:, -1] = IGNORED
    return target


def noise(kind, shape, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((shape[0], HEADS[kind], *shape[1:]), generator=generator, dtype=dtype)


def perfect(kind, target, certainty=12.0):
    known = target.clamp(min=0)
    if kind == "exclusive":
        right = functional.one_hot(known, HEADS[kind]).movedim(-1, 1)
    else:
        right = torch.stack([torch.isin(known, torch.tensor(members)) for members in MEMBERS[kind]], dim=1)
    return certainty * (2.0 * right - 1.0)


def gradient(name, kind, logits, target, batch_dice=False):
    logits = logits.clone().requires_grad_()
    loss = loss_of(name, kind, logits, target, batch_dice)
    loss.backward()
    return loss.detach(), logits.grad


def test_every_loss_has_its_name_in_the_plan_and_its_memory():
    for name in LOSSES:
        assert TrainingPlan(patch_vox=(8, 8), batch=1, steps=1, loss=name).loss == name
    assert LOSSES.keys() == LOSS_BYTES.keys()


def test_plans_from_before_there_was_one_name_for_both_kinds_are_read():
    assert TrainingPlan(patch_vox=(8, 8), batch=1, steps=1, loss="dice_bce").loss == "dice_ce"


@EVERY
@KINDS
@PLACES
@BATCHED
def test_voxels_without_annotation_teach_nothing(name, kind, shape, batch_dice):
    logits, target = noise(kind, shape), truth(shape)
    changed = torch.where((target == IGNORED).unsqueeze(1), 100 * noise(kind, shape, seed=1), logits)
    loss, slope = gradient(name, kind, logits, target, batch_dice)
    other, other_slope = gradient(name, kind, changed, target, batch_dice)
    torch.testing.assert_close(loss, other, rtol=0, atol=0)
    torch.testing.assert_close(slope, other_slope, rtol=0, atol=0)
    assert not slope.movedim(1, -1)[target == IGNORED].any()
    assert slope.any()


@EVERY
@KINDS
@BATCHED
def test_a_batch_without_annotation_has_no_gradient(name, kind, batch_dice):
    loss, slope = gradient(name, kind, noise(kind, SHAPES["3D"]), torch.full(SHAPES["3D"], IGNORED), batch_dice)
    assert torch.isfinite(loss)
    assert not slope.any()


@EVERY
@KINDS
@BATCHED
@pytest.mark.parametrize("present", [0, 1, 2])
@pytest.mark.parametrize("shape", [(2, 12, 10), (1, 2, 1, 2)])  # the coarsest output of a network has few voxels
def test_absent_classes_leave_it_finite(name, kind, batch_dice, present, shape):
    target = torch.full(shape, present)
    for logits in (noise(kind, shape), perfect(kind, target, 200.0), -perfect(kind, target, 200.0)):
        loss, slope = gradient(name, kind, logits, target, batch_dice)
        assert torch.isfinite(loss)
        assert torch.isfinite(slope).all()


@EVERY
@KINDS
@PLACES
@BATCHED
def test_nothing_beats_the_truth(name, kind, shape, batch_dice):
    target = truth(shape)
    best = loss_of(name, kind, perfect(kind, target), target, batch_dice)
    moved = perfect(kind, target.roll(2, dims=1))
    others = {
        "no voxel": perfect(kind, torch.zeros_like(target)),
        "everything": perfect(kind, torch.full_like(target, 2)),
        "moved": moved,
        "undecided": torch.zeros_like(moved),
        "the opposite": -perfect(kind, target),
        "noise": noise(kind, shape),
    }
    for what, logits in others.items():
        assert best < loss_of(name, kind, logits, target, batch_dice) - 1e-3, what


@EVERY
@KINDS
@PLACES
def test_steps_downhill_lead_down(name, kind, shape):
    logits, target = noise(kind, shape), truth(shape)
    losses = []
    for _ in range(10):
        loss, slope = gradient(name, kind, logits, target)
        losses.append(float(loss))
        logits = logits - 0.3 * slope / slope.norm()
    assert all(later < earlier for earlier, later in itertools.pairwise(losses))


@EVERY
@KINDS
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_logits_are_computed_with_in_float32(name, kind, dtype):
    logits, target = noise(kind, (1, 40, 40)).to(dtype), truth((1, 40, 40)).to(torch.int16)
    loss = loss_of(name, kind, logits, target)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, loss_of(name, kind, logits.float(), target))
    torch.testing.assert_close(loss, loss_of(name, kind, noise(kind, (1, 40, 40)), target), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("name", sorted(LOSSES.keys() - KINKED))
@KINDS
@BATCHED
def test_gradients_are_those_of_the_value(name, kind, batch_dice):
    target = truth((2, 7, 8))
    logits = noise(kind, target.shape, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss_of(name, kind, x, target, batch_dice), logits, fast_mode=True)


@EVERY
@pytest.mark.parametrize("members", [((1,),), ((1,), (1,))], ids=MEMBERS)
def test_a_network_trains_with_it(name, members):
    """Three steps with deep supervision, whose coarsest output has few voxels."""
    task = Task(network_plan(heads=2), training_plan(loss=name, steps=3), seed=0)
    done = train(task, source(members=members), Store(tuple, lambda write: None), torch.device("cpu"))
    assert all(math.isfinite(point.loss) for point in done.curve)
    assert not done.skipped


@EVERY
def test_heads_that_fit_no_kind_of_labels_are_an_error(name):
    with pytest.raises(ValueError, match="5 heads for 2 targets"):
        LOSSES[name](torch.zeros(1, 5, 4, 4), torch.zeros(1, 4, 4), batch_dice=False, members=MEMBERS["regions"])
