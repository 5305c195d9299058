"""Several data sets side by side, taken as one: only where that is asked for, as ``--layout together``."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from autoseg.contracts import Case
from autoseg.errors import UsageError
from autoseg.layouts.found import Found

NAME = "together"


def united(found: Mapping[str, Found]) -> Found:
    """Data sets by folder, as one; cases and subjects are called after their folder too where names collide.

    Raises:
        UsageError: There are not several, or they differ in layout, channels or labels.
    """
    kinds = {(each.layout, each.channels, each.labels) for each in found.values()}
    if len(found) < 2 or len(kinds) > 1:
        listed = ", ".join(f"{folder} ({each.layout})" for folder, each in found.items()) or "none"
        raise UsageError(
            f"--layout {NAME}: expected several data sets alike in layout, channels, labels; found: {listed}"
        )
    counts = Counter(case.case.casefold() for each in found.values() for case in each.cases)
    collide = max(counts.values(), default=1) > 1
    seen = {folder: each.inside(folder) for folder, each in found.items()}
    return replace(
        next(iter(seen.values())),
        cases=tuple(
            _called_after(folder, case) if collide else case for folder, each in seen.items() for case in each.cases
        ),
        grouping="; ".join(f"in {folder}/: {each.grouping}" for folder, each in seen.items() if each.grouping),
        notes=(
            f"{len(seen)} data sets taken together",
            *dict.fromkeys(n for each in found.values() for n in each.notes),
        ),
        reasons={path: why for each in seen.values() for path, why in each.reasons.items()},
        rivals=(),
    )


def _called_after(folder: str, case: Case) -> Case:
    return case.model_copy(update={"case": f"{folder}_{case.case}", "subject": f"{folder}_{case.subject}"})
