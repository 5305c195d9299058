"""What the leak of a cascade is worth, measured where networks without it are cheap: on phantoms.

A second stage trains on masks that networks of its first stage made of cases they never saw. Those networks did train
on the cases that validate the second stage, so its out-of-fold scores can be too good.

Here the leak is as wide as folds can make it. There are two, so the masks come from a first stage that trained on the
validation cases and on nothing else. It remembers them, and the masks are not disturbed, so that the second stage
trusts them. The clean variant's masks come from a first stage that trained on as many cases that have no other part:
the leak is all that sets the two apart. Both train with the same seed and steps, and are validated on the same whole
volumes with the same masks, of a first stage that never saw these.

Bounded are the mean Dice that the leak adds and the upper limit of its interval over cases. The interval knows nothing
of the chance in training, so that was measured apart: seeds 0 to 4 gave -0.014, +0.001, -0.002, +0.023 and +0.020, two
clean variants with different spare cases differed by -0.017 to +0.011. Nothing below 0.03 can be told from chance here.
"""

from collections import defaultdict

import numpy as np
import pytest
import torch

from autoseg import phantoms
from autoseg.contracts import Label, LabelSet
from autoseg.evaluation.scoring import dice_of
from autoseg.learn import loop, networks
from autoseg.learn.cases import CaseSource
from autoseg.volumes.labels import one_hot, to_classes
from autoseg.volumes.normalize import normalize
from autoseg.volumes.resample import resample_image, resample_labels, resample_probabilities
from autoseg.volumes.statistics import paired_interval
from tests.learn.tiny import STILL, network_plan, predict_volume, training_plan

BOUND = 0.05
"""Of Dice."""
SEED = 0
FOLDS = tuple(f"a{n}" for n in range(6)), tuple(f"b{n}" for n in range(6))
SPARE = tuple(f"c{n}" for n in range(6))
LABELS = LabelSet(labels=(Label(name="organ", value=1), Label(name="lesion", value=2)))
SHAPE, LOW_SHAPE = (24, 24, 24), (12, 12, 12)
SPACING_MM = (1.0, 1.0, 1.0)
NOISE = 80.0  # about the contrast of the organ: the image alone does not tell enough
FIRST = {"patch_vox": LOW_SHAPE, "steps": 200, "learning_rate": 0.02}  # long enough to learn its cases by heart
SECOND = {"patch_vox": (16, 16, 16), "steps": 120, "learning_rate": 0.01}
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def scores():
    """Dice tables (cases, labels) by name, on one thread whatever the machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield measure(SEED)
    finally:
        torch.set_num_threads(threads)


def measure(seed):
    names = *FOLDS[0], *FOLDS[1], *SPARE
    full = {name: noisy_phantom(1000 * seed + number) for number, name in enumerate(names)}
    low = {name: low_resolution(*case) for name, case in full.items()}
    truth = {name: classes for name, (_, classes) in full.items()}
    by_fold = [first_stage_masks(seed, fold, low) for fold in FOLDS]  # of all cases, by a network that saw this fold
    by_spare = first_stage_masks(seed, SPARE, low)
    scores = defaultdict(list)
    for validation, training in ((0, 1), (1, 0)):
        unseen = by_fold[training]
        leaky, clean, copying = (
            trained(seed, FOLDS[training], full, SECOND, masks.__getitem__)
            for masks in (by_fold[validation], by_spare, truth)
        )
        for case in FOLDS[validation]:
            image, reference = full[case]
            tables = {
                "first, unseen": unseen[case],
                "first, seen": by_fold[validation][case],
                "leaky": second_stage(leaky, image, unseen[case]),
                "clean": second_stage(clean, image, unseen[case]),
                "clean without masks": second_stage(clean, image, np.zeros_like(reference)),
                "trained on the truth": second_stage(copying, image, unseen[case]),
                "shown the truth": second_stage(copying, image, reference),
            }
            for name, classes in tables.items():
                scores[name].append(dice_of(reference, classes, LABELS))
    return {name: np.array(rows) for name, rows in scores.items()}


def noisy_phantom(seed):
    """Image (1, z, y, x) and classes (z, y, x)."""
    made = phantoms.phantom(seed, SHAPE)
    noise = np.random.default_rng((seed, 1)).normal(0, NOISE, SHAPE)
    return normalize(made.image[0] + noise, "zscore")[None], made.label


def low_resolution(image, classes):
    return resample_image(image, LOW_SHAPE, SPACING_MM), resample_labels(classes, LOW_SHAPE, SPACING_MM)


def trained(seed, names, cases, settings, previous=None):
    """A network of one stage; with ``previous``, which gives the masks of a case, of the second."""
    masks = 0 if previous is None else len(LABELS.targets)
    plan = network_plan(in_channels=1 + masks, heads=LABELS.heads, stages=2, features=(12, 24))
    undisturbed = {"masks": masks, "mask_border_probability": 0.0, "mask_loss_probability": 0.0}
    training = training_plan(augmentation=STILL.model_copy(update=undisturbed), **settings)
    source = CaseSource(names, cases.__getitem__, LABELS.members, previous=previous)
    made = loop.train(loop.Task(plan, training, seed), source, loop.Store(tuple, lambda write: None), CPU)
    network = networks.build(plan)
    network.load_state_dict(made.weights)
    return networks.place(network, CPU, plan.dimension)


def predicted(network, image, settings):
    return predict_volume([network], image, settings["patch_vox"], "softmax", (), CPU, "fp32")


def first_stage_masks(seed, names, low):
    """Class maps of all cases at full resolution, by a first stage that trained on the cases ``names``."""
    network = trained(seed, names, low, FIRST)
    found = {case: predicted(network, image, FIRST) for case, (image, _) in low.items()}
    return {case: to_classes(resample_probabilities(each, SHAPE), "exclusive") for case, each in found.items()}


def second_stage(network, image, masks):
    return to_classes(predicted(network, np.concatenate((image, one_hot(masks, LABELS.members))), SECOND), "exclusive")


def gain(scores, name, over):
    """Mean paired difference in Dice and its 95 % interval over cases."""
    return paired_interval(scores[name], scores[over], (*FOLDS[0], *FOLDS[1]), seed=0)


def test_the_leak_of_a_cascade_is_worth_little(scores):
    leak = gain(scores, "leaky", over="clean")
    assert leak.n == 12
    assert abs(leak.value) < BOUND
    assert leak.high < BOUND


def test_a_gross_leak_would_show(scores):
    """With the truth as masks in training, the second stage copies: errors, or the truth if validation has it too."""
    assert gain(scores, "trained on the truth", over="clean").high < -BOUND
    assert gain(scores, "shown the truth", over="clean").low > BOUND


def test_there_was_something_to_leak_and_to_lose(scores):
    assert (scores["clean"].mean(axis=0) > 0.6).all()
    assert gain(scores, "clean", over="first, unseen").low > BOUND  # the second stage is worth its while
    assert gain(scores, "clean without masks", over="clean").high < -BOUND  # and needs the first
    assert gain(scores, "first, seen", over="first, unseen").low > BOUND  # which remembers its cases
