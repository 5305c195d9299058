"""What is in a folder, what is wrong with it and what would be done: the answer of ``autoseg inspect``."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from autoseg.contracts import AuditEntry, Case, Label, Settings
from autoseg.layouts.found import example
from autoseg.stages.dataset import inspect as look
from planners.contracts import Record, Spacing


class Inspection(Record):
    """A dataset at a glance."""

    layout: str
    dimension: int
    cases: int
    labelled: int
    channels: tuple[str, ...]
    labels: tuple[Label, ...]
    regions: tuple[str, ...]
    spacing_mm: Spacing | None = None  # median; null: the files know of none
    orientation: tuple[str, ...]  # axis codes that occur, most frequent first
    examples: tuple[str, ...] = ()  # some cases: images -> label
    subjects: int = 0
    left_over: tuple[str, ...]
    left_over_because: tuple[str, ...] = ()  # one sentence for each
    audit: tuple[AuditEntry, ...]


_EXAMPLES = 3


def inspect(source: Path, settings: Settings = Settings()) -> Inspection:
    """Look at a folder as ``autoseg run`` with these settings would, opening every file; writes nothing.

    Raises:
        LayoutError: No cases can be made out.
        DataError: The folder as a whole cannot be used.
    """
    dataset, scans = look(source, settings)
    counted = Counter(scan.orientation for scan in scans)
    known = [scan.spacing_mm for scan in scans if scan.spacing_known]
    return Inspection(
        layout=dataset.layout,
        dimension=dataset.dimension,
        cases=len(dataset.cases),
        labelled=sum(case.labelled for case in dataset.cases),
        channels=tuple(channel.name for channel in dataset.channels),
        labels=dataset.labels.labels,
        regions=tuple(region.name for region in dataset.labels.regions),
        spacing_mm=_median(known),
        orientation=tuple(code for code, _ in counted.most_common()),
        examples=tuple(example(case) for case in _examples(dataset.cases)),
        subjects=len({case.subject for case in dataset.cases}),
        left_over=dataset.audit.left_over,
        left_over_because=dataset.audit.left_over_because,
        audit=dataset.audit.entries,
    )


def _examples(cases: Sequence[Case]) -> list[Case]:
    """The first cases with a label, and one without if there is one."""
    labelled = [case for case in cases if case.labelled]
    unlabelled = [case for case in cases if not case.labelled]
    return labelled[: _EXAMPLES - 1] + unlabelled[:1]


def _median(spacings: list[Spacing]) -> Spacing | None:
    if not spacings:
        return None
    z, y, x = (median(axis) for axis in zip(*spacings, strict=True))
    return (z, y, x)
