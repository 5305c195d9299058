"""Tiny image files made for a test."""

from pathlib import Path

import nibabel
import numpy as np
from PIL import Image


def nifti(path: Path, array_xyz: np.ndarray, affine: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) if affine is None else affine
    nibabel.Nifti1Image(array_xyz, affine, dtype=array_xyz.dtype).to_filename(path)
    return path


def png(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def noise(seed: int = 0, shape: tuple[int, ...] = (12, 10, 8)) -> np.ndarray:
    return np.random.default_rng(seed).normal(100, 20, shape).astype(np.float32)


def ball(value: int = 1, shape: tuple[int, ...] = (12, 10, 8), dtype: type = np.uint8) -> np.ndarray:
    """A box of 3 voxels along each axis, so 27 (or 9) voxels, from index 2 on."""
    label = np.zeros(shape, dtype)
    label[tuple(slice(2, 5) for _ in shape)] = value
    return label


def folder_of_pairs(root: Path, cases: int = 6) -> Path:
    """``images/`` and ``masks/`` with volumes case_0 ... of one label."""
    for number in range(cases):
        nifti(root / "images" / f"case_{number}.nii.gz", noise(number))
        nifti(root / "masks" / f"case_{number}.nii.gz", ball())
    return root
