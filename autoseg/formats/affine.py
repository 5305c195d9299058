"""Which of the affines in a NIfTI header is believed, and what is said about the others.

The sform where its code is set, else the qform where its code is set, else the voxel size alone (orientation unknown,
assumed as nibabel does). A form that no grid can have (singular, not finite, voxels of a metre) is passed over. Where
both forms are set and differ, the distance between the corners that they give is told. Lengths in metres and
micrometres become millimetres, unless that gives voxels that nobody can have scanned.
"""

from itertools import product
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError

from autoseg.errors import GeometryError
from autoseg.formats.volume import Repair

LARGEST_SPACING_MM = 500.0
SMALLEST_SPACING_MM = 1e-6
"""Voxel sizes beyond these come from damaged headers; electron microscopes reach 4e-6 mm."""

_UNITS = {1: ("metres", 1e3), 3: ("micrometres", 1e-3)}
_WORTH_TELLING_VOX = 0.01
_SINGULAR = 1e-3  # volume of a voxel with edges of length 1 along the axes


class Affine:
    """What a header says about where its voxels lie.

    Attributes:
        matrix: (4, 4) float64, file index (x, y, z, 1) to world RAS in mm.
        spacing_known: False for a placeholder: no form is set and all voxels have size 1.
        notes, repairs: As in ``Volume``.
    """

    def __init__(self, path: Path, header: nib.AnalyzeHeader, shape: tuple[int, ...]) -> None:
        """Read it.

        Args:
            path: For messages.
            header: Of NIfTI or Analyze.
            shape: Extents along x, y and z at least.

        Raises:
            GeometryError: Nothing in the header places the voxels.
        """
        self.notes: list[str] = []
        self.repairs: list[Repair] = []
        self._shape = shape[:3]
        self._sizes = tuple(float(size) for size in header["pixdim"][1:4])
        stated = _forms(header)
        with np.errstate(all="ignore"):  # what overflows is found to be unusable
            forms = {name: self._completed(matrix) for name, matrix in stated.items()}
            self.matrix = self._converted(self._chosen(path, forms), header)
            self._tell_difference(forms)
        placeholder = all(abs(size - 1.0) <= 1e-6 for size in self._sizes)
        self.spacing_known = bool(stated) or not placeholder

    def _chosen(self, path: Path, forms: dict[str, np.ndarray]) -> np.ndarray:
        for name, matrix in forms.items():
            if _usable(matrix):
                self._compare_sizes(name, matrix)
                return matrix
            self.repairs.append(Repair(f"the {name} is no usable affine", "passed over"))
        sizes = [
            abs(size) if extent > 1 or size else 1.0 for size, extent in zip(self._sizes, self._shape, strict=True)
        ]
        center = [(extent - 1) / 2 for extent in self._shape]
        matrix = np.diag([-sizes[0], sizes[1], sizes[2], 1.0])  # as nibabel: x runs to the left
        matrix[:3, 3] = -matrix[:3, :3] @ center
        if not _usable(matrix):
            raise GeometryError(
                f"{path}: neither sform nor qform nor pixdim {self._sizes} places the voxels; repair the header, "
                "e.g. copy it from the original image"
            )
        if min(self._sizes) < 0:
            self.repairs.append(Repair(f"the voxel size {self._sizes} has negative parts", "taken without their sign"))
        self.notes.append(
            "the header gives no orientation; x is taken to run to the left, y to anterior, z to superior"
        )
        return matrix

    def _completed(self, matrix: np.ndarray) -> np.ndarray:
        """With a direction and 1 mm for an axis of one voxel that has neither, as files of single slices often lack."""
        lengths = np.linalg.norm(matrix[:3, :3], axis=0)
        missing = [axis for axis in range(3) if self._shape[axis] == 1 and lengths[axis] == 0]
        if len(missing) == 1:
            others = matrix[:3, :3] / np.where(lengths > 0, lengths, 1)
            axis = missing[0]
            matrix[:3, axis] = np.cross(others[:, (axis + 1) % 3], others[:, (axis + 2) % 3])
        return matrix

    def _compare_sizes(self, name: str, matrix: np.ndarray) -> None:
        """Say where pixdim is no voxel size at all; the form that is used has one."""
        needed = [size for size, extent in zip(self._sizes, self._shape, strict=True) if extent > 1]
        if all(np.isfinite(size) and SMALLEST_SPACING_MM <= size <= LARGEST_SPACING_MM for size in needed):
            return
        found = " x ".join(f"{size:.4g}" for size in np.linalg.norm(matrix[:3, :3], axis=0))
        self.repairs.append(Repair(f"pixdim gives the voxel size {self._sizes}", f"{found} taken from the {name}"))

    def _converted(self, matrix: np.ndarray, header: nib.AnalyzeHeader) -> np.ndarray:
        code = int(header["xyzt_units"]) % 8 if "xyzt_units" in header else 0
        if code not in _UNITS:
            return matrix
        name, factor = _UNITS[code]
        scaled = np.diag([factor, factor, factor, 1.0]) @ matrix
        if _usable(scaled):
            self.notes.append(f"the header gives lengths in {name}; converted to millimetres")
            return scaled
        self.notes.append(f"the header gives lengths in {name}, which nobody can have scanned; taken as millimetres")
        return matrix

    def _tell_difference(self, forms: dict[str, np.ndarray]) -> None:
        if len(forms) < 2 or not all(_usable(matrix) for matrix in forms.values()):
            return
        first, second = forms.values()
        corners = np.array([(*corner, 1.0) for corner in product(*((0.0, n - 1.0) for n in self._shape))]).T
        apart_mm = float(np.linalg.norm((first - second) @ corners, axis=0).max())
        if apart_mm > _WORTH_TELLING_VOX * float(np.linalg.norm(first[:3, :3], axis=0).min()):
            self.notes.append(f"sform and qform place the corners up to {apart_mm:.3g} mm apart; the sform is used")


def _forms(header: nib.AnalyzeHeader) -> dict[str, np.ndarray]:
    """The forms whose code is set, best first. Analyze has none."""
    if "sform_code" not in header:
        return {}
    forms = {}
    if int(header["sform_code"]) > 0:
        forms["sform"] = header.get_sform().astype(np.float64)
    if int(header["qform_code"]) > 0:
        forms["qform"] = _qform(header)
    return forms


def _qform(header: nib.Nifti1Header) -> np.ndarray:
    try:
        return header.get_qform()
    except (HeaderDataError, ValueError):  # pixdim of 0 or below, or a quaternion longer than 1
        return np.full((4, 4), np.nan)


def _usable(matrix: np.ndarray) -> bool:
    if not np.all(np.isfinite(matrix)):
        return False
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    if np.any(spacing < SMALLEST_SPACING_MM) or np.any(spacing > LARGEST_SPACING_MM):
        return False
    return bool(abs(np.linalg.det(matrix[:3, :3] / spacing)) > _SINGULAR)
