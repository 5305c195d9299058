"""Patch, batch and network of one configuration, as nnU-Net fits them to a GPU."""

from dataclasses import dataclass
from math import prod

import numpy as np

from planners.errors import InfeasibleBudget, PlanningError
from planners.nnunet.element_count import elements
from planners.nnunet.topology import topology
from planners.nnunet.variants import REFERENCE_BATCH, Variant
from planners.topology import Topology

FIRST_EDGE = {2: 2048, 3: 256}  # of the isotropic block, in voxels, that a patch starts from
SMALLEST_BATCH = 2


@dataclass(frozen=True)
class Fit:
    """One configuration along the working axes.

    Attributes:
        spacing_mm: Voxel size.
        median_shape: Of the resampled cases; fractions where the median falls between two cases.
        patch: Edges in voxels.
        batch: Patches per step.
        shape: Strides and kernels.
        elements: The count that stood for memory.
    """

    spacing_mm: tuple[float, ...]
    median_shape: tuple[float, ...]
    patch: tuple[int, ...]
    batch: int
    shape: Topology
    elements: int


def fit(
    spacing_mm: tuple[float, ...],
    median_shape: tuple[float, ...],
    data_voxels: float,
    label_entries: int,
    variant: Variant,
    gpu_gb: float,
) -> Fit:
    """Shrink a block of isotropic extent until its network fits, then fill the memory with more of them.

    Args:
        spacing_mm: Working spacing; two elements for a 2D configuration.
        median_shape: Median resampled edges along the same axes.
        data_voxels: Voxels of all cases together.
        label_entries: As in ``elements``.
        variant: Whose constants.
        gpu_gb: Memory of the GPU.

    Raises:
        InfeasibleBudget: Even a patch of one step per axis counts too much.
        PlanningError: Voxels are so much longer than wide that the block has none along an axis.

    Source: nnU-Net 2.8.1, by observation.
    """
    dimension = len(spacing_mm)
    reference = variant.reference[dimension] * (gpu_gb / variant.gpu_gb)
    limit = reference
    if variant.corrects_for_batch:
        limit = reference * REFERENCE_BATCH[dimension] / SMALLEST_BATCH
    wished = np.minimum(_isotropic_block(spacing_mm), median_shape).tolist()
    shape = topology(tuple(wished), spacing_mm)
    patch = _whole(shape, wished)
    if min(patch) < 1:
        raise PlanningError(
            f"nnU-Net's rules give a patch of {' x '.join(map(str, patch))} voxels for voxels of "
            f"{' x '.join(f'{mm:g}' for mm in spacing_mm)} mm: there is no such plan; choose another planner, e.g. auto"
        )
    count = elements(patch, shape, label_entries, variant)
    while count > limit:
        patch, shape = _shrunk(patch, shape, spacing_mm, median_shape, gpu_gb)
        count = elements(patch, shape, label_entries, variant)
    batch = round(reference / count * REFERENCE_BATCH[dimension])
    most = round(data_voxels * variant.most_of_data / prod(patch))
    return Fit(spacing_mm, median_shape, patch, max(min(batch, most), SMALLEST_BATCH), shape, count)


def _isotropic_block(spacing_mm: tuple[float, ...]) -> list[int]:
    """Edges of equal physical length, with as many voxels in all as the first block."""
    density = 1 / np.array(spacing_mm)
    dimension = len(spacing_mm)
    scale = (FIRST_EDGE[dimension] ** dimension / np.prod(density)) ** (1 / dimension)
    return [round(edge) for edge in (density * scale).tolist()]


def _whole(shape: Topology, patch: list[float]) -> tuple[int, ...]:
    """The smallest divisible patch of whole voxels that holds ``patch``."""
    pairs = zip(patch, shape.divisors, strict=True)
    return tuple(int(-(-edge // divisor) * divisor) for edge, divisor in pairs)


def _shrunk(
    patch: tuple[int, ...],
    shape: Topology,
    spacing_mm: tuple[float, ...],
    median_shape: tuple[float, ...],
    gpu_gb: float,
) -> tuple[tuple[int, ...], Topology]:
    """Shorten the axis that covers most of the median case by one step, the last of equals.

    The step is what the shortened patch must be divisible by, not what the present one must: 256 (divisible by 64)
    becomes 224 (by 32).
    """
    covered = [edge / median for edge, median in zip(patch, median_shape, strict=True)]
    axis = max(range(len(patch)), key=lambda each: (covered[each], each))
    trial = list(patch)
    trial[axis] -= shape.divisors[axis]
    shorter = list(patch)
    shorter[axis] -= topology(tuple(trial), spacing_mm).divisors[axis]
    if min(shorter) < 1:
        raise InfeasibleBudget(f"no patch of spacing {spacing_mm} mm fits nnU-Net's count for {gpu_gb:g} GB; give more")
    new = topology(tuple(shorter), spacing_mm)
    return _whole(new, [float(edge) for edge in shorter]), new
