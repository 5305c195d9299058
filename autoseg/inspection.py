"""What is in a folder, what is wrong with it and what would be done: the answer of ``autoseg inspect``."""

from collections import Counter
from pathlib import Path
from statistics import median

from autoseg.contracts import AuditEntry, Label, Settings
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
    left_over: tuple[str, ...]
    audit: tuple[AuditEntry, ...]


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
        left_over=dataset.audit.left_over,
        audit=dataset.audit.entries,
    )


def _median(spacings: list[Spacing]) -> Spacing | None:
    if not spacings:
        return None
    z, y, x = (median(axis) for axis in zip(*spacings, strict=True))
    return (z, y, x)
