import numpy as np
import pytest
import torch
from torch import nn

from autoseg.errors import DataError, DoesNotFit
from autoseg.learn import infer, networks
from autoseg.learn.infer import Ensemble
from autoseg.learn.windows import gaussian, starts
from tests.learn.tiny import network_plan, predict_volume

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


class Roomy(Voxelwise):
    """On a machine whose memory holds ``room`` windows at once."""

    def __init__(self, room):
        super().__init__()
        self.room, self.seen = room, []

    def forward(self, x):
        self.seen.append(len(x))
        if len(x) > self.room:
            raise torch.OutOfMemoryError("out of memory")
        return super().forward(x)


def test_windows_that_do_not_fit_go_in_smaller_batches_to_the_same_result(monkeypatch):
    monkeypatch.setitem(infer.VOXELS_PER_BATCH, "cpu", 13 * 8**3)
    image = np.random.default_rng(0).normal(size=(1, 20, 13, 11)).astype(np.float32)
    short, ample = Roomy(3), Roomy(100)
    both = [predict_volume([network], image, (8, 8, 8), "softmax", (), CPU, "fp32") for network in (short, ample)]
    np.testing.assert_allclose(*both, atol=1e-6)
    assert ample.seen == [8, 8, 8]  # of 24 windows, and no more than 13 at once
    assert short.seen == [8, 4, *[2] * 12]


def test_an_image_without_memory_for_a_single_window_is_an_error_with_the_fix():
    image = np.zeros((1, 9, 9, 9), np.float32)
    with pytest.raises(DoesNotFit, match=r"9 x 9 x 9 voxels .* not even one window of 8 x 8 x 8 .* has more"):
        predict_volume([Roomy(0)], image, (8, 8, 8), "softmax", (), CPU, "fp32")


def test_other_errors_are_not_taken_for_a_want_of_memory():
    class Broken(nn.Module):
        def forward(self, x):
            raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        predict_volume([Broken()], np.zeros((1, 8, 8, 8), np.float32), (8, 8, 8), "softmax", (), CPU, "fp32")


def test_an_accelerator_at_last_adds_up_on_the_host():
    ways = [infer._Way(torch.device("mps"), 4)]
    while (thriftier := ways[-1].thriftier()) is not None:
        ways.append(thriftier)
    assert [(way.most, way.aside) for way in ways] == [(4, False), (2, False), (1, False), (1, True)]
    assert [way.home(200).type for way in ways] == ["mps", "mps", "mps", "cpu"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("room", [1.0, 0.0])
def test_a_gpu_predicts_what_a_cpu_predicts_wherever_windows_are_added_up(room, monkeypatch):
    monkeypatch.setattr(infer, "SUM_SHARE", room)
    plan, gpu = network_plan(), torch.device("cuda:0")
    image = np.random.default_rng(0).normal(size=(1, 20, 13, 11)).astype(np.float32)
    here, there = (
        predict_volume(
            [networks.place(networks.build(plan), device, 3)], image, (8, 8, 8), "softmax", (0,), device, "fp32"
        )
        for device in (CPU, gpu)
    )
    np.testing.assert_allclose(here, there, atol=5e-3)


class Overflowing(nn.Module):
    """Like half precision: what gets too large is no number any more."""

    def forward(self, x):
        large = torch.full_like(x, torch.nan) if torch.is_autocast_enabled("cpu") else x
        return torch.cat((torch.zeros_like(x), large), dim=1)


def test_what_overflows_in_a_small_range_is_computed_in_float32():
    image = np.random.default_rng(0).normal(size=(1, 8, 20, 9)).astype(np.float32)
    low, full = (predict_volume([Overflowing()], image, (8, 8, 8), "sigmoid", (), CPU, p) for p in ("bf16", "fp32"))
    np.testing.assert_array_equal(low, full)


def test_what_is_no_number_is_an_error_and_no_background():
    image = np.zeros((1, 8, 8, 8), np.float32)
    image[0, 3, 3, 3] = np.nan
    with pytest.raises(DataError, match="no number"):
        predict_volume([Voxelwise()], image, (8, 8, 8), "softmax", (), CPU, "fp32")


@pytest.mark.parametrize(("patch", "most_rows"), [((8, 8, 8), 8), ((8, 8), 4)])
def test_rows_come_as_soon_as_no_window_adds_to_them(monkeypatch, patch, most_rows):
    monkeypatch.setitem(infer.VOXELS_PER_BATCH, "cpu", 4 * 64)
    network = networks.place(networks.build(network_plan(len(patch))), CPU, len(patch))
    image = np.random.default_rng(0).normal(size=(1, 40, 10, 11)).astype(np.float32)
    pieces = list(Ensemble([network], patch, "softmax", CPU, "fp32").rows(image, (0,)))
    assert max(piece.shape[1] for piece in pieces) <= most_rows
    monkeypatch.setitem(infer.VOXELS_PER_BATCH, "cpu", 10**9)
    whole = predict_volume([network], image, patch, "softmax", (0,), CPU, "fp32")
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), whole, atol=1e-6)


def test_the_image_is_not_changed():
    image = np.ones((1, 3, 9, 9), np.float32)
    image.setflags(write=False)
    predict_volume([Voxelwise()], image, (4, 8, 8), "softmax", (), CPU, "fp32")


@pytest.mark.parametrize(("size", "window", "first"), [(8, 8, [0]), (9, 8, [0, 1]), (300, 128, [0, 57, 115, 172])])
def test_window_starts(size, window, first):
    assert starts(size, window) == first


def test_gaussian_weights_are_symmetric_and_positive():
    weights = gaussian((6, 8, 128))
    torch.testing.assert_close(weights, weights.flip((0, 1, 2)))
    assert weights.min() > 0
