"""What is computed between reading and update stays on the device that trains: traced on one that computes nothing.

Tensors there have a size and a type, and no values: to ask one for a number, to bring it together with a tensor that
was left on the host, or to send one from there unawares, is an error or is seen.
"""

import contextlib

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from autoseg.learn import step
from autoseg.learn.augmentation import draw_geometry, draw_intensities
from autoseg.learn.loader import assemble
from autoseg.learn.losses import LOSSES
from autoseg.learn.sampling import Sample
from autoseg.learn.state import fresh
from planners.contracts import Augmentation
from tests.learn.tiny import network_plan, training_plan

ELSEWHERE = torch.device("meta")
ALWAYS = Augmentation(
    rotation_probability=1.0,
    scale_probability=1.0,
    mirror_axes=(0,),
    noise_probability=0.0,  # this device has no random numbers
    blur_probability=1.0,
    brightness_probability=1.0,
    contrast_probability=1.0,
    low_resolution_probability=1.0,
    gamma_probability=1.0,
    gamma_invert_probability=1.0,
)
KINDS = pytest.mark.parametrize("members", [((1,), (2,)), ((1,), (1, 2), (3,))], ids=["exclusive", "regions"])


class Sent(TorchDispatchMode):
    """Counts copies to and from the device."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        target = kwargs.get("device")
        self.count += bool(args) and target is not None and getattr(args[0], "device", target) != target
        return function(*args, **kwargs)


def drawn(seed, dimension):
    """A sample of two channels."""
    rng = np.random.default_rng(seed)
    geometry = draw_geometry(rng, ALWAYS, dimension)
    size = geometry.source_size(training_plan(dimension).patch_vox)
    intensities = draw_intensities(rng, ALWAYS, 2, dimension)
    return Sample(torch.zeros(2, *size), torch.zeros(size, dtype=torch.int16), geometry, intensities)


@pytest.mark.parametrize("dimension", [2, 3])
def test_a_batch_is_augmented_where_training_runs(dimension):
    plan = training_plan(dimension, augmentation=ALWAYS)
    images, labels = assemble([drawn(seed, dimension) for seed in range(2)], plan, ELSEWHERE)
    assert images.device == labels.device == ELSEWHERE
    assert images.shape == (2, 2, *plan.patch_vox)
    assert labels.shape == (2, *plan.patch_vox)


@KINDS
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_and_its_gradient_are_computed_where_the_logits_are(name, members):
    logits = torch.zeros(2, 3, 8, 8, 8, dtype=torch.bfloat16, device=ELSEWHERE, requires_grad=True)
    classes = torch.zeros(2, 8, 8, 8, dtype=torch.int16, device=ELSEWHERE)
    with Sent() as sent:
        LOSSES[name](logits, classes, batch_dice=True, members=members).backward()
    assert logits.grad.device == ELSEWHERE
    assert sent.count == 0


@KINDS
@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("family", ["plain_unet", "residual_unet"])
def test_a_gradient_is_computed_where_the_network_is(family, dimension, members, monkeypatch):
    monkeypatch.setattr(step, "autocast", lambda device, precision: contextlib.nullcontext())  # none for this device
    network, plan = (
        network_plan(dimension, heads=3, family=family),
        training_plan(dimension, patch_vox=(16,) * dimension),
    )
    state = fresh(network, plan, ELSEWHERE, seed=0)
    images = torch.zeros(2, 1, *plan.patch_vox, device=ELSEWHERE)
    classes = torch.zeros(2, *plan.patch_vox, dtype=torch.int16, device=ELSEWHERE)
    with Sent() as sent:
        facts = step.Update(network, plan, members).gradient(state, images, classes)
        state.update_average(0.9)
    assert facts.device == ELSEWHERE
    assert {weight.grad.device for weight in state.network.parameters() if weight.grad is not None} == {ELSEWHERE}
    assert sent.count == 0
