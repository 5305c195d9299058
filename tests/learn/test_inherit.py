import pytest
import torch

from autoseg.learn import networks
from autoseg.learn.inherit import inherited
from autoseg.learn.state import fresh
from tests.learn.tiny import network_plan, training_plan

FAMILIES = pytest.mark.parametrize("family", sorted(networks.FAMILIES))


def changed(family, channels, heads):
    return network_plan(heads=heads, family=family, in_channels=channels)


@FAMILIES
def test_the_same_network_is_taken_over_whole(family):
    plan = changed(family, 2, 3)
    known = networks.build(plan, seed=1).state_dict()
    taken = inherited(known, plan, (0, 1), (0, 1, 2), seed=9)
    assert all(torch.equal(taken[name], known[name]) for name in known)


@FAMILIES
def test_channels_in_another_order_see_the_same(family):
    known = networks.build(changed(family, 2, 3), seed=1)
    other = networks.build(changed(family, 2, 3), seed=2)
    other.load_state_dict(inherited(known.state_dict(), changed(family, 2, 3), (1, 0), (0, 1, 2), seed=2))
    image = torch.randn(1, 2, 8, 8, 8)
    assert torch.allclose(known(image), other(image.flip(1)), atol=1e-5)


@FAMILIES
def test_known_labels_keep_their_heads_and_a_new_one_is_drawn(family):
    known = networks.build(changed(family, 1, 3), seed=1)
    plan = changed(family, 1, 4)
    other = networks.build(plan, seed=2)
    other.load_state_dict(inherited(known.state_dict(), plan, (0,), (0, None, 2, 1), seed=2))
    image = torch.randn(1, 1, 8, 8, 8)
    before, after = known(image), other(image)
    assert torch.allclose(before, after[:, [0, 3, 2]], atol=1e-5)
    assert not any(torch.allclose(after[:, 1], before[:, head], atol=1e-3) for head in range(3))


def test_a_new_channel_is_seen_with_the_mean_of_all_filters():
    known = networks.build(changed("plain_unet", 2, 2), seed=1).state_dict()
    taken = inherited(known, changed("plain_unet", 3, 2), (0, None, 1), (0, 1), seed=1)["encoder.0.0.conv.weight"]
    assert torch.allclose(taken[:, 1], (taken[:, 0] + taken[:, 2]) / 2)


def test_training_begins_with_the_weights_it_is_given():
    plan = network_plan()
    known = networks.build(plan, seed=5).state_dict()
    state = fresh(plan, training_plan(), torch.device("cpu"), seed=1, initial=known)
    assert all(torch.equal(value, known[name]) for name, value in state.network.state_dict().items())
    assert all(torch.equal(value, known[name]) for name, value in state.average.state_dict().items())
