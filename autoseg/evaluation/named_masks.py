"""Masks of one case by the name of what they show, from whatever files, on one grid: DICOM structures against voxels.

Structures of DICOM files have names. Values of other files are named by the file, by a ``dataset.json`` or a table of
names beside it, else ``label_1``, ... as everywhere in autoseg.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from autoseg import formats
from autoseg.errors import GeometryError, LabelError
from autoseg.evaluation.mask_pairs import Masks
from autoseg.formats import Structures, Volume
from autoseg.formats.volume import channel_names
from autoseg.labelling import as_whole_numbers, count_values
from autoseg.layouts import declaration, label_names
from autoseg.layouts.tree import Tree
from autoseg.volumes import geometry
from autoseg.volumes.geometry import Grid
from autoseg.volumes.labels import Mask

_MOST_VALUES = 256  # more different values than this are an image, not labels
_LONGEST_NAME = 64  # DICOM keeps no more of a name


@dataclass(frozen=True)
class Named:
    """Masks on a canonical grid.

    Attributes:
        masks: By name, made when called for: (z, y, x).
        notes: What was odd about the files.
    """

    masks: Mapping[str, Callable[[], Mask]]
    notes: tuple[str, ...] = ()


def common_grid(prediction: Masks, reference: Masks) -> Volume:
    """What both are brought onto: the image, the one that is voxels, or all that two DICOM-SEGs cover.

    Raises:
        GeometryError: Only contours are given, which have no grid.
    """
    image = reference.image or prediction.image
    if image is not None:
        return formats.read(image)
    voxels = next((masks.file for masks in (reference, prediction) if not masks.named), None)
    if voxels is not None:
        return formats.read(voxels, mask=True)
    from autoseg.formats.dicom import lattice

    files = [masks.file for masks in (reference, prediction) if formats.holds_segments(masks.file)]
    if not files:
        raise GeometryError(
            f"{prediction.file} and {reference.file}: contours have no voxels to compare; expected the image that they "
            "were drawn on, in the folder of the references; or a mask on either side"
        )
    grid = lattice.spanned(files)
    return Volume(np.zeros((1, 0, 0, 0), np.uint8), grid, True, "", channel_names(1))


def of(masks: Masks, like: Volume, *, strict: bool) -> Named:
    """The masks of a case.

    Args:
        masks: Where they are.
        like: Has the grid they are brought onto.
        strict: All must lie on the grid; else what does not is resampled or left out, and noted.

    Raises:
        GeometryError: They lie elsewhere.
        LabelError: Values are no labels.
        UnreadableFile: A file cannot be read.
    """
    found: dict[str, Callable[[], Mask]] = {}
    notes: list[str] = []
    for file in dict.fromkeys(masks.case.label_files):
        wanted = {each.name for each in masks.case.structures if each.file == file}
        path = masks.root / file
        if formats.holds_structures(path):
            structures = formats.read_structures(path, like)
            _require_on_grid(path, structures, strict=strict)
            notes += [f"{file}: {note}" for note in structures.notes]
            made: dict[str, Callable[[], Mask]] = {
                name: partial(_canonical, drawn.dense, like.grid)
                for name, drawn in zip(structures.names, structures.drawn, strict=True)
                if not wanted or name in wanted
            }
        else:
            made = _of_voxels(path, like.grid, wanted)
        found |= made
    return Named(found, tuple(notes))


def value_names(path: Path) -> dict[int, str]:
    """Names of a file's values: as it says itself, a ``dataset.json`` in or beside its folder, or a table there."""
    if own := formats.label_names.read(path):
        return own
    folder = path.parent
    for declared in (folder / "dataset.json", folder.parent / "dataset.json"):
        labels = declaration.label_set(declaration.read(declared) or {}, declared)
        if labels is not None and labels.kind == "exclusive":
            return {label.value: label.name for label in labels.labels}
    return label_names.find(Tree(folder, tuple(sorted(file.name for file in folder.iterdir() if file.is_file()))))


def key(name: str) -> str:
    """What is the same for names that mean the same: DICOM files cut them, people write them large or small.

    >>> key(" Liver ") == key("liver")
    True
    """
    return name.strip()[:_LONGEST_NAME].casefold()


def _require_on_grid(path: Path, structures: Structures, *, strict: bool) -> None:
    if strict and structures.displaced:
        raise GeometryError(
            f"{path} does not lie on the grid of the mask that it is compared with: {'; '.join(structures.notes)}; "
            "resample it first, or compare in a folder that holds the images too"
        )


def _canonical(dense: Callable[[], Mask], grid: Grid) -> Mask:
    return np.asarray(geometry.canonicalize(dense()[None], grid)[0][0])


def _of_voxels(path: Path, grid: Grid, wanted: set[str]) -> dict[str, Callable[[], Mask]]:
    """A mask for each value but 0; of a file for one structure, for all that is not 0."""
    volume = formats.read(path, mask=True)
    if len(volume.array) > 1:
        raise LabelError(
            f"{path}: has {len(volume.array)} channels; expected one value per voxel to compare with names"
        )
    if geometry.compare(grid, volume.grid).kind not in ("same", "offset"):
        raise GeometryError(
            f"{path} does not lie on the grid it is compared on: shape {volume.grid.shape} and spacing "
            f"{volume.grid.spacing_mm} mm, expected {grid.shape} and {grid.spacing_mm} mm; resample it first"
        )
    values, _ = as_whole_numbers(geometry.canonicalize(volume.array, volume.grid)[0][0])
    if wanted:
        return {name: partial(np.not_equal, values, 0) for name in wanted}
    present = [value for value in count_values(values) if value != 0]
    if len(present) > _MOST_VALUES:
        raise LabelError(f"{path}: holds {len(present)} different values; is it a mask?")
    names = value_names(path)
    return {names.get(value, f"label_{value}"): partial(np.equal, values, value) for value in present}
