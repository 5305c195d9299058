"""Layouts: how raw data set folders are laid out. A folder is recognised by looking, never by what somebody calls it.

Each layout is one module with ``recognise(tree) -> Found | None``. To add one, write the module and name it in
``LAYOUTS``; the first that recognises a folder wins, so the more explicit layouts stand first.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from autoseg.errors import LayoutError, UsageError
from autoseg.layouts import dicom, msd, nnunet, pairs
from autoseg.layouts.channel_files import stem
from autoseg.layouts.found import Found
from autoseg.layouts.inputs import find_inputs
from autoseg.layouts.subjects import subjects
from autoseg.layouts.tree import Tree, collapse, describe, look

__all__ = ["LAYOUTS", "Found", "find", "find_inputs"]

LAYOUTS: dict[str, Callable[[Tree], Found | None]] = {
    "nnunet": nnunet.recognise,
    "msd": msd.recognise,
    "dicom": dicom.recognise,
    "pairs": pairs.recognise,
}


def find(root: Path, exclude: Path | None = None) -> Found:
    """Recognise a data set folder and list its cases, without reading images.

    The data set may also lie in the folder's only recognisable subfolder.

    Args:
        root: The folder; paths in the result are relative to it.
        exclude: A folder that does not count although it may lie inside, e.g. the run folder.

    Raises:
        UsageError: ``root`` is not a folder.
        LayoutError: No cases can be made out; the message says what was found instead.
        DataError: A description in the folder is broken.
        RefusedError: A description names files outside the folder.
    """
    if not root.is_dir():
        raise UsageError(f"{root}: {'is a file' if root.exists() else 'does not exist'}; expected a data set folder")
    tree = look(root, exclude)
    found = _recognise(tree) or _recognise_below(tree)
    if not found.cases:
        raise LayoutError(f"{root}: laid out like {found.layout}, but holds no images; found: {describe(tree)}")
    _names_must_differ(found, root)
    found = found if found.grouping else _grouped(found)
    cases = sorted(found.cases, key=lambda case: case.case)
    left_over = (*found.left_over, *collapse(_left_over(found, tree), tree))
    return dataclasses.replace(found, cases=tuple(cases), left_over=left_over)


def _grouped(found: Found) -> Found:
    """Subjects by the names of the cases, where the layout knows none."""
    subject_of, how = subjects(case.case for case in found.cases)
    cases = (case.model_copy(update={"subject": subject_of[case.case]}) for case in found.cases)
    return dataclasses.replace(found, cases=tuple(cases), grouping=how)


def _recognise(tree: Tree) -> Found | None:
    return next((found for recognise in LAYOUTS.values() if (found := recognise(tree)) is not None), None)


def _recognise_below(tree: Tree) -> Found:
    """Look one level deeper; exactly one data set must lie there."""
    known = ", ".join(LAYOUTS)
    candidates = {folder: found for folder in tree.folders if (found := _recognise(tree.below(folder))) is not None}
    if len(candidates) == 1:
        [(folder, found)] = candidates.items()
        return found.inside(folder)
    if candidates:
        raise LayoutError(
            f"{tree.root}: holds several data sets ({', '.join(list(candidates)[:8])}); name one of them, or use "
            "`autoseg benchmark` for all"
        )
    nearest = _nearest(tree)
    hint = f"; did you mean {nearest}?" if nearest else "."
    raise LayoutError(
        f"{tree.root}: no data set of a known layout ({known}); found: {describe(tree)}{hint} Expected images and "
        "masks in two folders, e.g. images/ and masks/, with the same file names"
    )


def _nearest(tree: Tree) -> str | None:
    """The first data set two or three levels down."""
    for first in tree.folders:
        branch = tree.below(first)
        for second in branch.folders:
            deeper = branch.below(second)
            candidates = (deeper, *(deeper.below(third) for third in deeper.folders))
            for candidate in candidates:
                if _recognise(candidate) is not None:
                    return str(candidate.root)
    return None


def _names_must_differ(found: Found, root: Path) -> None:
    """Case names become file names, also on disks that do not tell A from a."""
    counts = Counter(case.case.casefold() for case in found.cases)
    twice = [case for case in found.cases if counts[case.case.casefold()] > 1]
    if twice:
        listed = ", ".join(f"{case.case} ({case.images[0]})" for case in twice[:4])
        raise LayoutError(f"{root}: {len(twice)} cases share a name: {listed}; rename or remove one of each")


def _left_over(found: Found, tree: Tree) -> tuple[str, ...]:
    """Images that no case uses.

    Raises:
        LayoutError: One is a used file under another suffix, and nobody can know which is meant.
    """
    used = {file for case in found.cases for file in (*case.images, *case.label_files)}
    from_name = {_bare(file): file for file in used}
    left_over = tuple(file for file in tree.images if file not in used)
    for file in left_over:
        if _bare(file) in from_name:
            raise LayoutError(
                f"{tree.root}: {from_name[_bare(file)]} and {file} are the same case; remove or rename one of them"
            )
    return left_over


def _bare(file: str) -> str:
    return f"{file.rpartition('/')[0]}/{stem(file)}"
