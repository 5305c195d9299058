from functools import partial

import numpy as np
import pytest
import torch
from batchgenerators.augmentations import color_augmentations, resample_augmentations
from scipy import ndimage

from autoseg.learn.augmentation import intensity

SHAPES = [(3, 9, 12), (3, 8, 9, 10)]


def made(shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 2 + 1


def changed(change, channels, *parameters, **settings):
    result = channels.clone()
    change(result, *parameters, **settings)
    return result


def as_batchgenerators_draws(seed, low, high):
    """What it draws from a two-sided range after ``np.random.seed(seed)``."""
    rng = np.random.RandomState(seed)
    return rng.uniform(low, 1) if rng.random_sample() < 0.5 and low < 1 else rng.uniform(max(low, 1), high)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_gamma_agrees_with_batchgenerators(shape, inverted, seed):
    channel = made(shape)[:1]
    np.random.seed(seed)
    expected = color_augmentations.augment_gamma(
        channel.numpy().copy(), (0.7, 1.5), inverted, per_channel=True, retain_stats=True
    )
    exponent = as_batchgenerators_draws(seed, 0.7, 1.5)
    actual = changed(intensity.gamma, channel, [exponent], inverted=inverted)
    np.testing.assert_allclose(actual, expected, atol=1e-4)
    torch.testing.assert_close(torch.std_mean(actual), torch.std_mean(channel), atol=1e-4, rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("zoom", [0.5, 0.61, 0.8, 1.0])
def test_low_resolution_agrees_with_batchgenerators(shape, zoom):
    channels = made(shape)
    expected = resample_augmentations.augment_linear_downsampling_scipy(
        channels.numpy().copy(), (zoom, zoom), order_downsample=0, order_upsample=1
    )
    actual = changed(intensity.low_resolution, channels, [(zoom,) * (channels.ndim - 1)] * len(channels))
    np.testing.assert_allclose(actual, expected, atol=1e-4)


def test_low_resolution_leaves_axes_of_zoom_1_alone():
    planes = torch.arange(4.0).view(1, 4, 1, 1).expand(1, 4, 6, 6).contiguous()
    torch.testing.assert_close(changed(intensity.low_resolution, planes, [(1.0, 0.5, 0.5)]), planes)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("factor", [0.75, 1.25])
def test_contrast_agrees_with_batchgenerators(shape, factor):
    channels = made(shape)
    expected = color_augmentations.augment_contrast(channels.numpy().copy(), lambda: factor)
    np.testing.assert_allclose(changed(intensity.contrast, channels, [factor] * 3), expected, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_blur_agrees_with_scipy(shape):
    channels = made(shape)
    sigmas = [(0.5, 1.0, 0.7)[: channels.ndim - 1], (0.9,) * (channels.ndim - 1), (0.6,) * (channels.ndim - 1)]
    actual = changed(intensity.blur, channels, sigmas)
    for channel, sigma, result in zip(channels, sigmas, actual, strict=True):
        expected = ndimage.gaussian_filter(channel.numpy(), sigma, mode="nearest", radius=intensity.BLUR_RADIUS)
        np.testing.assert_allclose(result, expected, atol=1e-5)


def test_brightness_multiplies():
    channels = made((2, 3, 4))
    expected = channels * torch.tensor([0.8, 1.2]).view(2, 1, 1)
    torch.testing.assert_close(changed(intensity.brightness, channels, [0.8, 1.2]), expected)


def test_noise_has_its_deviation_and_comes_from_its_seed_alone():
    channels = torch.zeros(3, 30, 30, 30)
    first = changed(intensity.noise, channels, [(0.1, 5), (0.02, 6), (0.1, 5)])
    np.testing.assert_allclose(first.flatten(1).std(1), [0.1, 0.02, 0.1], rtol=0.03)
    assert first.mean().abs() < 1e-3
    assert torch.equal(first[0], first[2])
    assert torch.equal(first[1:2], changed(intensity.noise, channels[:1], [(0.02, 6)]))
    assert np.corrcoef(first[0].flatten(), first[1].flatten())[0, 1] < 0.02


@pytest.mark.parametrize(
    ("change", "parameters"),
    [
        (intensity.blur, [(0.5, 1.0), (1.0, 0.7), (0.8, 0.6)]),
        (intensity.brightness, [0.8, 1.1, 1.2]),
        (intensity.contrast, [0.8, 1.1, 1.2]),
        (intensity.low_resolution, [(0.5, 0.5), (0.7, 0.7), (1.0, 0.9)]),
        (partial(intensity.gamma, inverted=True), [0.8, 1.1, 1.4]),
    ],
)
def test_channels_changed_together_come_out_as_if_changed_alone(change, parameters):
    channels = made((3, 8, 9))
    together = changed(change, channels, parameters)
    alone = [changed(change, channels[i : i + 1], parameters[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(together, torch.cat(alone))
    assert not torch.equal(together, channels)


@pytest.mark.parametrize(
    "change", [intensity.contrast, lambda x, p: intensity.gamma(x, p, False), intensity.brightness]
)
def test_a_constant_channel_stays_constant(change):
    result = changed(change, torch.full((1, 4, 4), 7.0), [1.4])
    assert torch.isfinite(result).all()
    assert result.min() == result.max()
