"""Folders of masks for the tests of evaluation."""

from pathlib import Path

import nibabel
import numpy as np

AFFINE = np.diag([-0.8, -0.8, 3.0, 1.0])


def mask(shift: int = 0) -> np.ndarray:
    """Axes (x, y, z), as NIfTI stores them: a block of value 4 with a core of value 7."""
    array = np.zeros((16, 14, 8), dtype=np.uint8)
    array[4 + shift : 12 + shift, 3:11, 2:6] = 4
    array[6 + shift : 8 + shift, 5:8, 3:5] = 7
    return array


def write(folder: Path, name: str, array: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    """A NIfTI file."""
    folder.mkdir(parents=True, exist_ok=True)
    nibabel.Nifti1Image(array, affine).to_filename(folder / name)
    return folder / name


def pairs(root: Path, shifts: tuple[int, ...]) -> tuple[Path, Path]:
    """Predictions, each shifted by some voxels, and references: case_0, case_1, ..."""
    for index, shift in enumerate(shifts):
        write(root / "references", f"case_{index}.nii.gz", mask())
        write(root / "predictions", f"case_{index}.nii.gz", mask(shift))
    return root / "predictions", root / "references"
