"""What our planners plan can be built and trained, and is what memory and cost were computed from."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from autoseg.learn import networks
from planners.cost import forward_flops
from planners.errors import PlanningError
from planners.layers import parameters
from planners.registry import PLANNERS
from planners.variants import varied
from planners.variation import FIRST
from tests.strategies import budget, fingerprint

TINY = budget(hours=0.03, gflops=50.0)


@pytest.mark.parametrize("name", ["auto"])
@pytest.mark.parametrize(
    "data",
    [
        fingerprint(((20, 24, 22),) * 8, names=("a", "b")),
        fingerprint(((5, 5, 5),) * 8),
        fingerprint(((1, 40, 40),) * 8),
        fingerprint(((4, 64, 60),) * 8, ((6.0, 1.0, 1.0),), kind="regions", names=("whole", "core")),
        fingerprint(((1, 64, 72),) * 8, dimension=2, spacing_known=False, modalities=("rgb",) * 3),
        fingerprint(((1, 3, 200),) * 8, dimension=2),
    ],
)
def test_one_step_moves_every_weight(name, data):
    _check_a_step(PLANNERS[name](data, TINY).configurations[0])


@pytest.mark.parametrize("variation", FIRST, ids=str)
@pytest.mark.parametrize("data", [fingerprint(((12, 20, 16),) * 8), fingerprint(((1, 40, 40),) * 8, dimension=2)])
def test_variants_can_be_trained_too(data, variation):
    made = PLANNERS["auto"](data, TINY)
    try:
        variant = varied(made, variation, data, TINY)
    except PlanningError:
        return
    _check_a_step(variant.configurations[0])


def _check_a_step(configuration):
    plan, patch = configuration.network, configuration.training.patch_vox
    network = networks.build(plan)
    assert sum(weight.numel() for weight in network.parameters()) == parameters(plan)
    x = torch.randn(configuration.training.batch, plan.in_channels, *patch)
    outputs = network.forward_deep(x) if plan.deep_supervision else [network(x)]
    assert outputs[0].shape == (len(x), plan.heads, *patch)
    sum(output.square().mean() for output in outputs).backward()
    gradients = [weight.grad for weight in network.parameters() if weight.grad is not None]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert len(gradients) >= len(list(network.parameters())) - 2  # the coarsest head alone is unsupervised


def test_flops_are_those_of_the_network():
    configuration = PLANNERS["auto"](fingerprint(((20, 24, 22),) * 8), TINY).configurations[0]
    patch = configuration.training.patch_vox
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        networks.build(configuration.network)(torch.zeros(1, 1, *patch))
    shallow = configuration.network.model_copy(update={"deep_supervision": False})
    assert counter.get_total_flops() == forward_flops(shallow, patch)
