"""What each term of a loss is worth: values known by hand, and MONAI's where it has the same term."""

import math

import numpy as np
import pytest
import scipy.ndimage
import torch
from torch.nn import functional

from autoseg.learn.losses import IGNORED, LOSSES, boundary, entropy, jaccard, overlap, supervision_weights
from autoseg.learn.losses.comparison import Comparison
from autoseg.learn.losses.distances import REACH, distance_to

MEMBERS = {"exclusive": ((1,), (2,)), "regions": ((1, 2), (2,))}


def compare(kind="exclusive", batch_dice=False, shape=(2, 11, 13), certainty=1.0):
    """Two nested boxes, and noise as prediction; everything is annotated."""
    target = torch.zeros(shape, dtype=torch.long)
    target[:, 3:8, 2:9] = 1
    target[:, 4:6, 5:8] = 2
    heads = {"exclusive": 3, "regions": 2}[kind]
    logits = torch.randn((shape[0], heads, *shape[1:]), generator=torch.Generator().manual_seed(0))
    return Comparison.of(certainty * logits, target, MEMBERS[kind], batch_dice)


def test_a_perfect_prediction_scores_minus_one():
    target = torch.randint(0, 3, (2, 4, 4, 4))
    logits = functional.one_hot(target, 3).movedim(-1, 1) * 50.0
    loss = LOSSES["dice_ce"](logits, target, batch_dice=False, members=MEMBERS["exclusive"])
    assert loss.item() == pytest.approx(-1.0, abs=1e-4)


def test_dice_and_cross_entropy_by_hand():
    logits = torch.zeros(1, 2, 4)  # probability 1/2 everywhere
    dice = 2 * 1.0 / (2.0 + 2.0)
    loss = LOSSES["dice_ce"](logits, torch.tensor([[0, 0, 1, 1]]), batch_dice=False, members=((1,),))
    assert loss.item() == pytest.approx(math.log(2) - dice, abs=1e-4)


def test_regions_by_hand():
    target = torch.tensor([[0, 1, 2, 2]])  # first region: 3 voxels; second: 2
    dice = (2 * 1.5 / (2 + 3) + 2 * 1.0 / (2 + 2)) / 2
    loss = LOSSES["dice_ce"](torch.zeros(1, 2, 4), target, batch_dice=False, members=MEMBERS["regions"])
    assert loss.item() == pytest.approx(math.log(2) - dice, abs=1e-4)


def test_batch_dice_pools_the_samples():
    target = torch.tensor([[1, 1, 1, 1], [0, 0, 0, 1]])
    logits = torch.zeros(2, 2, 4)
    logits[1, 0] = 50.0  # the second sample is predicted to be background
    each, pooled = (LOSSES["dice_ce"](logits, target, batch_dice=b, members=((1,),)) for b in (False, True))
    assert (each - pooled).item() == pytest.approx(2 * 2 / (2 + 5) - (2 * 2 / (2 + 4) + 0) / 2, abs=1e-4)


@pytest.mark.parametrize("annotated", [40, 20])
def test_top_k_is_the_mean_of_the_worst_tenth_of_the_annotated_voxels(annotated):
    logits = torch.zeros(1, 2, 40)
    logits[0, 0] = torch.arange(40.0)  # ever surer of the background, which is wrong
    target = torch.ones(1, 40, dtype=torch.long)
    target[:, annotated:] = IGNORED
    seen = Comparison.of(logits, target, ((1,),), batch_dice=False)
    worst = range(annotated - annotated // 10, annotated)
    assert entropy.top_k(seen).item() == pytest.approx(np.mean(worst), abs=1e-4)


@pytest.mark.parametrize("kind", MEMBERS)
@pytest.mark.parametrize("batch_dice", [False, True])
def test_lovasz_of_a_sure_prediction_is_what_it_lacks_of_the_jaccard_index(kind, batch_dice):
    seen = compare(kind, batch_dice, certainty=1000.0)
    axes = (0, 2, 3) if batch_dice else (2, 3)
    drawn, truth = seen.probabilities > 0.5, seen.truth
    index = (drawn & truth).sum(axes) / (drawn | truth).sum(axes)
    assert jaccard.lovasz(seen).item() == pytest.approx(1 - index.mean().item(), abs=1e-3)


def test_exponential_logarithmic_by_hand():
    logits, target = torch.zeros(1, 2, 3), torch.tensor([[0, 0, 1]])  # probability 1/2 everywhere
    dice = 2 * 0.5 / (1.5 + 1.0)
    weights = 2 * math.sqrt(3 / 2) + math.sqrt(3 / 1)
    expected = 0.8 * (-math.log(dice)) ** 0.3 + 0.2 * weights / 3 * math.log(2) ** 0.3
    loss = LOSSES["exponential_logarithmic"](logits, target, batch_dice=False, members=((1,),))
    assert loss.item() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("shape", [(2, 2, 30, 25), (1, 2, 12, 20, 17)])
@pytest.mark.parametrize("share", [0.001, 0.03, 0.5])
def test_distances_are_exact_up_to_the_reach(shape, share):
    mask = np.random.default_rng(0).random(shape) < share
    mask[:, :, 3, 3] = True
    expected = np.stack([[scipy.ndimage.distance_transform_edt(~one) for one in sample] for sample in mask])
    found = distance_to(torch.from_numpy(mask)).numpy()
    np.testing.assert_allclose(found, expected.clip(max=REACH), rtol=1e-6)


def test_nothing_is_far_from_an_empty_mask():
    assert (distance_to(torch.zeros(1, 1, 5, 6, dtype=torch.bool)) == REACH).all()


def test_generalized_dice_is_not_smoothed_away_where_all_classes_are_large():
    target = torch.zeros(1, 200, 200, dtype=torch.long)
    target[:, :100] = 1
    wrong = functional.one_hot(1 - target, 2).movedim(-1, 1) * 50.0
    loss = LOSSES["generalized_dice"](wrong, target, batch_dice=False, members=((1,),))
    assert loss.item() == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize("kind", MEMBERS)
@pytest.mark.parametrize("batch", [False, True])
def test_values_are_those_of_monai(kind, batch):
    """Up to the sign of what is best: overlaps count -1 here, 0 there."""
    from monai import losses  # an oracle only: it takes seconds to import

    seen = compare(kind, batch)
    chances, truth, reach2 = seen.probabilities, seen.truth.float(), REACH**2
    every, one_hot = seen.head_probabilities, seen.head_truth.float()
    smooth = {"smooth_nr": overlap.SMOOTH, "smooth_dr": overlap.SMOOTH, "batch": batch}
    unsmoothed = {"smooth_nr": 1e-12, "smooth_dr": 1e-12, "batch": batch}
    softmax = kind == "exclusive"
    per_class = 3 if softmax else 1  # there the mean is over classes too
    pairs = {
        "dice": (overlap.dice, losses.DiceLoss(**smooth)(chances, truth) - 1),
        "tversky": (overlap.tversky, losses.TverskyLoss(alpha=0.3, beta=0.7, **smooth)(chances, truth) - 1),
        "generalized": (overlap.generalized_dice, losses.GeneralizedDiceLoss(**unsmoothed)(every, one_hot) - 1),
        "focal": (entropy.focal, losses.FocalLoss(gamma=2.0, use_softmax=softmax)(seen.logits, one_hot) * per_class),
        "boundary": (boundary.signed_distance, losses.BoundaryLoss()(chances, truth) / REACH),
        "hausdorff": (boundary.hausdorff, losses.HausdorffDTLoss(include_background=True)(chances, truth) / reach2),
    }
    for what, (term, expected) in pairs.items():
        assert term(seen).item() == pytest.approx(expected.item(), abs=1e-5), what


def test_supervision_weights_halve_and_sum_to_one():
    assert supervision_weights(1) == [1.0]
    assert supervision_weights(3) == pytest.approx([4 / 7, 2 / 7, 1 / 7])
