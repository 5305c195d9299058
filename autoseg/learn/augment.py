"""Augmentation: random changes that leave the meaning of an image alone, so that a network learns to ignore them.

Geometry first (``Affine``, ``warp``: one rotation and scaling about the patch centre, a single interpolation straight
from the source), then mirroring, then intensities (noise, blur, brightness, contrast, low resolution, gamma). All work
is done by torch on the device that trains, and only on the samples and channels a draw picks. The draws come from a
CPU generator seeded per step, so that any step can be repeated by itself on any device.
Kinds and ranges follow Isensee et al. 2021 (doi:10.1038/s41592-020-01008-z, supplement).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from autoseg.learn.losses import IGNORED
from planners.contracts import Augmentation

BLUR_RADIUS = 3
"""Voxels; three sigma of the widest blur."""


@dataclass(frozen=True)
class Affine:
    """Maps offsets from the patch centre to offsets in the source: ``source = matrix @ patch``, in voxels (z, y, x)."""

    matrix: NDArray[np.float64]

    def source_size(self, patch: Sequence[int]) -> tuple[int, ...]:
        """The smallest box around the same centre that holds all that the patch will show."""
        reach = np.abs(self.matrix) @ (np.asarray(patch) / 2)
        odd = np.asarray(patch) % 2  # so that the centres of both boxes fall together
        return tuple(int(s) for s in 2 * np.ceil(reach - odd / 2 + 0.5) + odd)


def draw_affine(rng: np.random.Generator, plan: Augmentation, dimension: int) -> Affine | None:
    """A random rotation and scaling, or None for leaving the geometry alone.

    In 2D only the angle about z counts. Where a 3D plan turns about z alone (thick slices), planes are kept as they
    are and scaling acts within them.
    """
    rotate, scale = rng.random() < plan.rotation_probability, rng.random() < plan.scale_probability
    if not (rotate or scale):
        return None
    limits = np.radians(plan.rotation_deg) * (1.0 if dimension == 3 else np.array([1.0, 0.0, 0.0]))
    angles = rng.uniform(-limits, limits) if rotate else np.zeros(3)
    factor = 1.0 / rng.uniform(*plan.scale) if scale else 1.0
    in_plane = dimension == 2 or not limits[1:].any()
    return Affine(_rotation(angles) @ np.diag([1.0 if in_plane else factor, factor, factor]))


def _rotation(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        first, second = (i for i in range(3) if i != axis)
        turn = np.eye(3)
        turn[first, first] = turn[second, second] = math.cos(angle)
        turn[first, second], turn[second, first] = -math.sin(angle), math.sin(angle)
        matrix = matrix @ turn
    return matrix


def warp(image: Tensor, labels: Tensor, affine: Affine, patch: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Show a source box through an affine: image linear, labels nearest.

    Args:
        image: (C, *source) float32; outside counts as 0.
        labels: (*source) class indices; outside counts as ``IGNORED``.
        affine: From patch to source offsets.
        patch: Size of the result; two- or three-dimensional like the source.

    Returns:
        (C, *patch) float32 and (*patch) in the dtype of ``labels``.
    """
    dimension = len(patch)
    size = np.asarray(labels.shape, np.float64)
    # grid_sample wants (x, y, z) in [-1, 1] over the source; its own grid runs over [-1, 1] of the patch.
    scaled = np.diag(2 / size) @ affine.matrix[-dimension:, -dimension:] @ np.diag(np.asarray(patch) / 2)
    theta = torch.zeros(1, dimension, dimension + 1)
    theta[0, :, :dimension] = torch.from_numpy(scaled[::-1, ::-1].copy())
    grid = functional.affine_grid(theta, [1, 1, *patch], align_corners=False).to(image.device)
    shown = functional.grid_sample(image[None], grid, mode="bilinear", align_corners=False)[0]
    shifted = (labels - IGNORED).to(torch.float32)[None, None]  # so that 0, the fill, means ignored
    nearest = functional.grid_sample(shifted, grid, mode="nearest", align_corners=False)[0, 0]
    return shown, nearest.to(labels.dtype) + IGNORED


def augment(images: Tensor, labels: Tensor, plan: Augmentation, seed: int) -> tuple[Tensor, Tensor]:
    """Mirror patches and change their intensities.

    Args:
        images: (B, C, …) float32, contiguous; changed in place.
        labels: (B, …).
        plan: What may happen, and how often.
        seed: Of all draws.
    """
    generator = torch.Generator().manual_seed(seed)
    images, labels = _mirror(images, labels, plan.mirror_axes, generator)
    measured = images[:, : images.shape[1] - plan.masks].contiguous()
    channels = measured.view(-1, *images.shape[2:])  # each channel of each sample by itself
    _Intensities(channels, plan, generator).apply()
    if plan.masks:
        images[:, : -plan.masks] = measured
    return images, labels


def _mirror(images: Tensor, labels: Tensor, axes: Sequence[int], generator: torch.Generator) -> tuple[Tensor, Tensor]:
    if not axes:
        return images, labels
    for sample, draws in enumerate(torch.rand(len(images), len(axes), generator=generator) < 0.5):
        flipped = [axis for axis, flip in zip(axes, draws.tolist(), strict=True) if flip]
        if flipped:
            images[sample] = images[sample].flip([1 + axis for axis in flipped])
            labels[sample] = labels[sample].flip(flipped)
    return images, labels


@dataclass
class _Intensities:
    """The intensity changes, on channels (N, …) in place."""

    channels: Tensor
    plan: Augmentation
    generator: torch.Generator

    def apply(self) -> None:
        plan = self.plan
        self._noise(self._pick(plan.noise_probability))
        self._blur(self._pick(plan.blur_probability))
        self._brightness(self._pick(plan.brightness_probability))
        self._contrast(self._pick(plan.contrast_probability))
        self._low_resolution(self._pick(plan.low_resolution_probability))
        self._gamma(self._pick(plan.gamma_invert_probability), sign=-1.0)
        self._gamma(self._pick(plan.gamma_probability), sign=1.0)

    def _pick(self, probability: float) -> list[int]:
        draws = torch.rand(len(self.channels), generator=self.generator) < probability
        return torch.nonzero(draws).flatten().tolist()

    def _uniform(self, low: float, high: float, count: int) -> Tensor:
        return torch.empty(count).uniform_(low, high, generator=self.generator)

    def _two_sided(self, low: float, high: float, count: int) -> Tensor:
        """Below 1 as often as above."""
        below = torch.rand(count, generator=self.generator) < 0.5
        lower, upper = self._uniform(min(low, 1.0), 1.0, count), self._uniform(1.0, max(high, 1.0), count)
        return torch.where(below if low < 1 else torch.zeros_like(below), lower, upper)

    def _noise(self, picked: list[int]) -> None:
        # The drawn number is used as standard deviation, as those who tuned the range used it.
        deviations = self._uniform(0.0, self.plan.noise_std, len(picked)).tolist()
        seeds = torch.randint(2**62, (len(picked),), generator=self.generator).tolist()
        for index, deviation, seed in zip(picked, deviations, seeds, strict=True):
            local = torch.Generator(self.channels.device).manual_seed(seed)
            noise = torch.empty_like(self.channels[index]).normal_(0.0, 1.0, generator=local)
            self.channels[index].add_(noise, alpha=deviation)

    def _blur(self, picked: list[int]) -> None:
        low, high = self.plan.blur_sigma_vox
        dimension = self.channels.ndim - 1
        for index in picked:
            for axis, sigma in enumerate(self._uniform(low, high, dimension).tolist()):
                self.channels[index] = blur_axis(self.channels[index], axis, sigma)

    def _brightness(self, picked: list[int]) -> None:
        for index, factor in zip(picked, self._two_sided(*self.plan.brightness, len(picked)).tolist(), strict=True):
            self.channels[index].mul_(factor)

    def _contrast(self, picked: list[int]) -> None:
        for index, factor in zip(picked, self._two_sided(*self.plan.contrast, len(picked)).tolist(), strict=True):
            channel = self.channels[index]
            low, high, mean = *channel.aminmax(), channel.mean()
            channel.sub_(mean).mul_(factor).add_(mean).clamp_(low, high)

    def _low_resolution(self, picked: list[int]) -> None:
        zooms = self._uniform(*self.plan.low_resolution_zoom, len(picked)).tolist()
        mode = "bilinear" if self.channels.ndim == 3 else "trilinear"
        for index, zoom in zip(picked, zooms, strict=True):
            channel = self.channels[index][None, None]
            coarse = [max(1, round(n * zoom)) for n in channel.shape[2:]]
            small = functional.interpolate(channel, coarse, mode="nearest-exact")
            self.channels[index] = functional.interpolate(small, channel.shape[2:], mode=mode)[0, 0]

    def _gamma(self, picked: list[int], sign: float) -> None:
        for index, gamma in zip(picked, self._two_sided(*self.plan.gamma, len(picked)).tolist(), strict=True):
            channel = self.channels[index].mul_(sign)
            deviation, mean = torch.std_mean(channel)
            low, high = channel.aminmax()
            channel.sub_(low).div_((high - low).clamp(min=1e-7)).pow_(gamma)
            new_deviation, new_mean = torch.std_mean(channel)
            channel.sub_(new_mean).mul_(deviation / new_deviation.clamp(min=1e-7)).add_(mean).mul_(sign)


def blur_axis(volume: Tensor, axis: int, sigma: float) -> Tensor:
    """Gaussian blur of (…) along one axis, edges repeated; ``sigma`` in voxels."""
    offsets = torch.arange(-BLUR_RADIUS, BLUR_RADIUS + 1)
    weights = torch.exp(-0.5 * (offsets / sigma) ** 2)
    moved = volume.movedim(axis, 0)
    edge = (BLUR_RADIUS, *moved.shape[1:])
    padded = torch.cat((moved[:1].expand(edge), moved, moved[-1:].expand(edge)))
    blurred = torch.zeros_like(moved)
    for offset, weight in enumerate((weights / weights.sum()).tolist()):
        blurred.add_(padded[offset : offset + len(moved)], alpha=weight)
    return blurred.movedim(0, axis)
