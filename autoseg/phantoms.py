"""Small made-up data sets with known answers: what ``autoseg demo`` runs on, and what the tests trust.

Each volume shows an ellipsoid (*organ*) with a brighter ball inside (*lesion*) on a noisy, shaded background. Position,
size and contrast vary by case, so that there is something to learn, yet a small network learns it in a minute.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from planners.contracts import Shape, Spacing

Kind = Literal["exclusive", "regions", "ignore"]

ORGAN, LESION, IGNORE = 1, 2, 3


@dataclass(frozen=True)
class Phantom:
    """One made-up case: ``image`` (C, z, y, x) float32, ``label`` (z, y, x) uint8 with the values above."""

    image: np.ndarray
    label: np.ndarray
    spacing_mm: Spacing


def phantom(
    seed: int, shape: Shape = (20, 28, 24), *, channels: int = 1, spacing_mm: Spacing = (1.0, 1.0, 1.0)
) -> Phantom:
    """Make one case; the same seed always gives the same case.

    >>> made = phantom(3)
    >>> made.image.shape, sorted(set(made.label.ravel().tolist()))
    ((1, 20, 28, 24), [0, 1, 2])
    """
    generator = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in shape), indexing="ij"))
    center = generator.uniform(-0.2, 0.2, 3)
    radii = generator.uniform(0.45, 0.65, 3)
    distance = np.sqrt((((grid - center[:, None, None, None]) / radii[:, None, None, None]) ** 2).sum(0))
    inner = center + generator.uniform(-0.15, 0.15, 3)
    ball = np.sqrt(((grid - inner[:, None, None, None]) ** 2).sum(0)) < generator.uniform(0.22, 0.3)
    label = np.where(ball, LESION, np.where(distance < 1, ORGAN, 0)).astype(np.uint8)
    contrast = generator.uniform(0.8, 1.2)
    tissue = np.choose(label, (0.2, 1.0, 1.8)) * contrast + 0.15 * grid[2]
    image = np.stack([tissue * (1 + 0.3 * c) + generator.normal(0, 0.15, shape) for c in range(channels)])
    return Phantom((100 * image).astype(np.float32), label, spacing_mm)


def write_msd(
    folder: Path,
    cases: int = 8,
    shape: Shape = (20, 28, 24),
    *,
    channels: int = 1,
    spacing_mm: Spacing = (1.0, 1.0, 1.0),
    seed: int = 0,
) -> dict[str, Phantom]:
    """Write a Medical Segmentation Decathlon folder with exclusive labels; several channels make 4D images."""
    made = {
        f"phantom_{i:03d}": phantom(1000 * seed + i, shape, channels=channels, spacing_mm=spacing_mm)
        for i in range(cases)
    }
    for name, case in made.items():
        image = case.image[0] if channels == 1 else case.image
        _write_nifti(folder / "imagesTr" / f"{name}.nii.gz", image.T, case.spacing_mm)
        _write_nifti(folder / "labelsTr" / f"{name}.nii.gz", case.label.T, case.spacing_mm)
    _write_json(
        folder,
        {
            "name": "Phantoms",
            "modality": {str(c): f"MRI{c}" for c in range(channels)},
            "labels": {"0": "background", "1": "organ", "2": "lesion"},
            "numTraining": cases,
            "training": [{"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"} for name in made],
        },
    )
    return made


def write_nnunet(
    folder: Path,
    cases: int = 8,
    shape: Shape = (20, 28, 24),
    *,
    kind: Kind = "exclusive",
    channels: int = 1,
    seed: int = 0,
) -> dict[str, Phantom]:
    """Write an nnU-Net raw folder: exclusive labels, nested regions, or labels with unannotated slabs."""
    labels: dict[str, object] = {"background": 0, "organ": ORGAN, "lesion": LESION}
    if kind == "regions":
        labels = {"background": 0, "whole": [ORGAN, LESION], "core": [LESION]}
    elif kind == "ignore":
        labels["ignore"] = IGNORE
    made = {}
    for i in range(cases):
        case = phantom(1000 * seed + i, shape, channels=channels)
        if kind == "ignore":
            case.label[: shape[0] // 4] = IGNORE  # a slab that nobody annotated
        made[f"phantom_{i:03d}"] = case
    for name, case in made.items():
        for c in range(channels):
            _write_nifti(folder / "imagesTr" / f"{name}_{c:04d}.nii.gz", case.image[c].T, case.spacing_mm)
        _write_nifti(folder / "labelsTr" / f"{name}.nii.gz", case.label.T, case.spacing_mm)
    declared: dict[str, object] = {
        "channel_names": {str(c): f"T{c + 1}" for c in range(channels)},
        "labels": labels,
        "numTraining": cases,
        "file_ending": ".nii.gz",
    }
    if kind == "regions":
        declared["regions_class_order"] = [ORGAN, LESION]
    _write_json(folder, declared)
    return made


def write_pairs(folder: Path, cases: int = 8, size: tuple[int, int] = (64, 72), *, seed: int = 0) -> dict[str, Phantom]:
    """Write a bare folder of PNG pairs, ``images/`` and ``masks/`` with 255 as the only label."""
    from PIL import Image

    made = {f"slide_{i:03d}": phantom(1000 * seed + i, (1, *size)) for i in range(cases)}
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for name, case in made.items():
        grey = np.clip(case.image[0, 0] + 20, 0, 255).astype(np.uint8)
        Image.fromarray(np.stack([grey] * 3, -1)).save(folder / "images" / f"{name}.png")
        Image.fromarray((case.label[0] > 0).astype(np.uint8) * 255).save(folder / "masks" / f"{name}.png")
    return made


def _write_nifti(path: Path, array_xyz: np.ndarray, spacing_mm: Spacing) -> None:
    import nibabel

    path.parent.mkdir(parents=True, exist_ok=True)
    # LPS canonical order: file axes x, y grow to Left and Posterior, which NIfTI's RAS world counts downwards
    affine = np.diag([-spacing_mm[2], -spacing_mm[1], spacing_mm[0], 1.0])
    nibabel.Nifti1Image(array_xyz, affine).to_filename(path)


def _write_json(folder: Path, content: dict[str, object]) -> None:
    (folder / "dataset.json").write_text(json.dumps(content, indent=1))
