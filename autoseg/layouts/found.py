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
        left_over_because: Why, one sentence for each of ``left_over``.
        grouping: How the layout or the case names told the subjects; empty: each case is its own subject. A layout that
            fills it has set the cases' subjects itself, and their names are not asked.
        notes: Remarks for the report about how the folder was understood.
        reasons: Why the layout left files or folders aside, by path.
        label_names: Names of values, for labels that are inferred; may name values that occur nowhere.
        reading: What to ask for to get this reading of the folder, where there are several.
        rivals: Other readings of the folder that are as plausible.
    """

    layout: str
    channels: tuple[str, ...] | None
    labels: LabelSet | None
    cases: tuple[Case, ...]
    left_over: tuple[str, ...] = ()
    left_over_because: tuple[str, ...] = ()
    grouping: str = ""
    notes: tuple[str, ...] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)
    label_names: Mapping[int, str] = field(default_factory=dict)
    reading: str = ""
    rivals: tuple["Found", ...] = ()

    @property
    def name(self) -> str:
        """The reading, or the layout where there is but one."""
        return self.reading or self.layout

    def inside(self, folder: str) -> "Found":
        """The same, seen from the parent of the folder that it was found in."""
        return dataclasses.replace(
            self,
            cases=tuple(case.inside(folder) for case in self.cases),
            left_over=tuple(f"{folder}/{file}" for file in self.left_over),
            reasons={f"{folder}/{file}": reason for file, reason in self.reasons.items()},
            notes=(f"the data set lies in the subfolder {folder}/", *self.notes),
            rivals=tuple(rival.inside(folder) for rival in self.rivals),
        )

    def summary(self) -> str:
        """A line for choosing between readings: how many cases, and what would be image and label of the first."""
        labelled = [case for case in self.cases if case.labelled]
        shown = example((labelled or list(self.cases))[0]) if self.cases else "no cases"
        return f"{len(self.cases)} cases, {len(labelled)} with a label, e.g. {shown}"


def example(case: Case, most: int = 4) -> str:
    """A case in one line.

    >>> example(Case(case="a", subject="a", images=("ct.nii", "pet.nii"), label="seg.nii"))
    'a: ct.nii + pet.nii -> seg.nii'
    """
    label = _shortened([*([case.label] if case.label else []), *(each.file for each in case.structures)], most)
    return f"{case.case}: {_shortened(case.images, most)} -> {label or 'no label, to be predicted'}"


def _shortened(files: list[str] | tuple[str, ...], most: int) -> str:
    more = f" + {len(files) - most} more" if len(files) > most else ""
    return " + ".join(files[:most]) + more
