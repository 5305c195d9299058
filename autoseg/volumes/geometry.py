"""Where voxels lie in the patient, and how a file's axes become the canonical ones and back.

A ``Grid`` ties array indices ``(z, y, x)`` to world coordinates in mm, LPS (x grows to the patient's Left, y to
Posterior, z to Superior, as in DICOM and ITK). *Canonical* means that array axis z runs closest to Superior, y to
Posterior and x to Left. ``canonicalize`` only permutes and flips axes, never interpolates, so ``restore`` undoes it
exactly, whatever the orientation (48 of them) and however oblique the scan.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Literal

import numpy as np
from scipy import ndimage

from planners.contracts import Shape, Spacing

SAME_VOX = 1e-3
"""Grids whose corners lie this close are the same grid: rounding in a header."""
OFFSET_VOX = 0.5
"""Grids of one shape and spacing whose corners lie this close are taken as one, voxel for voxel."""
SPACING_TOLERANCE = 0.01
"""Relative difference below which two spacings count as equal in the rule above, whose limit on the corners is the
stricter one in all but the smallest volumes: it holds what such a difference adds up to over the whole extent."""
RESAMPLE_OVERLAP = 0.9
"""Boxes whose intersection over union reaches this describe the same piece of space on different grids."""

TOLERATED_SHEAR_DEG = 0.5
"""Axes that are this close to right angles are taken as upright: the farthest voxel of a head moves by 1 mm."""

_NO_TIE_VOX = 1e-4  # shears of just half a voxel per slice are common; rounding must go one way there and back
_SAMPLES_PER_AXIS = 48  # points at which the overlap of two boxes is measured; error below 1 %
_CODES = {(0, 1): "L", (0, -1): "R", (1, 1): "P", (1, -1): "A", (2, 1): "S", (2, -1): "I"}


@dataclass(frozen=True)
class Grid:
    """A lattice of voxels in world space.

    Attributes:
        shape: Voxels along the array axes (z, y, x).
        affine: (4, 4) float64; maps the array index (z, y, x, 1) of a voxel to its centre's world LPS position in mm.
    """

    shape: Shape
    affine: np.ndarray

    @property
    def spacing_mm(self) -> Spacing:
        """Voxel size along the array axes (z, y, x)."""
        z, y, x = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(z), float(y), float(x)

    @property
    def voxel_mm3(self) -> float:
        """Volume of a voxel; with a shear this is less than the product of the spacings."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    @property
    def origin_mm(self) -> tuple[float, float, float]:
        """World LPS position (x, y, z) of the first voxel's centre."""
        x, y, z = self.affine[:3, 3]
        return float(x), float(y), float(z)

    @property
    def orientation(self) -> str:
        """Where the file's x, y and z axes point, as nibabel says it, e.g. ``"RAS"``.

        >>> canonical = Grid((2, 3, 4), canonical_affine((1.0, 1.0, 1.0)))
        >>> canonical.orientation
        'LPS'
        """
        return "".join(_CODES[self.axes[index]] for index in (2, 1, 0))

    @cached_property
    def axes(self) -> tuple[tuple[int, int], ...]:
        """World axis and direction of each array axis, see ``closest_axes``."""
        return closest_axes(self.affine)


@dataclass(frozen=True)
class Reorientation:
    """How an array became canonical: canonical axis i is file axis ``permutation[i]``, reversed if ``flips[i]``."""

    permutation: tuple[int, int, int]
    flips: tuple[bool, bool, bool]


@dataclass(frozen=True)
class Agreement:
    """How well a label's grid fits its image's.

    Attributes:
        kind: ``same``: use index for index. ``offset``: use index for index, and say so. ``resample``: same piece of
            space on another grid. ``different``: not the same piece of space.
        offset_vox: Largest displacement of the corner voxels, in image voxels; infinite if the shapes differ.
        overlap: Intersection over union of the two boxes in world space, 0 to 1.
        stretch: Largest relative difference of the voxel sizes.
        stretch_vox: What that amounts to over the whole extent, in image voxels.
    """

    kind: Literal["same", "offset", "resample", "different"]
    offset_vox: float
    overlap: float
    stretch: float = 0.0
    stretch_vox: float = 0.0


def canonical_affine(spacing_mm: Spacing) -> np.ndarray:
    """The affine of a canonical, axis-aligned grid with its first voxel at the origin."""
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = *spacing_mm, 1.0
    return affine


def closest_axes(affine: np.ndarray) -> tuple[tuple[int, int], ...]:
    """The world axis (0 L, 1 P, 2 S) and direction (+1, -1) that each array axis runs along, each world axis once.

    Shear is taken out first (nearest rotation by SVD); then the axis that fits best chooses first, as nibabel does.
    """
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    left, _, right = np.linalg.svd(directions)
    cosines = left @ right
    axes = [(0, 1)] * 3
    free = np.abs(cosines)
    for array_axis in np.argsort(np.min(-(cosines**2), axis=0), kind="stable"):
        world_axis = int(np.argmax(free[:, array_axis]))
        axes[int(array_axis)] = (world_axis, 1 if cosines[world_axis, array_axis] >= 0 else -1)
        free[world_axis] = -1.0
    return tuple(axes)


def canonical(grid: Grid) -> tuple[Grid, Reorientation]:
    """The canonical grid of the same voxels, and the way there."""
    axes = grid.axes
    world_axes = [world_axis for world_axis, _ in axes]
    permutation = (world_axes.index(2), world_axes.index(1), world_axes.index(0))
    flips = (axes[permutation[0]][1] < 0, axes[permutation[1]][1] < 0, axes[permutation[2]][1] < 0)
    affine = grid.affine[:, [*permutation, 3]].copy()
    shape = (grid.shape[permutation[0]], grid.shape[permutation[1]], grid.shape[permutation[2]])
    for axis in range(3):
        if flips[axis]:
            affine[:, 3] += affine[:, axis] * (shape[axis] - 1)
            affine[:, axis] *= -1.0
    return Grid(shape, affine), Reorientation(permutation, flips)


def canonicalize(array: np.ndarray, grid: Grid) -> tuple[np.ndarray, Grid, Reorientation]:
    """Bring an array to canonical axes without copying it.

    Args:
        array: (C, z, y, x) in file order.
        grid: Of the file.

    Returns:
        A view (C, z, y, x) of the array, its canonical grid, and what ``restore`` needs.
    """
    target, reorientation = canonical(grid)
    moved = array.transpose(0, *(axis + 1 for axis in reorientation.permutation))
    z, y, x = _steps(reorientation)
    return moved[:, z, y, x], target, reorientation


def restore(array: np.ndarray, reorientation: Reorientation) -> np.ndarray:
    """Undo ``canonicalize``: a view of (..., z, y, x) with the file's axis order and directions."""
    leading = array.ndim - 3
    z, y, x = _steps(reorientation)
    flipped = array[..., z, y, x]
    back = np.argsort(reorientation.permutation)
    return flipped.transpose(*range(leading), *(int(axis) + leading for axis in back))


def as_stored(array: np.ndarray) -> np.ndarray:
    """The same values in the order in which they lie in memory: a view with axes permuted and turned.

    What counts or compares values wants them so; a canonical view of a file that runs the other way would be copied.

    >>> turned = np.arange(6).reshape(2, 3)[::-1, ::-1].T
    >>> as_stored(turned).ravel().tolist()
    [0, 1, 2, 3, 4, 5]
    """
    ascending = array[tuple(slice(None, None, -1 if step < 0 else 1) for step in array.strides)]
    return ascending.transpose(sorted(range(array.ndim), key=lambda axis: -ascending.strides[axis]))


def _steps(reorientation: Reorientation) -> tuple[slice, slice, slice]:
    z, y, x = (slice(None, None, -1 if flip else 1) for flip in reorientation.flips)
    return z, y, x


def compare(image: Grid, label: Grid) -> Agreement:
    """Do a label and its image lie on one grid?

    Both are made canonical first, so files may store their axes in different orders and still be the same grid:
    canonicalize each by its own grid before going index for index.
    """
    image, label = canonical(image)[0], canonical(label)[0]
    ratios = np.abs(np.array(label.spacing_mm) / np.array(image.spacing_mm) - 1.0)
    stretch, stretch_vox = float(ratios.max()), float((ratios * (np.array(image.shape) - 1)).max())
    offset_vox = _corner_displacement_vox(image, label) if image.shape == label.shape else float("inf")
    overlap = 1.0 if offset_vox <= SAME_VOX else _overlap(image, label)
    if offset_vox <= SAME_VOX:
        return Agreement("same", offset_vox, 1.0, stretch, stretch_vox)  # by far the most; overlaps take their time
    overlap = _overlap(image, label)
    kind: Literal["offset", "resample", "different"] = "resample" if overlap >= RESAMPLE_OVERLAP else "different"
    if offset_vox <= OFFSET_VOX and stretch <= SPACING_TOLERANCE:
        kind = "offset"
    return Agreement(kind, offset_vox, overlap, stretch, stretch_vox)


def _corner_displacement_vox(image: Grid, label: Grid) -> float:
    """Largest distance between corresponding corner voxels, per axis of the image, in image voxels."""
    corners = np.array([(*corner, 1.0) for corner in product(*((0.0, n - 1.0) for n in image.shape))]).T
    moved = np.linalg.solve(image.affine, label.affine @ corners)
    return float(np.abs(moved - corners)[:3].max())


def _overlap(image: Grid, label: Grid) -> float:
    """Intersection over union of the boxes, outer voxel edges included, from a lattice of points in the label's box."""
    fractions = (np.arange(_SAMPLES_PER_AXIS) + 0.5) / _SAMPLES_PER_AXIS
    axes = [fractions * n - 0.5 for n in label.shape]
    points = np.stack(np.meshgrid(*axes, indexing="ij")).reshape(3, -1)
    to_image = np.linalg.solve(image.affine, label.affine)
    indices = to_image[:3, :3] @ points + to_image[:3, 3:]
    limits = np.array(image.shape)[:, None] - 0.5
    inside = float(np.mean(np.all((indices >= -0.5) & (indices <= limits), axis=0)))
    label_mm3, image_mm3 = _volume_mm3(label), _volume_mm3(image)
    shared_mm3 = min(inside * label_mm3, image_mm3)
    return shared_mm3 / (label_mm3 + image_mm3 - shared_mm3)


def _volume_mm3(grid: Grid) -> float:
    return grid.voxel_mm3 * float(np.prod(grid.shape))


def resample_onto(
    array: np.ndarray, source: Grid, target: Grid, nearest: bool, outside: float | None = None
) -> np.ndarray:
    """Look an array up at the voxel centres of another grid.

    Args:
        array: (C, z, y, x) on ``source``.
        source: Grid of the array.
        target: Grid wanted.
        nearest: True for labels: nearest voxel. False for images: linear.
        outside: Value outside the source; None: 0 for labels, edge values for images.

    Returns:
        (C, z, y, x) on ``target``: in the array's dtype if nearest, else float32.
    """
    to_source = np.linalg.solve(source.affine, target.affine)
    out = np.empty((len(array), *target.shape), array.dtype if nearest else np.float32)
    for channel, result in zip(array, out, strict=True):
        ndimage.affine_transform(
            channel if nearest else channel.astype(np.float32),
            to_source[:3, :3],
            to_source[:3, 3],
            target.shape,
            output=result,
            order=0 if nearest else 1,
            mode="nearest" if outside is None and not nearest else "grid-constant",
            cval=outside or 0.0,
            prefilter=False,
        )
    return out


def shear_deg(grid: Grid) -> float:
    """How far the axes are from right angles at most, in degrees.

    >>> tilted = canonical_affine((1.0, 1.0, 1.0)); tilted[1, 0] = np.tan(np.radians(20))
    >>> round(shear_deg(Grid((2, 2, 2), tilted)), 6)
    20.0
    """
    directions = grid.affine[:3, :3] / np.linalg.norm(grid.affine[:3, :3], axis=0)
    cosines = (directions.T @ directions)[np.triu_indices(3, 1)]
    return float(np.degrees(np.arcsin(np.clip(np.abs(cosines).max(), 0.0, 1.0))))


def upright(grid: Grid) -> Grid:
    """The smallest grid with axes at right angles that holds every voxel of a canonical grid with a shear.

    The plane of the two finest axes, and the direction of the finest, stay as they are, so that the slices of a tilted
    CT are only shifted against each other; the coarsest axis becomes the normal, with the slices' true distance.
    """
    order = np.argsort(np.round(grid.spacing_mm, 6)[::-1], kind="stable")  # of equal ones x, then y
    axes = [2 - int(axis) for axis in order]
    rotation, steps = np.linalg.qr(grid.affine[:3, axes])
    affine = np.eye(4)
    affine[:3, axes] = rotation * np.diag(steps)  # what is left of each axis, pointing where it pointed
    corners = np.array([(*corner, 1.0) for corner in product(*((0.0, n - 1.0) for n in grid.shape))]).T
    affine[:3, 3] = grid.affine[:3, 3]
    indices = np.linalg.solve(affine, grid.affine @ corners)[:3]
    low, high = np.floor(indices.min(axis=1) + SAME_VOX), np.ceil(indices.max(axis=1) - SAME_VOX)
    affine[:3, 3] = (affine @ [*(low + _off_ties(grid.affine, affine, axes)), 1.0])[:3]
    z, y, x = (int(extent) + 1 for extent in high - low)
    return Grid((z, y, x), affine)


def _off_ties(sheared: np.ndarray, upright: np.ndarray, axes: list[int]) -> np.ndarray:
    """A shift (z, y, x) of the upright grid, in voxels, off which no voxel lies in the middle of two.

    Looking up sheared voxels must round to one side along every axis and looking up upright ones to the other, or a
    label would not come back. A shift across slices is a shift along them too, as the shear says, which the shift along
    them has to outweigh.

    Args:
        sheared: Affine of the grid with a shear.
        upright: Affine of the upright one.
        axes: The finest first.
    """
    to_sheared = np.abs(np.linalg.solve(sheared, upright)[:3, :3])
    shift = np.zeros(3)
    for axis in reversed(axes):
        shift[axis] = _NO_TIE_VOX + to_sheared[axis] @ shift
    return shift
