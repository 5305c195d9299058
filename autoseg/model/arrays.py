"""What the axes of a user's array mean: from bare arrays to canonical volumes and back.

An orientation is a three-letter code, one letter per axis in the order x, y, z (last axis of the array first). It says
towards which side of the body the index grows: Left or Right, Posterior or Anterior, Superior or Inferior. ``"LPS"`` is
the order of DICOM and ITK, ``"RAS"`` that of many NIfTI files (what ``nibabel.aff2axcodes`` returns for them). Beware
that nibabel's arrays are indexed (x, y, z): transpose them before predicting.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from autoseg.contracts import LabelSet
from autoseg.errors import UsageError
from autoseg.volumes.geometry import Grid, Reorientation, canonicalize, restore
from planners.contracts import Shape, Spacing

Image = npt.NDArray[Any]

_AXIS = {"L": (0, 1.0), "R": (0, -1.0), "P": (1, 1.0), "A": (1, -1.0), "S": (2, 1.0), "I": (2, -1.0)}
_SIDE = re.compile(r"(?<![a-z])(left|right|lt|rt|l|r)(?![a-z])")
_OTHER = {"left": "right", "right": "left", "lt": "rt", "rt": "lt", "l": "r", "r": "l"}


@dataclass(frozen=True)
class CanonicalArray:
    """A user's array on the canonical grid.

    Attributes:
        image: (C, z, y, x), axes growing to Superior, Posterior, Left.
        spacing_mm: Of the canonical axes.
        planar: The user gave an image without a z axis.
    """

    image: Image
    spacing_mm: Spacing
    planar: bool
    _reorientation: Reorientation

    def restore(self, volume: Image) -> Image:
        """Bring a result (..., z, y, x) back onto the axes of the user's array."""
        restored = np.asarray(restore(volume, self._reorientation))
        return restored[..., 0, :, :] if self.planar else restored


def to_canonical(
    array: Image, spacing_mm: tuple[float, ...], orientation: str, *, channels: int, planar_model: bool
) -> CanonicalArray:
    """Interpret a user's array.

    Args:
        array: (C, z, y, x) or (z, y, x); a model of plane images also takes (C, y, x) and (y, x).
        spacing_mm: Voxel size along (z, y, x), or (y, x) for a plane image.
        orientation: Three letters, see above.
        channels: How many the model needs; an array without a channel axis has one.
        planar_model: The model is one of plane images.

    Raises:
        UsageError: Array, spacing or orientation do not fit the model or each other.
    """
    if array.dtype.kind not in "buif":
        raise UsageError(f"an image of {array.dtype} values; the model needs real numbers")
    volume, planar = _with_all_axes(array, channels, planar_model)
    if len(volume) != channels:
        raise UsageError(f"the image has {len(volume)} channels, shape {array.shape}; the model needs {channels}")
    if volume.size == 0:
        raise UsageError(f"the image is empty, shape {array.shape}")
    if planar_model and volume.shape[1] != 1:
        raise UsageError(
            f"the model segments plane images; this one has {volume.shape[1]} slices: pass them one by one"
        )
    shape = volume.shape[1:]
    grid = Grid(shape=shape, affine=_affine(_three(spacing_mm, planar), orientation))
    canonical, canonical_grid, reorientation = canonicalize(volume, grid)
    return CanonicalArray(canonical, canonical_grid.spacing_mm, planar, reorientation)


def reorientation(orientation: str) -> Reorientation:
    """What ``canonicalize`` does to arrays of an orientation, e.g. ``"RAS"``.

    Raises:
        UsageError: The code is none.
    """
    one_voxel: Shape = (1, 1, 1)
    return canonicalize(np.zeros((1, *one_voxel)), Grid(one_voxel, _affine((1.0, 1.0, 1.0), orientation)))[2]


def has_sides(labels: LabelSet) -> bool:
    """Whether two names differ in left and right only, so that a mirrored image would give a wrong mask.

    >>> from autoseg.contracts import Label
    >>> pair = Label(name="kidney_left", value=1), Label(name="kidney_right", value=2)
    >>> has_sides(LabelSet(labels=pair)), has_sides(LabelSet(labels=pair[:1]))
    (True, False)
    """
    names = {label.name.lower() for label in labels.labels} | {region.name.lower() for region in labels.regions}
    mirrored = {_SIDE.sub(lambda side: _OTHER[side.group()], name) for name in names if _SIDE.search(name)}
    return bool(names & mirrored)


def _with_all_axes(array: Image, channels: int, planar_model: bool) -> tuple[Image, bool]:
    """The array as (C, z, y, x), and whether it came without a z axis."""
    if array.ndim == 4:
        return array, False
    if planar_model and array.ndim == 2:
        return array[None, None], True
    if planar_model and array.ndim == 3 and (channels > 1 or len(array) == 1):
        return array[:, None], True
    if array.ndim == 3 and not planar_model:
        return array[None], False
    wanted = "(y, x) or (C, y, x)" if planar_model else "(z, y, x) or (C, z, y, x)"
    raise UsageError(f"cannot read an array of shape {array.shape}: the model needs {wanted} with C = {channels}")


def _three(spacing_mm: tuple[float, ...], planar: bool) -> Spacing:
    spacing = tuple(float(step) for step in spacing_mm)
    if planar and len(spacing) == 2:
        spacing = (1.0, *spacing)
    if len(spacing) != 3 or not all(np.isfinite(step) and step > 0 for step in spacing):
        raise UsageError(
            f"spacing_mm={spacing_mm}: expected positive millimetres along {'(y, x)' if planar else '(z, y, x)'}"
        )
    return (spacing[0], spacing[1], spacing[2])


def _affine(spacing_mm: Spacing, orientation: str) -> npt.NDArray[np.float64]:
    """Index (z, y, x) -> world LPS mm, for an array at the origin."""
    known = [_AXIS[letter] for letter in orientation.upper() if letter in _AXIS]
    if len(orientation) != 3 or sorted(world for world, _ in known) != [0, 1, 2]:
        raise UsageError(
            f"orientation={orientation!r}: expected one letter each of L/R, P/A and S/I for the x, y and z axis, "
            "e.g. 'LPS' or 'RAS'"
        )
    affine = np.zeros((4, 4))
    affine[3, 3] = 1.0
    for axis, (world, sign) in enumerate(reversed(known)):
        affine[world, axis] = sign * spacing_mm[axis]
    return affine
