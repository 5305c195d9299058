"""Sums over layers against published and counted numbers."""

import pytest

from planners import cost
from planners.errors import PlanningError
from planners.layers import layers, parameters, stage_shapes
from planners.memory import training_bytes
from planners.topology import unet
from tests.strategies import budget, gpu


def net(patch, width=32, heads=3, channels=1, most_stages=9):
    spacing = (1.0,) * len(patch)
    return unet(patch, spacing, channels=channels, heads=heads, width=width, most_stages=most_stages)


@pytest.mark.parametrize(
    ("patch", "published"),
    [((128, 128, 128), 31_196_399), ((40, 56, 40), 5_603_177), ((512, 512), 46_326_581)],
)
def test_parameters_match_the_published_networks(patch, published):
    assert parameters(net(patch)) == published


def test_parameters_do_not_depend_on_the_patch():
    network = net((64, 64, 64))
    assert parameters(network) == sum(layer.weights for layer in layers(network, (64, 64, 64)))


def test_flops_of_a_forward_pass():
    assert cost.forward_flops(net((40, 56, 40)), (40, 56, 40)) / 1e9 == pytest.approx(38.3, abs=0.1)


def test_flops_of_one_convolution_by_hand():
    first = layers(net((8, 8), width=4, most_stages=2), (8, 8))[0]
    assert first.flops == 2 * 9 * 1 * 4 * 64
    assert first.weights == 9 * 4 + 4 + 2 * 4
    assert (first.inputs, first.outputs) == (64, 256)


def test_stage_shapes_follow_the_strides():
    assert stage_shapes(net((40, 56, 40)), (40, 56, 40)) == ((40, 56, 40), (20, 28, 20), (10, 14, 10), (5, 7, 5))


def test_memory_grows_with_batch_patch_width_and_precision():
    small = training_bytes(net((64, 64, 64)), (64, 64, 64), 2, "bf16")
    assert training_bytes(net((64, 64, 64)), (64, 64, 64), 3, "bf16") > small
    assert training_bytes(net((64, 64, 96)), (64, 64, 96), 2, "bf16") > small
    assert training_bytes(net((64, 64, 64), width=48), (64, 64, 64), 2, "bf16") > small
    assert training_bytes(net((64, 64, 64)), (64, 64, 64), 2, "fp32") > small


def test_step_time_is_linear_in_the_correction_and_falls_with_speed():
    network, patch = net((40, 56, 40), width=16), (40, 56, 40)
    plain = cost.step_s(network, patch, 2, budget())
    assert cost.step_s(network, patch, 2, budget(correction=1.5)) == pytest.approx(1.5 * plain)
    assert cost.step_s(network, patch, 2, budget(gflops=400)) < plain
    arithmetic = 3 * 2 * cost.forward_flops(network, patch) / 200e9
    assert arithmetic < plain < 1.5 * arithmetic + 0.05


def test_the_closest_throughput_is_used():
    machine = budget(precision="bf16")
    fp32 = machine.throughputs[0].model_copy(update={"precision": "fp32", "flops_per_s": 1.0})
    machine = machine.model_copy(update={"throughputs": (fp32, *machine.throughputs)})
    assert cost.throughput(machine, 2).precision == "bf16"
    assert cost.throughput(machine, 3).dimension == 3
    assert cost.throughput(machine.model_copy(update={"throughputs": (fp32,)}), 3) == fp32
    with pytest.raises(PlanningError, match="no measured throughput"):
        cost.throughput(machine.model_copy(update={"throughputs": ()}), 3)


@pytest.mark.parametrize(
    ("shapes", "patch", "expected"),
    [
        ([(40, 56, 40)], (40, 56, 40), 1),
        ([(41, 56, 40)], (40, 56, 40), 2),
        ([(60, 84, 60)], (40, 56, 40), 8),
        ([(10, 128, 128), (20, 128, 128)], (128, 128), 15),
        ([(5, 5, 5)], (8, 8, 8), 1),
    ],
)
def test_inference_windows(shapes, patch, expected):
    assert cost.windows(shapes, patch) == expected


def test_inference_costs_more_for_larger_images():
    network, patch = net((64, 64, 64)), (64, 64, 64)
    small = cost.case_inference_s(network, patch, [(64, 64, 64)], gpu())
    assert cost.case_inference_s(network, patch, [(128, 128, 128)], gpu()) > 8 * (small - cost.CASE_S)
