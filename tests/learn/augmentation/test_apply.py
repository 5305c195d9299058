import pytest
import torch

from autoseg.learn.augmentation import Geometry, Intensities, change_intensities, intensity, show
from autoseg.learn.augmentation.geometry import Affine

NOTHING = Intensities({}, {}, {}, {}, {}, {}, {})


@pytest.mark.parametrize("also", [NOTHING, Intensities({}, {}, {}, {}, {}, {}, {0: 0.9, 1: 1.1})])
def test_only_what_drew_a_change_is_changed(also):
    images = torch.randn(3, 2, 6, 7)
    expected = images.clone()
    intensity.gamma(expected[1, 1:], [1.3], inverted=False)
    change_intensities(images, [NOTHING, Intensities({}, {}, {}, {}, {}, {}, {1: 1.3}), also])
    torch.testing.assert_close(images[:2], expected[:2])
    assert torch.equal(images[2], expected[2]) == (also is NOTHING)


def test_the_changes_come_in_order():
    drawn = Intensities(
        noise={0: (0.1, 3)},
        blur={0: (0.7, 0.8)},
        brightness={0: 1.2},
        contrast={0: 0.8},
        low_resolution={0: (0.6, 0.6)},
        gamma_inverted={0: 0.8},
        gamma={0: 1.3},
    )
    images = torch.randn(1, 1, 12, 9)
    expected = images[0].clone()
    intensity.noise(expected, [(0.1, 3)])
    intensity.blur(expected, [(0.7, 0.8)])
    intensity.brightness(expected, [1.2])
    intensity.contrast(expected, [0.8])
    intensity.low_resolution(expected, [(0.6, 0.6)])
    intensity.gamma(expected, [0.8], inverted=True)
    intensity.gamma(expected, [1.3], inverted=False)
    change_intensities(images, [drawn])
    torch.testing.assert_close(images[0], expected)


@pytest.mark.parametrize("dimension", [2, 3])
def test_the_device_is_never_asked_for_a_number(dimension):
    """Tensors on ``meta`` have no values: whoever needs one, and so would wait for an accelerator, gets an error."""
    patch, turned = (6, 7, 8)[:dimension], Affine.composed((0.3,) * (2 * dimension - 3), (1.2,) * dimension)
    source = turned.source_size(patch)
    image, labels = torch.empty(2, *source, device="meta"), torch.empty(source, dtype=torch.int16, device="meta")
    shown, classes = show(image, labels, Geometry(turned, ()), patch)
    each, same = {0: 0.9, 1: 1.1}, (0.6,) * dimension
    drawn = Intensities({}, dict.fromkeys((0, 1), same), each, each, {1: same}, each, each)  # noise: no generator there
    images = torch.stack([shown, shown])
    change_intensities(images, [drawn, drawn])
    assert images.shape == (2, 2, *patch)
    assert classes.dtype == torch.int16
    with pytest.raises(RuntimeError):
        images.max().item()
