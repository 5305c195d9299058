"""What the audit says of a data set as a whole: how it was understood, and what it can hardly teach or test."""

from collections.abc import Iterator, Sequence

from autoseg.contracts import AuditEntry, Split
from autoseg.intake import modality
from autoseg.intake.consensus import Settled
from autoseg.intake.quarantine import WHOLE_DATASET
from autoseg.layouts import Found


def notes(words: Sequence[str]) -> tuple[AuditEntry, ...]:
    """Sentences as entries of the audit."""
    return tuple(AuditEntry(case=WHOLE_DATASET, verdict="ok", reason=sentence) for sentence in words)


def of_dataset(found: Found, settled: Settled, split: Split) -> tuple[AuditEntry, ...]:
    """All remarks. Of held-out cases they tell no more than whether a label occurs at all."""
    scans = [item.scan for item in settled.usable if item.scan is not None]
    held_out = set(split.holdout)
    unlabelled = sum(not case.labelled for case in found.cases)
    count = f"{unlabelled} of {len(found.cases)} cases have no label and are only predicted"
    return notes(
        [
            *found.notes,
            *settled.notes,
            *modality.contradictions(settled.channels, [scan for scan in scans if scan.case not in held_out]),
            *_hardly_drawn(settled, held_out),
            *([count] if unlabelled else []),
        ]
    )


def _hardly_drawn(settled: Settled, held_out: set[str]) -> Iterator[str]:
    """Labels that no case shows, or of those that train only one subject's."""
    labelled = [item for item in settled.usable if item.case.labelled]
    training = {item.case.subject for item in labelled if item.case.case not in held_out}
    for number, name in enumerate(settled.labels.targets):
        drawn = [i for i in labelled if i.scan is not None and i.scan.targets[number].voxels]
        subjects = {item.case.subject for item in drawn} & training
        if not drawn:
            yield f"{name} is declared but occurs in no case"
        elif not subjects:
            yield f"{name} occurs in no case that trains, so no model can learn it"
        elif len(subjects) == 1 < len(training):
            yield f"{name} occurs in one subject only ({min(subjects)}), so no model that learns it is tested on it"
