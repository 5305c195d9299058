"""The grid nnU-Net resamples to, and the order of axes it works in."""

from dataclasses import dataclass
from math import prod

import numpy as np

THICK = 3.0  # an axis is thick if its spacing exceeds the others' by this factor and its edge is as much shorter
THICK_PERCENTILE = 10
JUST_ABOVE_MM = 1e-5

Vector = tuple[float, ...]


@dataclass(frozen=True)
class Grid:
    """The common grid of a data set, thickest axis first.

    Attributes:
        forward: Source axis of each working axis.
        spacing_mm: Target spacing along the working axes.
        median_shape: Median resampled edge along them, a fraction where the number of cases is even.
        original_spacing_mm: Median spacing before any resampling.
        original_shape: Median edge before any resampling, whole voxels.
    """

    forward: tuple[int, int, int]
    spacing_mm: Vector
    median_shape: Vector
    original_spacing_mm: Vector
    original_shape: tuple[int, ...]

    @property
    def backward(self) -> tuple[int, int, int]:
        """Working axis of each source axis."""
        first, second, third = (self.forward.index(axis) for axis in range(3))
        return first, second, third

    @property
    def voxels(self) -> float:
        """Voxels of the median case."""
        return prod(self.median_shape)


def grid(spacings: np.ndarray, shapes: np.ndarray, wanted_mm: Vector | None = None) -> Grid:
    """Target spacing, axis order and median shape.

    Args:
        spacings: (cases, 3) in mm.
        shapes: (cases, 3) in voxels, after cropping to what is not zero.
        wanted_mm: A spacing that overrides the rule, along the source axes.

    Source: nnU-Net 2.8.1, by observation. Ties for the thickest axis go to the first.
    """
    target = np.array(wanted_mm) if wanted_mm is not None else target_spacing(spacings, shapes)
    thickest = int(np.argmax(target))
    rest = [axis for axis in range(3) if axis != thickest]
    forward = (thickest, rest[0], rest[1])
    resampled = np.round(spacings / target * shapes)  # half to even, as Python rounds
    order = list(forward)
    return Grid(
        forward=forward,
        spacing_mm=tuple(target[order].tolist()),
        median_shape=tuple(np.median(resampled, axis=0)[order].tolist()),
        original_spacing_mm=tuple(np.median(spacings, axis=0)[order].tolist()),
        original_shape=tuple(round(edge) for edge in np.median(shapes, axis=0)[order].tolist()),
    )


def target_spacing(spacings: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    """Median spacing; along a thick axis of few slices a low percentile, but not finer than the other axes."""
    target, edges = np.percentile(spacings, 50, axis=0), np.percentile(shapes, 50, axis=0)
    thick = int(np.argmax(target))
    others = [axis for axis in range(3) if axis != thick]
    coarsest_other = target[others].max()
    if target[thick] > THICK * coarsest_other and edges[thick] * THICK < edges[others].min():
        finer = np.percentile(spacings[:, thick], THICK_PERCENTILE)
        target[thick] = finer if finer >= coarsest_other else coarsest_other + JUST_ABOVE_MM
    return target
