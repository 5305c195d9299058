"""All that nnU-Net decides for a data set: the grid, its configurations, and whether there is a cascade."""

from dataclasses import dataclass
from math import prod

import numpy as np

from planners.nnunet.configuration import Fit, fit
from planners.nnunet.spacing import Grid, Vector, grid
from planners.nnunet.variants import Variant

COVERED = 0.25  # of the median case; where a patch sees less, a low resolution is looked for
COARSENING = 1.03  # of the spacing, per step of that search
LEAST_REDUCTION = 2.0  # of voxels, for a low resolution to be kept
CATCH_UP = 2.0  # axes finer than the coarsest by more than this are coarsened alone

MASKED_BELOW = 0.75  # median share of a case that is not zero; below it, statistics are taken inside
SCHEMES = {
    "ct": "CTNormalization",
    "nonorm": "NoNormalization",
    "zscore": "ZScoreNormalization",
    "rescale_to_0_1": "RescaleTo01Normalization",
    "rgb_to_0_1": "RGBTo01Normalization",
}
MASKABLE = "ZScoreNormalization"


@dataclass(frozen=True)
class Measured:
    """What nnU-Net knows of a data set when it plans.

    Attributes:
        spacings: (cases, 3) in mm, source axes.
        shapes: (cases, 3) in voxels after cropping to what is not zero.
        cases: Training cases the data set claims to have.
        label_entries: Labels it lists, background and ignore included.
        channels: Channel names.
        relative_crop: Median share of a case's voxels that cropping keeps.
    """

    spacings: np.ndarray
    shapes: np.ndarray
    cases: int
    label_entries: int
    channels: tuple[str, ...]
    relative_crop: float


@dataclass(frozen=True)
class LowResolution:
    """The outcome of the search for a coarser grid.

    Attributes:
        found: The configuration it ended at; None if none was looked for.
        kept: Whether it saves enough voxels to be used.
        steps: Times the spacing was coarsened.
    """

    found: Fit | None
    kept: bool
    steps: int


@dataclass(frozen=True)
class Decisions:
    """Everything decided, along the working axes of ``grid``. ``volume`` is None where the cases are single slices."""

    variant: Variant
    gpu_gb: float
    grid: Grid
    normalization: tuple[str, ...]
    masked: tuple[bool, ...]
    flat: Fit
    volume: Fit | None
    low: LowResolution


def decide(data: Measured, variant: Variant, gpu_gb: float | None = None, wanted_mm: Vector | None = None) -> Decisions:
    """Plan as nnU-Net 2.8.1 does.

    Args:
        data: The data set.
        variant: One of its four planners.
        gpu_gb: Memory to plan for; None takes the variant's own.
        wanted_mm: A full resolution that overrides the rule, along the source axes.
    """
    memory = variant.gpu_gb if gpu_gb is None else gpu_gb
    common = grid(data.spacings, data.shapes, wanted_mm)
    voxels = prod(common.median_shape) * data.cases
    volume, low = None, LowResolution(found=None, kept=False, steps=0)
    if common.median_shape[0] != 1:
        volume = fit(common.spacing_mm, common.median_shape, voxels, data.label_entries, variant, memory)
        low = _low_resolution(volume, data, variant, memory)
    schemes = tuple(SCHEMES.get(name.casefold(), MASKABLE) for name in data.channels)
    return Decisions(
        variant=variant,
        gpu_gb=memory,
        grid=common,
        normalization=schemes,
        masked=tuple(scheme == MASKABLE and data.relative_crop < MASKED_BELOW for scheme in schemes),
        flat=fit(common.spacing_mm[1:], common.median_shape[1:], voxels, data.label_entries, variant, memory),
        volume=volume,
        low=low,
    )


def _low_resolution(volume: Fit, data: Measured, variant: Variant, gpu_gb: float) -> LowResolution:
    """Coarsen the grid step by step until a patch covers enough of the median case."""
    fine, median = np.array(volume.spacing_mm), np.array(volume.median_shape)
    spacing, covered, steps, found = fine.copy(), prod(volume.patch) / np.prod(median), 0, None
    low_median = median
    while covered < COVERED:
        behind = spacing.max() / spacing > CATCH_UP
        spacing = spacing * np.where(behind if behind.any() else ~behind, COARSENING, 1.0)
        low_median = fine / spacing * median
        voxels = float(np.prod(low_median))
        rounded = tuple(round(edge) for edge in low_median.tolist())
        found = fit(tuple(spacing.tolist()), rounded, voxels * data.cases, data.label_entries, variant, gpu_gb)
        covered = prod(found.patch) / voxels
        steps += 1
    kept = found is not None and np.prod(median) / np.prod(low_median) >= LEAST_REDUCTION
    return LowResolution(found, bool(kept), steps)
