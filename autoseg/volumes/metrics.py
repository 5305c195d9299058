"""Agreement of two masks: Dice, normalised surface Dice (NSD) and the 95th percentile Hausdorff distance (HD95).

A *surface voxel* is a mask voxel with a face neighbour outside the mask; the image border counts as outside. Distances
are between voxel centres in mm, from each surface voxel of one mask to the nearest one of the other. Both surfaces
count alike: NSD is the share of all surface voxels within the tolerance, HD95 the larger of the two directed 95th
percentiles. These are MONAI's definitions (``compute_surface_dice``, ``compute_hausdorff_distance``); DeepMind's
``surface-distance`` weighs surface elements by area instead and differs by about a percent.

Empty masks: absent from both, a target has no score (None). Present in one only, Dice and NSD are 0 and HD95, which
would be infinite, is None. (Maier-Hein et al., Metrics Reloaded, Nature Methods 2024, section on empty references.)
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from autoseg.volumes.labels import FACES, Mask, Slices, bounding_slices
from planners.contracts import Spacing


@dataclass(frozen=True)
class Agreement:
    """Scores of one pair of masks; None where undefined (see the module's text)."""

    dice: float | None
    nsd: float | None
    hd95_mm: float | None
    reference_vox: int
    predicted_vox: int


def agreement(reference: Mask, predicted: Mask, spacing_mm: Spacing, tolerance_mm: float, *, plane: bool) -> Agreement:
    """All scores of two masks (z, y, x) on one grid; work is done in the box that holds both.

    Args:
        reference: The truth.
        predicted: What is judged.
        spacing_mm: Size of a voxel.
        tolerance_mm: Surface distance that NSD forgives.
        plane: The image (not just this crop of it) has one slice, which therefore is no surface by itself.
    """
    inside = joint_slices(bounding_slices(reference), bounding_slices(predicted))
    if inside is None:
        return Agreement(None, None, None, 0, 0)
    reference, predicted = reference[inside], predicted[inside]
    sizes = int(np.count_nonzero(reference)), int(np.count_nonzero(predicted))
    if 0 in sizes:
        return Agreement(0.0, 0.0, None, *sizes)
    overlap = int(np.count_nonzero(reference & predicted))
    to_reference, to_predicted = surface_distances(reference, predicted, spacing_mm, plane=plane)
    hd95_mm = max(float(np.percentile(to_reference, 95)), float(np.percentile(to_predicted, 95)))
    return Agreement(
        dice(overlap, *sizes), _within(to_reference, to_predicted, tolerance_mm), hd95_mm, sizes[0], sizes[1]
    )


def dice(overlap: int, reference: int, predicted: int) -> float | None:
    """Dice from voxel counts: twice the overlap over the sum; None if both are empty.

    >>> dice(2, 3, 5), dice(0, 0, 5), dice(0, 0, 0)
    (0.5, 0.0, None)
    """
    total = reference + predicted
    return 2 * overlap / total if total else None


def surface_distances(
    reference: Mask, predicted: Mask, spacing_mm: Spacing, *, plane: bool
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Distances in mm from each predicted surface voxel to the reference's surface, and the other way round.

    Args:
        reference: Not empty, (z, y, x).
        predicted: Not empty, same grid.
        spacing_mm: Size of a voxel.
        plane: The image has one slice.
    """
    reference_surface, predicted_surface = _surface(reference, plane), _surface(predicted, plane)
    to_reference = ndimage.distance_transform_edt(~reference_surface, sampling=spacing_mm)[predicted_surface]
    to_predicted = ndimage.distance_transform_edt(~predicted_surface, sampling=spacing_mm)[reference_surface]
    return to_reference, to_predicted


def joint_slices(first: Slices | None, second: Slices | None) -> Slices | None:
    """The smallest box around two boxes; None stands for an empty one."""
    if first is None or second is None:
        return first or second
    spans = [slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(first, second, strict=True)]
    return (spans[0], spans[1], spans[2])


def _surface(mask: Mask, plane: bool) -> Mask:
    structure = FACES.copy()
    if plane:
        structure[[0, 2]] = False
    eroded: Mask = ndimage.binary_erosion(mask, structure)
    return mask & ~eroded


def _within(to_reference: npt.NDArray[np.float64], to_predicted: npt.NDArray[np.float64], tolerance_mm: float) -> float:
    close = np.count_nonzero(to_reference <= tolerance_mm) + np.count_nonzero(to_predicted <= tolerance_mm)
    return float(close / (len(to_reference) + len(to_predicted)))
