"""Folders for tests, stated as a compact tree: one file per line, masks marked by ``#``, ``{a,b}`` for several."""

import itertools
import re
from pathlib import Path

import numpy as np
from PIL import Image

from autoseg import formats
from tests.made import ball, nifti, noise


def make(root: Path, tree: str) -> Path:
    """Write tiny images (noise) and masks (a box) as ``tree`` says; other files get some text."""
    for number, (name, mask) in enumerate(files(tree)):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        suffix = formats.suffix(path)
        if suffix in (".nii.gz", ".nii"):
            nifti(path, ball() if mask else noise(number))
        elif suffix in (".mhd", ".mha", ".nrrd"):
            _itk(path, ball() if mask else noise(number))
        elif suffix:
            _picture(path, mask, number)
        else:
            path.write_text("text")
    return root


def files(tree: str) -> list[tuple[str, bool]]:
    """Paths of a tree, and whether they are masks."""
    lines = [line.strip() for line in tree.strip().splitlines()]
    return [(name, "#" in line) for line in lines for name in _expanded(line.replace("#", "").strip())]


def read(found) -> dict[str, tuple]:
    """Cases as ``{name: (image, ..., "->", label, ...)}``."""
    return {case.case: (*case.images, "->", *case.label_files) for case in found.cases}


def _expanded(line: str) -> list[str]:
    parts = [part.split(",") if number % 2 else [part] for number, part in enumerate(re.split(r"[{}]", line))]
    return ["".join(chosen) for chosen in itertools.product(*parts)]


def _itk(path: Path, array: np.ndarray) -> None:
    import SimpleITK

    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(array), str(path))


def _picture(path: Path, mask: bool, number: int) -> None:
    shown = noise(number, (48, 40)).clip(0, 255).astype(np.uint8)
    Image.fromarray(ball(255, (48, 40)) if mask else np.stack([shown] * 3, -1)).save(path)
