import math

import pytest
import torch

from autoseg.errors import ResourceError
from autoseg.learn import networks
from autoseg.learn.loop import Store, Task, train
from autoseg.learn.losses import IGNORED
from autoseg.learn.networks.plain_unet import PlainUNet
from autoseg.learn.state import fresh
from autoseg.learn.step import Update
from tests.learn.tiny import STILL, network_plan, source, training_plan

CPU = torch.device("cpu")
MEMBERS = ((1,),)


def small_machine(room, error):
    """A network on a machine whose memory holds ``room`` samples at once."""

    class Network(PlainUNet):
        def _decode(self, x):
            if len(x) > room:
                raise error
            return super()._decode(x)

    return Network


@pytest.fixture
def room(monkeypatch):
    def limit(samples, error=None):
        error = error or torch.OutOfMemoryError("out of memory")
        monkeypatch.setitem(networks.FAMILIES, "plain_unet", small_machine(samples, error))

    return limit


def batch(size=4):
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(size, 1, 8, 8, 8, generator=generator)
    return images, (images[:, 0] > 0.5).to(torch.int16)


def updated(plan, images, classes):
    """The weights after one update, and in how many pieces it was computed."""
    network = network_plan()
    state = fresh(network, plan, CPU, seed=1)
    outcome = Update(network, plan, MEMBERS)(state, images, classes, 0.1)
    assert math.isfinite(outcome.loss)
    return torch.cat([parameter.detach().flatten() for parameter in state.network.parameters()]), state.pieces


@pytest.mark.parametrize(("fitting", "pieces"), [(4, 1), (2, 2), (1, 4)])
def test_a_batch_that_does_not_fit_is_accumulated_to_the_same_step(room, fitting, pieces):
    plan = training_plan(batch=4, optimizer="sgd", momentum=0.0)
    whole, _ = updated(plan, *batch())
    room(fitting)
    parts, used = updated(plan, *batch())
    assert used == pieces
    assert torch.allclose(whole, parts, atol=1e-5)


def test_training_goes_on_in_pieces_and_says_so(room):
    room(1, RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"))
    done = train(Task(network_plan(), training_plan(steps=4), 0), source(), Store(tuple, lambda write: None), CPU)
    assert (done.steps, done.pieces) == (4, 2)


def test_a_single_sample_that_does_not_fit_is_an_error_with_the_fix(room):
    room(0)
    with pytest.raises(ResourceError, match=r"a single patch of 8 x 8 x 8 .* are free\); free memory, or plan"):
        updated(training_plan(), *batch())


def test_other_errors_are_not_taken_for_a_want_of_memory(room):
    room(0, RuntimeError("a bug"))
    with pytest.raises(RuntimeError, match="a bug"):
        updated(training_plan(), *batch())


def test_the_outcome_tells_what_is_drawn_and_what_was_found():
    network, plan = network_plan(), training_plan()
    images, classes = batch()
    update, state = Update(network, plan, MEMBERS), fresh(network, plan, CPU, seed=1)
    with torch.no_grad():
        for head in state.network.heads:
            head.weight.zero_()
            head.bias.copy_(torch.tensor([5.0, -5.0]))
    assert (update(state, images, classes, 0.0).drawn, update(state, images, classes, 0.0).found) == (True, False)
    assert not update(state, images, torch.full_like(classes, IGNORED), 0.0).drawn
    with torch.no_grad():
        state.network.heads[-1].bias.copy_(torch.tensor([-5.0, 5.0]))
    assert update(state, images, classes, 0.0).found


def test_a_network_that_sees_nothing_is_begun_anew_with_a_lower_rate(monkeypatch):
    """Its heads are pinned to background until the learning rate is low enough."""

    class Pinned(PlainUNet):
        restarts = 0

        def __init__(self, plan):
            super().__init__(plan)
            type(self).restarts += 1

        def _decode(self, x):
            if type(self).restarts > 1:
                return super()._decode(x)
            with torch.no_grad():
                for head in self.heads:
                    head.weight.zero_()
                    head.bias.copy_(torch.tensor([9.0, -9.0]))
            return super()._decode(x)

    monkeypatch.setitem(networks.FAMILIES, "plain_unet", Pinned)
    events, saved = [], []
    plan = training_plan(steps=120, augmentation=STILL)
    store = Store(tuple, saved.append)
    done = train(Task(network_plan(), plan, 3), source(), store, CPU, events.append)
    warned = [event.detail for event in events if event.what == "warning"]
    assert len(warned) == 1
    assert "called no voxel foreground" in warned[0]
    assert "begun anew at 0.3 of the learning rate" in warned[0]
    assert (done.restarts, done.steps, done.collapsed) == (1, 120, False)
    assert saved


def test_a_network_that_never_sees_anything_is_said_to_be_collapsed(monkeypatch):
    class Blind(PlainUNet):
        def _decode(self, x):
            with torch.no_grad():
                for head in self.heads:
                    head.weight.zero_()
                    head.bias.copy_(torch.tensor([9.0, -9.0]))
            return super()._decode(x)

    monkeypatch.setitem(networks.FAMILIES, "plain_unet", Blind)
    plan = training_plan(steps=100, augmentation=STILL)
    done = train(Task(network_plan(), plan, 3), source(), Store(tuple, lambda write: None), CPU)
    assert (done.restarts, done.collapsed) == (2, True)
