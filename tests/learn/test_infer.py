import numpy as np
import pytest
import torch
from torch import nn

from autoseg.learn import networks
from autoseg.learn.infer import _gaussian, _starts, predict_volume
from tests.learn.tiny import network_plan

CPU = torch.device("cpu")


class Voxelwise(nn.Module):
    """Logits that depend on each voxel alone, so that windows cannot matter."""

    def forward(self, x):
        return torch.cat((torch.zeros_like(x[:, :1]), x[:, :1]), dim=1)


class Ramp(nn.Module):
    """Logits that depend on the position in the window."""

    def forward(self, x):
        ramp = torch.linspace(-1, 1, x.shape[-1]).expand(x[:, :1].shape)
        return torch.cat((torch.zeros_like(ramp), ramp), dim=1)


@pytest.mark.parametrize(("dimension", "patch"), [(3, (8, 8, 8)), (2, (8, 8))])
@pytest.mark.parametrize("shape", [(1, 20, 13), (5, 6, 7), (8, 8, 8), (19, 11, 30)])
def test_a_voxelwise_network_is_reproduced_exactly(dimension, patch, shape):
    image = np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)
    result = predict_volume([Voxelwise()], image, patch, "softmax", (0, 1), CPU, "fp32")
    assert result.shape == (2, *shape)
    assert result.dtype == np.float32
    assert result.flags.c_contiguous
    np.testing.assert_allclose(result[1], 1 / (1 + np.exp(-image[0])), atol=1e-6)
    np.testing.assert_allclose(result.sum(0), 1, atol=1e-6)


def test_sigmoid_heads_are_independent():
    image = np.random.default_rng(0).normal(size=(1, 9, 9, 9)).astype(np.float32)
    result = predict_volume([Voxelwise()], image, (8, 8, 8), "sigmoid", (), CPU, "fp32")
    np.testing.assert_allclose(result[0], 0.5, atol=1e-6)
    np.testing.assert_allclose(result[1], 1 / (1 + np.exp(-image[0])), atol=1e-6)


def test_networks_are_averaged_as_probabilities():
    class Certain(nn.Module):
        def forward(self, x):
            return torch.cat((torch.zeros_like(x), torch.full_like(x, 100.0)), dim=1)

    image = np.zeros((1, 8, 8, 8), np.float32)
    result = predict_volume([Certain(), Voxelwise()], image, (8, 8, 8), "softmax", (), CPU, "fp32")
    np.testing.assert_allclose(result[1], 0.75, atol=1e-6)


def test_mirroring_makes_the_prediction_symmetric():
    image = np.zeros((1, 4, 8, 8), np.float32)
    one = predict_volume([Ramp()], image, (4, 8, 8), "sigmoid", (), CPU, "fp32")[1]
    both = predict_volume([Ramp()], image, (4, 8, 8), "sigmoid", (2,), CPU, "fp32")[1]
    assert one[0, 0, 0] < 0.3 < 0.7 < one[0, 0, -1]
    np.testing.assert_allclose(both, 0.5, atol=1e-6)


def test_a_real_network_agrees_with_itself_on_one_window_and_is_repeatable():
    plan = network_plan()
    network = networks.place(networks.build(plan), CPU, 3)
    image = np.random.default_rng(0).normal(size=(1, 8, 8, 8)).astype(np.float32)
    first, again = (predict_volume([network], image, (8, 8, 8), "softmax", (), CPU, "fp32") for _ in range(2))
    with torch.inference_mode():
        direct = torch.softmax(network(torch.from_numpy(image)[None]), 1)[0].numpy()
    np.testing.assert_allclose(first, direct, atol=1e-5)
    assert np.array_equal(first, again)
    low = predict_volume([network], image, (8, 8, 8), "softmax", (), CPU, "bf16")
    np.testing.assert_allclose(low, direct, atol=0.05)


def test_the_image_is_not_changed():
    image = np.ones((1, 3, 9, 9), np.float32)
    image.setflags(write=False)
    predict_volume([Voxelwise()], image, (4, 8, 8), "softmax", (), CPU, "fp32")


@pytest.mark.parametrize(("size", "window", "starts"), [(8, 8, [0]), (9, 8, [0, 1]), (300, 128, [0, 57, 115, 172])])
def test_window_starts(size, window, starts):
    assert _starts(size, window) == starts


def test_gaussian_weights_are_symmetric_and_positive():
    weights = _gaussian((6, 8, 128))
    torch.testing.assert_close(weights, weights.flip((0, 1, 2)))
    assert weights.min() > 0
