"""Distances between the surfaces of two masks: NSD, HD95, HD and ASSD, all from one set of distances.

A *surface voxel* is a mask voxel with a face neighbour outside the mask; the image border counts as outside. Distances
are between voxel centres in mm, from each surface voxel of one mask to the nearest one of the other. These are MONAI's
definitions; DeepMind's ``surface-distance`` weighs surface elements by area instead and differs by about a percent.

A surface is thin, so a k-d tree of it is asked rather than a distance made for every voxel of the box: three to ten
times faster for organs and lesions. Where surfaces fill the box, as in noise, the distance transform is faster and is
taken. Both give the same numbers.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import cKDTree

from autoseg.volumes.labels import Mask
from planners.contracts import Spacing

MillimetreArray = npt.NDArray[np.float64]

_VOXELS_PER_POINT = 6
"""One look into the tree, building included, takes about as long as a distance transform of so many voxels."""


@dataclass(frozen=True, eq=False)
class Distances:
    """Between the surfaces of two masks, in mm; without entries, both, where either mask is empty.

    Attributes:
        to_reference: (N,) from each surface voxel of the prediction to the reference's surface.
        to_predicted: (M,) from each surface voxel of the reference to the prediction's surface.
    """

    to_reference: MillimetreArray
    to_predicted: MillimetreArray

    def within(self, tolerance_mm: float) -> float:
        """Normalised surface Dice (NSD): the share of all surface voxels, of both masks, within the tolerance.

        Nikolov et al., Journal of Medical Internet Research 23(7), 2021. No surface on one side: 0.
        """
        close = sum(int(np.count_nonzero(side <= tolerance_mm)) for side in (self.to_reference, self.to_predicted))
        return close / self._points if self._points else 0.0

    def hausdorff_mm(self, percentile: float = 100.0) -> float | None:
        """The larger of the two directed percentiles: 100 is the Hausdorff distance, 95 its usual robust form."""
        if not self._points:
            return None
        sides = self.to_reference, self.to_predicted
        return max(float(side.max() if percentile == 100 else np.percentile(side, percentile)) for side in sides)

    def average_mm(self) -> float | None:
        """Average symmetric surface distance (ASSD): the mean over all surface voxels of both masks."""
        if not self._points:
            return None
        return float(self.to_reference.sum() + self.to_predicted.sum()) / self._points

    @property
    def _points(self) -> int:
        return len(self.to_reference) + len(self.to_predicted)


def distances(reference: Mask, predicted: Mask, spacing_mm: Spacing, *, plane: bool) -> Distances:
    """Distances between the surfaces of two masks (z, y, x) on one grid.

    Args:
        reference: The truth.
        predicted: What is judged.
        spacing_mm: Size of a voxel.
        plane: The image has one slice, which therefore is no surface by itself.
    """
    surfaces = surface(reference, plane=plane), surface(predicted, plane=plane)
    sizes = [int(np.count_nonzero(each)) for each in surfaces]
    if 0 in sizes:
        return Distances(np.zeros(0), np.zeros(0))
    directed = _by_tree if _VOXELS_PER_POINT * sum(sizes) < 2 * reference.size else _by_transform
    return Distances(
        to_reference=directed(surfaces[1], surfaces[0], spacing_mm),
        to_predicted=directed(surfaces[0], surfaces[1], spacing_mm),
    )


def surface(mask: Mask, *, plane: bool) -> Mask:
    """The surface voxels of a mask (z, y, x); of a plane, its outline."""
    inner = mask.copy()
    for axis in (1, 2) if plane else (0, 1, 2):
        along, inside = mask.swapaxes(0, axis), inner.swapaxes(0, axis)
        inside[1:] &= along[:-1]
        inside[:-1] &= along[1:]
        inside[0] = inside[-1] = False
    return mask & ~inner


def _by_tree(origin: Mask, target: Mask, spacing_mm: Spacing) -> MillimetreArray:
    """Distance of each origin voxel to the nearest target voxel, in array order. Shared voxels need no search."""
    apart = ~target[origin]
    found = np.zeros(len(apart))
    if not apart.any():
        return found
    asked, places = np.argwhere(origin)[apart], np.argwhere(target)
    tree = cKDTree(places * np.asarray(spacing_mm), balanced_tree=False, compact_nodes=False)
    _, nearest = tree.query(asked * np.asarray(spacing_mm))
    steps = (asked - places[nearest]) * np.asarray(spacing_mm)  # from whole voxels: two of 0.7 mm are within 1.4 mm
    found[apart] = np.sqrt(np.square(steps).sum(axis=1))
    return found


def _by_transform(origin: Mask, target: Mask, spacing_mm: Spacing) -> MillimetreArray:
    """The same from the distance transform of the whole box."""
    measured: MillimetreArray = ndimage.distance_transform_edt(~target, sampling=spacing_mm)[origin]
    return measured
