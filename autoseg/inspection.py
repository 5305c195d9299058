"""What is in a folder, what is wrong with it and what would be done: the answer of ``autoseg inspect``."""

from pathlib import Path

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
