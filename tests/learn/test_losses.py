import math

import pytest
import torch

from autoseg.learn.losses import IGNORED, LOSSES, dice_bce, dice_ce, supervision_weights

MEMBERS = ((1, 2), (2,))


def logits_of(target, heads, certainty=50.0):
    return torch.nn.functional.one_hot(target, heads).movedim(-1, 1) * certainty


def test_a_perfect_prediction_scores_minus_one():
    target = torch.randint(0, 3, (2, 4, 4, 4))
    assert dice_ce(logits_of(target, 3), target, batch_dice=False).item() == pytest.approx(-1.0, abs=1e-4)


def test_known_value_of_dice_and_cross_entropy():
    logits = torch.zeros(1, 2, 4)  # probability 1/2 everywhere
    target = torch.tensor([[0, 0, 1, 1]])
    dice = 2 * 1.0 / (2.0 + 2.0)
    assert dice_ce(logits, target, batch_dice=False).item() == pytest.approx(math.log(2) - dice, abs=1e-4)


def test_known_value_for_regions():
    logits = torch.zeros(1, 2, 4)
    target = torch.tensor([[0, 1, 2, 2]])  # first region: 3 voxels; second: 2
    dice = (2 * 1.5 / (2 + 3) + 2 * 1.0 / (2 + 2)) / 2
    loss = dice_bce(logits, target, batch_dice=False, members=MEMBERS)
    assert loss.item() == pytest.approx(math.log(2) - dice, abs=1e-4)


@pytest.mark.parametrize("name", sorted(LOSSES))
@pytest.mark.parametrize("batch_dice", [False, True])
def test_ignored_voxels_change_nothing(name, batch_dice):
    heads = 3 if name == "dice_ce" else len(MEMBERS)
    logits = torch.randn(2, heads, 6, 6)
    target = torch.randint(0, 3, (2, 6, 6))
    target[:, 4:] = IGNORED
    changed = logits.clone()
    changed[:, :, 4:] = 100 * torch.randn(2, heads, 2, 6)
    first, second = (LOSSES[name](x, target, batch_dice=batch_dice, members=MEMBERS) for x in (logits, changed))
    torch.testing.assert_close(first, second)
    alone = LOSSES[name](logits[:, :, :4], target[:, :4], batch_dice=batch_dice, members=MEMBERS)
    torch.testing.assert_close(first, alone)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_all_ignored_is_finite_and_without_gradient(name):
    logits = torch.randn(1, 2, 4, 4, requires_grad=True)
    loss = LOSSES[name](logits, torch.full((1, 4, 4), IGNORED), batch_dice=False, members=MEMBERS)
    loss.backward()
    assert torch.isfinite(loss)
    assert not logits.grad.any()


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_half_precision_logits_are_summed_in_float32(name):
    logits = torch.randn(1, 2, 40, 40).bfloat16()
    target = torch.randint(0, 2, (1, 40, 40), dtype=torch.int16)
    loss = LOSSES[name](logits, target, batch_dice=True, members=MEMBERS)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, LOSSES[name](logits.float(), target, batch_dice=True, members=MEMBERS))


def test_batch_dice_pools_the_samples():
    target = torch.tensor([[1, 1, 1, 1], [0, 0, 0, 1]])
    logits = torch.zeros(2, 2, 4)
    logits[1, 0] = 50.0  # the second sample is predicted to be background
    each = dice_ce(logits, target, batch_dice=False) - dice_ce(logits, target, batch_dice=True)
    per_sample, pooled = (2 * 2 / (2 + 4) + 0) / 2, 2 * 2 / (2 + 5)
    assert each.item() == pytest.approx(pooled - per_sample, abs=1e-4)


def test_supervision_weights_halve_and_sum_to_one():
    assert supervision_weights(1) == [1.0]
    assert supervision_weights(3) == pytest.approx([4 / 7, 2 / 7, 1 / 7])
