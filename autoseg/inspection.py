"""What is in a folder, what is wrong with it and what would be done: the answer of ``autoseg inspect``."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from autoseg.contracts import AuditEntry, Case, Dataset, Label, Settings
from autoseg.intake import modality
from autoseg.layouts.found import example
from autoseg.stages.dataset import Looked, look_at
from planners.contracts import Record, Spacing


class Inspection(Record):
    """A dataset at a glance. Where the audit has the verdict ``fatal``, nothing can be made of it, and it says why."""

    layout: str
    dimension: int  # 0: no case can be used
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
    modalities: tuple[str, ...] = ()  # per channel: what it shows, by its name or its values
    split: str = ""  # how the cases would be split

    @property
    def fatal(self) -> str:
        """Why the folder cannot be used; empty: it can."""
        return "; ".join(entry.reason for entry in self.audit if entry.verdict == "fatal")


_EXAMPLES = 3


def inspect(source: Path, settings: Settings = Settings()) -> Inspection:
    """Look at a folder as ``autoseg run`` with these settings would, opening every file; writes nothing.

    Raises:
        LayoutError: No cases can be made out.
        DataError: A description of the folder is broken.
    """
    looked = look_at(source, settings)
    made = None if looked.made is None else looked.made[0]
    channels = _channels(looked, made)
    cases = _cases(looked, made)
    labels = made.labels if made is not None else looked.found.labels
    return Inspection(
        layout=looked.found.layout,
        dimension=_dimension(looked),
        cases=len(cases),
        labelled=sum(case.labelled for case in cases),
        channels=channels,
        labels=() if labels is None else labels.labels,
        regions=() if labels is None else tuple(region.name for region in labels.regions),
        spacing_mm=_median([scan.spacing_mm for scan in looked.scans if scan.spacing_known]),
        orientation=tuple(code for code, _ in Counter(scan.orientation for scan in looked.scans).most_common()),
        examples=tuple(example(case) for case in _examples(cases)),
        subjects=len({case.subject for case in cases}),
        left_over=looked.audit.left_over,
        left_over_because=looked.audit.left_over_because,
        audit=looked.audit.entries,
        modalities=_modalities(looked, channels),
        split="" if made is None else made.split.because,
    )


def _channels(looked: Looked, made: Dataset | None) -> tuple[str, ...]:
    if made is not None:
        return tuple(channel.name for channel in made.channels)
    return looked.found.channels or ()


def _cases(looked: Looked, made: Dataset | None) -> tuple[Case, ...]:
    """The usable ones."""
    if made is not None:
        return made.cases
    usable = {scan.case for scan in looked.scans}
    return tuple(case for case in looked.found.cases if case.case in usable)


def _dimension(looked: Looked) -> int:
    if not looked.scans:
        return 0
    return 2 if all(scan.shape[0] == 1 for scan in looked.scans) else 3


def _modalities(looked: Looked, channels: tuple[str, ...]) -> tuple[str, ...]:
    alike = [scan for scan in looked.scans if len(scan.overall) == len(channels)]
    return tuple(modality.WORDS[kind] for kind in modality.of_channels(channels, alike))


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
