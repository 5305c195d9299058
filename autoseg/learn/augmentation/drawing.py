"""What happens to one sample, drawn at random from the ranges of a plan.

A draw is made of plain numbers and finished before anything is changed: it is the same on every device.
Which channels change together follows nnU-Net. A change takes a sample with its probability; then noise, brightness,
contrast and gamma take all channels, blur and low resolution each channel with ``CHANNEL_SHARE``. Noise has one
deviation for all channels, every other change parameters of its own for each.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from autoseg.learn.augmentation.geometry import Affine, Geometry
from planners.contracts import Augmentation

CHANNEL_SHARE = 0.5
"""Of the channels of a sample that is blurred or coarsened."""


@dataclass(frozen=True)
class Intensities:
    """For each change the channels that it takes, with its parameters, in the order of the changes."""

    noise: Mapping[int, tuple[float, int]]  # standard deviation and seed
    blur: Mapping[int, tuple[float, ...]]  # sigma along each axis, in voxels
    brightness: Mapping[int, float]
    contrast: Mapping[int, float]
    low_resolution: Mapping[int, tuple[float, ...]]  # zoom along each axis
    gamma_inverted: Mapping[int, float]
    gamma: Mapping[int, float]


def draw_geometry(rng: np.random.Generator, plan: Augmentation, dimension: int) -> Geometry:
    """A random rotation, scaling and mirroring.

    In 2D only the angle about z counts. Where a 3D plan turns about z alone (thick slices), planes are kept as they
    are and scaling acts within them.
    """
    rotate, scale = rng.random() < plan.rotation_probability, rng.random() < plan.scale_probability
    limits = np.radians(plan.rotation_deg[:1] if dimension == 2 else plan.rotation_deg)
    angles = rng.uniform(-limits, limits) * rotate
    factor = rng.uniform(*plan.scale) if scale else 1.0
    mirrored = tuple(axis for axis in plan.mirror_axes if rng.random() < 0.5)
    if not (rotate or scale):
        return Geometry(None, mirrored)
    extent = [1.0 if kept else factor for kept in _kept_axes(plan, dimension)]
    return Geometry(Affine.composed(angles.tolist(), extent, mirrored), ())


def _kept_axes(plan: Augmentation, dimension: int) -> tuple[bool, ...]:
    """Axes across thick slices, which are neither scaled nor coarsened."""
    planar = dimension == 3 and not any(plan.rotation_deg[1:])
    return (planar, *[False] * (dimension - 1))


def draw_intensities(rng: np.random.Generator, plan: Augmentation, channels: int, dimension: int) -> Intensities:
    """Random changes of the channels of one sample."""
    deviation = float(rng.uniform(0.0, plan.noise_std))  # those who tuned the range used what they drew as a deviation
    blurred = _taken(rng, channels, plan.blur_probability, CHANNEL_SHARE)
    coarsened = _taken(rng, channels, plan.low_resolution_probability, CHANNEL_SHARE)
    kept = _kept_axes(plan, dimension)
    return Intensities(
        noise={c: (deviation, int(rng.integers(2**62))) for c in _taken(rng, channels, plan.noise_probability)},
        blur={c: tuple(rng.uniform(*plan.blur_sigma_vox, size=dimension).tolist()) for c in blurred},
        brightness=_factors(rng, channels, plan.brightness_probability, plan.brightness),
        contrast=_factors(rng, channels, plan.contrast_probability, plan.contrast),
        low_resolution={c: _zoom(rng, plan.low_resolution_zoom, kept) for c in coarsened},
        gamma_inverted=_factors(rng, channels, plan.gamma_invert_probability, plan.gamma),
        gamma=_factors(rng, channels, plan.gamma_probability, plan.gamma),
    )


def _taken(rng: np.random.Generator, channels: int, probability: float, share: float = 1.0) -> list[int]:
    """The channels that a change takes: none, unless the sample is taken with its probability."""
    if rng.random() >= probability:
        return []
    return np.flatnonzero(rng.random(channels) < share).tolist()


def _factors(
    rng: np.random.Generator, channels: int, probability: float, limits: tuple[float, float]
) -> dict[int, float]:
    return {channel: _two_sided(rng, *limits) for channel in _taken(rng, channels, probability)}


def _two_sided(rng: np.random.Generator, low: float, high: float) -> float:
    """Below 1 as often as above, evenly on each side."""
    if low < 1 and rng.random() < 0.5:
        return rng.uniform(low, 1.0)
    return rng.uniform(max(low, 1.0), high)


def _zoom(rng: np.random.Generator, limits: tuple[float, float], kept: Sequence[bool]) -> tuple[float, ...]:
    drawn = rng.uniform(*limits)
    return tuple(1.0 if k else drawn for k in kept)
