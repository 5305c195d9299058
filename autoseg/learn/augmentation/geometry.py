"""Geometry: rotation, scaling and mirroring of image and labels alike, in one interpolation straight from the source.

Where a patch voxel comes from is worked out once for all channels and for the labels. An axis along which nothing is
turned or scaled (slices that keep their plane) is not interpolated at all. There is no elastic deformation: it needs a
field of its own for every patch, and the ranges followed here were tuned without.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

ROUNDING = 1e-3
"""Voxels by which a position may be off; far more than float32 takes."""
VOXELS_AT_ONCE = 1 << 15
"""On a CPU; all that is in use at a time then stays in its second-level cache."""


@dataclass(frozen=True)
class Affine:
    """Maps offsets from the patch centre to offsets from the source centre: ``source = matrix @ patch``.

    Attributes:
        matrix: In voxels; one row and column for each axis of the patch, first axis first.
    """

    matrix: NDArray[np.float64]

    @classmethod
    def composed(cls, angles: Sequence[float], extent: Sequence[float], mirrored: Sequence[int] = ()) -> "Affine":
        """Flip, then stretch, then turn about each axis, the first axis first.

        Args:
            angles: About (z, y, x), or the one angle of a slice; radians.
            extent: Along each axis of the patch, how much of the source it shows; above 1, objects appear smaller.
            mirrored: Axes to flip.

        >>> Affine.composed((0.0,), (1.0, 2.0), mirrored=(1,)).matrix.tolist()
        [[1.0, 0.0], [0.0, -2.0]]
        """
        dimension = len(extent)
        matrix = np.diag([-e if axis in mirrored else e for axis, e in enumerate(extent)]).astype(np.float64)
        for axis, angle in enumerate(angles):
            first, second = (0, 1) if dimension == 2 else ((axis + 1) % 3, (axis + 2) % 3)
            turn = np.eye(dimension)
            turn[first, first] = turn[second, second] = math.cos(angle)
            turn[first, second], turn[second, first] = -math.sin(angle), math.sin(angle)
            matrix = turn @ matrix
        return cls(matrix)

    @property
    def interpolated(self) -> tuple[bool, ...]:
        """Of each axis, whether positions along it fall between voxels."""
        kept = np.abs(self.matrix) == np.eye(len(self.matrix))
        return tuple(bool(row) for row in ~kept.all(axis=1))

    def source_size(self, patch: Sequence[int]) -> tuple[int, ...]:
        """The smallest box around the same centre that holds all that the patch will show."""
        edges = np.asarray(patch)
        odd = edges % 2  # so that the centres of both boxes fall together
        reach = np.abs(self.matrix) @ ((edges - 1) / 2) + np.where(self.interpolated, ROUNDING, 0.0)
        return tuple(int(s) for s in 2 * np.ceil(reach + (1 - odd) / 2) + odd)


@dataclass(frozen=True)
class Geometry:
    """Where a patch comes from.

    Attributes:
        affine: With its mirroring; None: no voxel comes to lie between others.
        mirrored: Patch axes to flip where there is no affine.
    """

    affine: Affine | None
    mirrored: tuple[int, ...]

    def source_size(self, patch: Sequence[int]) -> tuple[int, ...]:
        """The box to read."""
        return tuple(patch) if self.affine is None else self.affine.source_size(patch)


def show(image: Tensor, labels: Tensor, geometry: Geometry, patch: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The patch (C, *patch) and its labels (*patch) out of the box that was read for it."""
    if geometry.affine is not None:
        return warp(image, labels, geometry.affine, patch)
    if not geometry.mirrored:
        return image, labels
    return image.flip([1 + axis for axis in geometry.mirrored]), labels.flip(geometry.mirrored)


def warp(image: Tensor, labels: Tensor, affine: Affine, patch: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Show a source box through an affine: image linear, labels nearest.

    Args:
        image: (C, *source) float32, the source being ``affine.source_size(patch)``.
        labels: (*source) class indices.
        affine: From patch to source offsets.
        patch: Size of the result; two- or three-dimensional like the source.

    Returns:
        (C, *patch) float32 and (*patch) in the dtype of ``labels``.

    Raises:
        ValueError: The source has another size.
    """
    source = affine.source_size(patch)
    if not tuple(labels.shape) == tuple(image.shape[1:]) == source:
        raise ValueError(
            f"warp needs image and labels of {source} voxels to show a patch of {tuple(patch)}, "
            f"found {tuple(image.shape[1:])} and {tuple(labels.shape)}"
        )
    shown, classes = image.new_empty((len(image), *patch)), labels.new_empty(tuple(patch))
    volumes, flat = image.flatten(1), labels.flatten()
    axes = [(math.prod(source[axis + 1 :]), between) for axis, between in enumerate(affine.interpolated)]
    for slab, positions in _positions(affine, source, patch, labels.device):
        corner, nearest, weights = _taps(positions, axes)
        shape = positions[0].shape
        for volume, result in zip(volumes, shown, strict=True):
            result[slab] = _interpolate(volume, corner, weights).view(shape)
        classes[slab] = flat.index_select(0, nearest).view(shape)
    return shown, classes


def _positions(
    affine: Affine, source: Sequence[int], patch: Sequence[int], device: torch.device
) -> Iterator[tuple[slice, list[Tensor]]]:
    """Source coordinates of the patch, a slab along its first axis at a time: one tensor for each source axis."""
    offsets = [torch.arange(n, device=device, dtype=torch.float32) - (n - 1) / 2 for n in patch]
    beyond = len(patch) - 1
    steps = [offset.view(-1, *[1] * (beyond - axis)) for axis, offset in enumerate(offsets)]
    across = [
        sum((step * float(m) for step, m in zip(steps[1:], row[1:], strict=True)), torch.tensor((n - 1) / 2))
        for row, n in zip(affine.matrix, source, strict=True)
    ]
    thick = max(1, VOXELS_AT_ONCE // math.prod(patch[1:])) if device.type == "cpu" else patch[0]
    for first in range(0, patch[0], thick):
        slab = slice(first, first + thick)
        yield slab, [plane + steps[0][slab] * float(row[0]) for plane, row in zip(across, affine.matrix, strict=True)]


def _taps(
    positions: Sequence[Tensor], axes: Sequence[tuple[int, bool]]
) -> tuple[Tensor, Tensor, list[tuple[int, Tensor]]]:
    """Where in the flat source to look.

    Args:
        positions: Along each axis; used up.
        axes: The stride of each axis, and whether positions along it fall between voxels.

    Returns:
        Indices of the voxel below each position, indices of the nearest voxel, and for each axis between whose voxels
        positions fall its stride and the weight of the voxel above.
    """
    corner = torch.zeros_like(positions[0], dtype=torch.int32)
    nearest = torch.zeros_like(corner)
    weights = []
    for position, (stride, between) in zip(positions, axes, strict=True):
        corner.add_(position.to(torch.int32), alpha=stride)
        if between:
            weight = position.frac_()
            weights.append((stride, weight.flatten()))
            nearest.add_(weight.round().to(torch.int32), alpha=stride)
    return corner.flatten(), nearest.add_(corner).flatten(), weights


def _interpolate(volume: Tensor, corner: Tensor, weights: Sequence[tuple[int, Tensor]]) -> Tensor:
    """Linear along one axis after the other, the last first."""
    if not weights:
        return volume.index_select(0, corner)
    (stride, weight), *rest = weights
    return _interpolate(volume, corner, rest).lerp_(_interpolate(volume[stride:], corner, rest), weight)
