"""What a layout says about a folder: its cases, and as much of channels and labels as is declared there."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

from autoseg.contracts import Case, LabelSet


@dataclass(frozen=True)
class Found:
    """A recognised dataset folder. Nothing is verified yet: no image has been read.

    Attributes:
        layout: Name of the layout, a key of ``layouts.LAYOUTS``.
        channels: Declared channel names; None: the files tell.
        labels: Declared labels; None: to be inferred from the values in the files.
        cases: Sorted by name; paths relative to the folder that was looked at.
        left_over: Images that belong to no case; a folder that is not used at all is one entry.
        grouping: How the layout or the case names told the subjects; empty: each case is its own subject. A layout that
            fills it has set the cases' subjects itself, and their names are not asked.
        notes: Remarks for the report about how the folder was understood.
        reasons: Why the layout left files or folders aside, by path; where it knows more than names do.
    """

    layout: str
    channels: tuple[str, ...] | None
    labels: LabelSet | None
    cases: tuple[Case, ...]
    left_over: tuple[str, ...] = ()
    grouping: str = ""
    notes: tuple[str, ...] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)

    def inside(self, folder: str) -> "Found":
        """The same, seen from the parent of the folder that it was found in."""
        return dataclasses.replace(
            self,
            cases=tuple(case.inside(folder) for case in self.cases),
            left_over=tuple(f"{folder}/{file}" for file in self.left_over),
            reasons={f"{folder}/{file}": reason for file, reason in self.reasons.items()},
            notes=(f"the data set lies in the subfolder {folder}/", *self.notes),
        )
