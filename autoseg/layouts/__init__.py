"""Layouts: how raw data set folders are laid out. A folder is recognised by looking, never by what somebody calls it.

Each layout is one module with ``recognise(tree) -> Found | None``. To add one, write the module and name it in
``LAYOUTS``; the first that recognises a folder wins, so the more explicit layouts stand first.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from autoseg.contracts import Case
from autoseg.errors import LayoutError, UsageError
from autoseg.layouts import (
    beside,
    bids,
    case_names,
    cases,
    dicom,
    left_over,
    msd,
    nnunet,
    not_recognised,
    pairs,
    rows,
    table,
    together,
)
from autoseg.layouts.choice import asked_for, decided
from autoseg.layouts.found import Found
from autoseg.layouts.inputs import find_inputs, unused_inputs
from autoseg.layouts.names import part_of
from autoseg.layouts.subjects import by_folder, subjects
from autoseg.layouts.tree import Tree, collapse, describe, folder_of, look

__all__ = ["LAYOUTS", "Found", "find", "find_inputs", "folder_of", "require_source", "unused_inputs"]

LAYOUTS: dict[str, Callable[[Tree], Found | None]] = {
    "nnunet": nnunet.recognise,
    "msd": msd.recognise,
    "dicom": dicom.recognise,
    "table": table.recognise,
    "bids": bids.recognise,
    "pairs": pairs.recognise,
    "cases": cases.recognise,
    "beside": beside.recognise,
}
_SPLIT_BY_FOLDERS = ("pairs", "cases", "beside")  # layouts in which a folder called "test" is all that tells


def find(source: Path, exclude: Path | None = None, layout: str | None = None) -> Found:
    """Recognise a data set folder and list its cases, by names; files are looked into only where names say nothing.

    The data set may also lie in the folder's only recognisable subfolder.

    Args:
        source: The folder, or a table of cases; paths in the result are relative to the folder, or to the table's.
        exclude: A folder that does not count although it may lie inside, e.g. the run folder.
        layout: The layout or reading that is asked for; None: the only plausible one.

    Raises:
        UsageError: ``source`` is neither folder nor table, or cannot be read as ``layout``.
        LayoutError: No cases can be made out, or several readings are equally plausible; the message says which.
        DataError: A description in the folder is broken.
        RefusedError: A description names files outside the folder.
    """
    require_source(source)
    tree = look(source, exclude)
    found = _read(tree, source, layout)
    if not found.cases:
        raise LayoutError(f"{source}: laid out like {found.layout}, but holds no images; found: {describe(tree)}")
    named = [case.model_copy(update={"case": case_names.fit(case.case)}) for case in found.cases]
    distinct, twins = case_names.distinct(named, tree.root)
    grouped, how = _grouped(found.layout, _test_apart(found.layout, distinct), found.grouping)
    found = dataclasses.replace(found, cases=tuple(grouped), reasons={**found.reasons, **twins}, grouping=how)
    aside = {path: found.reasons[path] for path in found.left_over}  # what the layout knows is no image of a case
    unused = {**aside, **collapse(left_over.explained(found, tree), tree)}
    return dataclasses.replace(
        found,
        left_over=tuple(unused),
        left_over_because=tuple(unused.values()),
        notes=(*found.notes, *left_over.notes(tree)),
    )


def require_source(source: Path) -> None:
    """Refuse what cannot be a data set, before anything else is done.

    Raises:
        UsageError: ``source`` is neither folder nor table.
    """
    if source.is_dir() or (source.is_file() and rows.is_table(source.name)):
        return
    what = "is a file" if source.exists() else "does not exist"
    raise UsageError(f"{source}: {what}; expected a data set folder, or a table of cases (.csv, .tsv)")


def _read(tree: Tree, source: Path, layout: str | None) -> Found:
    if source.is_file():
        return table.of_file(tree, source.name)
    if layout == together.NAME:
        return together.united(_data_sets_in(tree))
    if layout is not None:
        every = [found for recognise in LAYOUTS.values() if (found := recognise(tree)) is not None]
        return asked_for(layout, every or [_recognise_below(tree)], tree)
    return decided(_recognise(tree) or _recognise_below(tree), tree)


def _grouped(layout: str, cases: list[Case], grouping: str) -> tuple[list[Case], str]:
    """Cases in order, with their subjects, unless the layout knew these."""
    in_order = sorted(cases, key=lambda case: case.case)
    if grouping:
        return in_order, grouping
    subject_of, how = subjects(case.case for case in in_order)
    if layout in ("pairs", "beside"):
        folder_of, told = by_folder({case.case: Path(case.images[0]).parent.as_posix() for case in in_order})
        inside_one = len({(subject_of[case], folder_of[case]) for case in subject_of}) == len(set(subject_of.values()))
        subject_of, how = (folder_of, told) if told and inside_one else (subject_of, how)
    return [case.model_copy(update={"subject": subject_of[case.case]}) for case in in_order], how


def _test_apart(layout: str, cases: list[Case]) -> list[Case]:
    """Labelled cases below a folder for tests are a hold-out, where there are others too."""
    if layout not in _SPLIT_BY_FOLDERS:
        return cases
    tests = {case.case for case in cases if case.labelled and _in_test_folder(case)}
    if len(tests) == sum(case.labelled for case in cases):
        return cases
    return [case.model_copy(update={"given_holdout": True}) if case.case in tests else case for case in cases]


def _in_test_folder(case: Case) -> bool:
    return any(part_of(folder) == "test" for folder in Path(case.images[0]).parts[:-1])


def _recognise(tree: Tree) -> Found | None:
    return next((found for recognise in LAYOUTS.values() if (found := recognise(tree)) is not None), None)


def _data_sets_in(tree: Tree) -> dict[str, Found]:
    """The data sets in direct subfolders."""
    return {folder: found for folder in tree.folders if (found := _recognise(tree.below(folder))) is not None}


def _recognise_below(tree: Tree) -> Found:
    """Look one level deeper; exactly one data set must lie there."""
    candidates = _data_sets_in(tree)
    if len(candidates) == 1:
        [(folder, found)] = candidates.items()
        return found.inside(folder)
    if candidates:
        raise LayoutError(
            f"{tree.root}: holds several data sets ({', '.join(list(candidates)[:8])}); name one of them, add --layout "
            f"{together.NAME} if they are parts of one, or use `autoseg benchmark` for all"
        )
    raise LayoutError(not_recognised.message(tree, _nearest(tree)))


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
