"""What the shape of a mask tells: size, pieces, how compact it is, whether the image cuts it off.

Lengths are in mm. In a plane, one slice, area stands for volume and perimeter for surface.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from autoseg.volumes.labels import FULL, Mask
from planners.contracts import Spacing


@dataclass(frozen=True)
class Shape:
    """Of one mask that is not empty.

    Attributes:
        volume_mm3: Of the mask.
        components: Connected through faces, edges or corners.
        largest_share: Of the voxels, in the largest component; 1 where there is one only.
        compactness: The isoperimetric quotient, 1 for a ball and less for everything else. Surfaces are sums of voxel
            faces, so that a ball of voxels has about 0.3.
    """

    volume_mm3: float
    components: int
    largest_share: float
    compactness: float


def of(mask: Mask, spacing_mm: Spacing, *, plane: bool) -> Shape:
    """Measure a mask (z, y, x) of at least one voxel.

    Args:
        mask: Or the part of it that holds all of it.
        spacing_mm: Size of a voxel.
        plane: The image has one slice.

    >>> cube = of(np.ones((2, 2, 2), dtype=bool), (1.0, 1.0, 1.0), plane=False)
    >>> cube.volume_mm3, cube.components, cube.largest_share, round(cube.compactness, 3)
    (8.0, 1, 1.0, 0.524)
    """
    numbers, components = ndimage.label(mask, structure=FULL)
    sizes = np.bincount(numbers.ravel())[1:]
    voxels, voxel_mm3 = int(sizes.sum()), float(np.prod(spacing_mm))
    surface = surface_mm2(mask, spacing_mm, plane=plane)
    volume_mm3 = voxels * voxel_mm3
    if plane:
        area, perimeter = volume_mm3 / spacing_mm[0], surface / spacing_mm[0]
        compactness = 4 * np.pi * area / perimeter**2
    else:
        compactness = 36 * np.pi * volume_mm3**2 / surface**3
    return Shape(volume_mm3, int(components), float(sizes.max() / voxels), float(compactness))


def surface_mm2(mask: Mask, spacing_mm: Spacing, *, plane: bool) -> float:
    """Area of the voxel faces between a mask (z, y, x) and what is outside; beyond the array is outside.

    >>> surface_mm2(np.ones((1, 1, 1), dtype=bool), (2.0, 1.0, 1.0), plane=False)
    10.0
    """
    total, voxel_mm3 = 0.0, float(np.prod(spacing_mm))
    for axis in (1, 2) if plane else (0, 1, 2):
        along = np.moveaxis(mask, axis, 0)
        faces = np.count_nonzero(along[1:] != along[:-1]) + np.count_nonzero(along[0]) + np.count_nonzero(along[-1])
        total += int(faces) * voxel_mm3 / spacing_mm[axis]
    return total
