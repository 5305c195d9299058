"""Files that no case uses, and why: nothing in a folder is passed over in silence."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np

from autoseg import formats
from autoseg.contracts import Case
from autoseg.errors import AutosegError, LayoutError
from autoseg.layouts import channel_files, names
from autoseg.layouts.found import Found
from autoseg.layouts.tree import Tree

_UNREAD = (
    *(".gif", ".webp", ".jp2", ".heic", ".svs", ".ndpi", ".czi", ".lif", ".npy", ".npz", ".mat", ".h5", ".hdf5"),
    *(".mnc", ".mgz", ".mgh", ".par", ".rec", ".vtk", ".vti", ".stl", ".pkl", ".pt", ".zip", ".tar", ".rar", ".7z"),
)
_NOT_MENTIONED = {
    "msd": "not listed in dataset.json",
    "nnunet": "not named as dataset.json wants it, or not listed there",
}


def explained(found: Found, tree: Tree) -> dict[str, str]:
    """Images that no case uses, with the reason for each.

    Raises:
        LayoutError: One is a used file under another suffix, and nobody can know which is meant.
    """
    used = {file for case in found.cases for file in (*case.images, *case.label_files)}
    twins = {_bare(file): file for file in used}
    cases = {key: case for case in found.cases for key in (case.case, names.structure(case.case)) if key}
    return {
        file: _from_layout(file, found.reasons)
        or _as_twin(file, twins.get(_bare(file)), tree)
        or _by_name(file, cases, found.layout)
        for file in tree.images
        if file not in used
    }


def notes(tree: Tree) -> tuple[str, ...]:
    """Remarks on what else lies in the folder: links out of it, names that are no text, formats that are not read."""
    said = []
    if tree.links_out:
        said.append(f"{len(tree.links_out)} links lead out of the folder and are followed, e.g. {tree.links_out[0]}")
    if tree.unnameable:
        said.append(
            f"{len(tree.unnameable)} entries have names that are no Unicode text and are not used, e.g. "
            f"{tree.unnameable[0]}; rename them"
        )
    unread = Counter(suffix for file in tree.files if (suffix := PurePosixPath(file).suffix.lower()) in _UNREAD)
    if unread:
        listed = ", ".join(f"{count} {suffix}" for suffix, count in unread.most_common(4))
        said.append(f"files of formats that are not read: {listed}; convert them if they matter")
    return tuple(said)


def same_volume(one: Path, other: Path) -> bool:
    """Whether two files hold the same voxels on the same grid; no, if one cannot be read."""
    try:
        first, second = formats.read(one), formats.read(other)
    except AutosegError:
        return False
    return np.array_equal(first.array, second.array) and np.array_equal(first.grid.affine, second.grid.affine)


def _from_layout(file: str, reasons: Mapping[str, str]) -> str:
    """What the layout said of the file or of a folder around it."""
    path = PurePosixPath(file)
    return next((reasons[key] for key in map(str, (path, *path.parents)) if key in reasons), "")


def _as_twin(file: str, used: str | None, tree: Tree) -> str:
    """Beside a used file of the same name but for the suffix."""
    if used is None:
        return ""
    if channel_files.is_picture(file) != channel_files.is_picture(used):
        return f"called like {used}, which is used, as only one of them is a plain picture"
    if same_volume(tree.root / file, tree.root / used):
        return f"the same as {used}, which is used"
    raise LayoutError(
        f"{tree.root}: {used} and {file} are the same case by their names, but differ in content; remove or rename one"
    )


def _by_name(file: str, cases: Mapping[str, Case], layout: str) -> str:
    called = channel_files.stem(file)
    case = cases.get(called) or cases.get(names.structure(called))
    if case is not None and case.labelled and names.is_mask_name(file):
        return f"a further mask for {case.case}, whose label is {case.label_files[0]}"
    if layout == "table":
        return "not in the table"
    if names.is_mask_name(file):
        return "a mask without an image"
    return _NOT_MENTIONED.get(layout, "an image that fits no case by its name and place")


def _bare(file: str) -> str:
    return f"{file.rpartition('/')[0]}/{channel_files.stem(file)}"
