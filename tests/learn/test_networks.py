import pytest
import torch

from autoseg.errors import UsageError
from autoseg.learn import networks
from autoseg.learn.losses import coarsen
from autoseg.learn.networks.plain_unet import ConvolutionUnit, InstanceNorm
from autoseg.learn.precision import autocast
from tests.learn.tiny import network_plan

FULL = {"convolutions_encoder": (2,) * 6, "convolutions_decoder": (2,) * 5}
FEATURES = (32, 64, 128, 256, 320, 320)


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("stages", [2, 4])
def test_outputs_have_the_sizes_that_scales_say(dimension, stages):
    plan = network_plan(dimension, heads=3, stages=stages)
    network = networks.build(plan)
    x = torch.randn(2, 1, *(16,) * dimension)
    outputs = network.forward_deep(x)
    scales = networks.scales(plan)
    assert len(outputs) == len(scales) == max(1, stages - 2)
    for output, scale in zip(outputs, scales, strict=True):
        assert output.shape == (2, 3, *coarsen(x[:, 0], scale).shape[1:])
    torch.testing.assert_close(network(x), outputs[0])


def test_anisotropic_strides_and_kernels():
    plan = network_plan(
        strides=((1, 1, 1), (1, 2, 2), (2, 2, 2)),
        kernels=((1, 3, 3), (3, 3, 3), (3, 3, 3)),
        convolutions_encoder=(2, 2, 2),
    )
    assert networks.build(plan)(torch.randn(1, 1, 4, 8, 12)).shape == (1, 2, 4, 8, 12)


@pytest.mark.parametrize(
    ("plan", "parameters"),
    [
        (network_plan(heads=3, stages=6, features=FEATURES, **FULL), 31_196_399),
        (
            network_plan(
                family="residual_unet",
                heads=3,
                stages=6,
                features=FEATURES,
                convolutions_encoder=(1, 3, 4, 6, 6, 6),
                convolutions_decoder=(1,) * 5,
            ),
            102_350_575,
        ),
        (
            network_plan(
                heads=3, stages=4, features=FEATURES[:4], convolutions_encoder=(2,) * 4, convolutions_decoder=(2,) * 3
            ),
            5_603_177,
        ),
    ],
)
def test_as_many_parameters_as_the_published_network(plan, parameters):
    with torch.device("meta"):
        network = networks.build(plan)
    assert sum(p.numel() for p in network.parameters()) == parameters


def test_parameter_names():
    names = set(networks.build(network_plan(stages=2)).state_dict())
    expected = {f"encoder.{s}.0.{m}.{p}" for s in (0, 1) for m in ("conv", "norm") for p in ("weight", "bias")}
    expected |= {f"decoder.0.units.0.{m}.{p}" for m in ("conv", "norm") for p in ("weight", "bias")}
    assert names == expected | {"decoder.0.up.weight", "decoder.0.up.bias", "heads.0.weight", "heads.0.bias"}


@pytest.mark.parametrize("shape", [(3, 5, 6, 7), (2, 4, 3, 6, 7)])
def test_instance_norm_equals_the_built_in_one(shape):
    x = torch.randn(shape) * 3 + 5
    layout = torch.channels_last if x.ndim == 4 else torch.channels_last_3d
    x = x.contiguous(memory_format=layout).requires_grad_()
    norm = InstanceNorm(shape[1])
    torch.nn.init.uniform_(norm.weight)
    ours = norm(x)
    theirs = torch.nn.functional.instance_norm(x, weight=norm.weight, bias=norm.bias)
    torch.testing.assert_close(ours, theirs)
    target = torch.randn(shape)
    for a, b in zip(*(torch.autograd.grad((y * target).sum(), (x, norm.weight)) for y in (ours, theirs)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_weights_depend_on_the_seed_alone():
    plan = network_plan()
    torch.manual_seed(5)
    first = networks.build(plan, seed=1).state_dict()
    torch.manual_seed(6)
    again, other = networks.build(plan, seed=1).state_dict(), networks.build(plan, seed=2).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["encoder.0.0.conv.weight"], other["encoder.0.0.conv.weight"])


def test_a_single_stage_is_refused():
    with pytest.raises(UsageError, match="at least two"):
        networks.build(network_plan(stages=1))


@pytest.mark.parametrize("family", sorted(networks.FAMILIES))
@pytest.mark.parametrize("dimension", [2, 3])
def test_every_family_learns_from_every_parameter(family, dimension):
    network = networks.build(network_plan(dimension, stages=3, family=family))
    outputs = network.forward_deep(torch.randn(2, 1, *(8,) * dimension))
    sum(output.square().sum() for output in outputs).backward()
    without = {name for name, p in network.named_parameters() if p.grad is None}
    assert without == {"heads.0.weight", "heads.0.bias"}  # the coarsest head is there for its name only


@pytest.mark.parametrize("shape", [(2, 8, 8), (2, 2, 2), (1, 8, 8), (4, 2, 6)])
def test_thin_features_have_right_gradients_in_bfloat16(shape):
    """Without its float32 fallback the library gives gradients that differ from call to call, or are not finite."""
    unit = ConvolutionUnit(16, 32, (3, 3, 3), (1, 1, 1))
    x = torch.randn(2, 16, *shape).contiguous(memory_format=torch.channels_last_3d)
    target = torch.randn(2, 32, *shape)
    gradients = []
    for precision in ("fp32", "bf16", "bf16", "bf16"):
        with autocast(torch.device("cpu"), precision):
            y = unit(x)
        gradients += torch.autograd.grad((y.float() * target).sum(), unit.conv.weight)
    assert torch.equal(gradients[1], gradients[2])
    assert torch.equal(gradients[1], gradients[3])
    torch.testing.assert_close(gradients[0], gradients[1], rtol=0.05, atol=0.5)
