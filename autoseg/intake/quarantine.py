"""Verdicts: what the audit says of a case, and when so many cases are bad that going on would be dishonest."""

from collections.abc import Sequence
from dataclasses import replace

from autoseg.contracts import AuditEntry, LabelSet
from autoseg.errors import UnusableDataset, UsageError
from autoseg.intake.axis4 import CHOICE
from autoseg.intake.examination import Examined

LARGEST_QUARANTINE = 0.2
"""Share of unusable cases above which the data set itself is at fault."""
WHOLE_DATASET = "(all)"
"""Stands for the case in an audit entry that concerns all of them."""
_MOST_LISTED = 20


def entry(item: Examined) -> AuditEntry:
    """The verdict on a case, as it stands in the audit."""
    name = item.case.case
    if item.problem:
        return AuditEntry(case=name, verdict="quarantined", reason=item.problem)
    return AuditEntry(
        case=name,
        verdict="repaired" if any(finding.repair for finding in item.findings) else "ok",
        reason="; ".join(finding.reason for finding in item.findings),
        repair="; ".join(finding.repair for finding in item.findings if finding.repair),
        kinds=tuple(sorted({finding.kind for finding in item.findings if finding.kind is not None})),
    )


def require_usable(examined: Sequence[Examined]) -> None:
    """Raise if too few cases are left.

    Raises:
        UnusableDataset: More than a fifth is unusable, or none has a label.
    """
    bad = [item for item in examined if item.problem]
    if len(bad) > LARGEST_QUARANTINE * len(examined):
        raise _unusable(
            f"{len(bad)} of {len(examined)} cases cannot be used, more than {LARGEST_QUARANTINE:.0%}; correct or "
            "remove them:",
            examined,
        )
    if not any(item.case.labelled for item in examined if not item.problem):
        raise _unusable(f"none of the {len(examined)} cases has a label; add masks to learn from", examined)


def require_axes_told(examined: Sequence[Examined]) -> None:
    """Ask, where too many cases to be left out have a fourth axis of unknown meaning.

    Raises:
        UsageError: With the answers.
    """
    asking = [item for item in examined if item.open_axis4]
    if len(asking) <= LARGEST_QUARANTINE * len(examined):
        return
    lengths = sorted({item.open_axis4 for item in asking})
    long = f"{lengths[0]}" if len(lengths) == 1 else f"{lengths[0]} to {lengths[-1]}"
    raise UsageError(
        f"{len(asking)} of {len(examined)} cases have a fourth axis ({long} long), and nothing says what it counts: "
        f"add {CHOICE}; a dataset.json that names as many channels tells it too. First: {asking[0].case.images[0]}"
    )


def require_all(examined: Sequence[Examined]) -> None:
    """Raise if a single case had to be left out: what ``--strict`` asks for.

    Raises:
        UnusableDataset: With a table of what is wrong.
    """
    bad = sum(bool(item.problem) for item in examined)
    if bad:
        raise _unusable(
            f"{bad} of {len(examined)} cases cannot be used, and --strict allows none; correct or remove them:",
            examined,
        )


def require_classes(examined: Sequence[Examined], declared: LabelSet | None) -> None:
    """Raise if a class occurs only in cases that had to be left out: the model would silently never know it.

    Args:
        examined: All cases.
        declared: Where labels are declared, other values are no classes.

    Raises:
        UnusableDataset: With the class and the cases that show it.
    """
    scans = [item.scan for item in examined if item.scan is not None]
    lost = {value for item in examined for value in item.lost_values} - {v for s in scans for v in s.label_values} - {0}
    names = {value: str(value) for value in lost}
    if declared is not None:
        names = {label.value: f"{label.name} ({label.value})" for label in declared.labels if label.value in lost}
    drawn = {target.name for scan in scans for target in scan.targets if target.voxels}
    structures = {name for item in examined for name in item.lost_structures} - drawn
    if names or structures:
        raise _unusable(
            f"label {', '.join([*names.values(), *sorted(structures)])} would be lost: it occurs only in cases that "
            "cannot be used; correct them, or remove them to do without it:",
            examined,
            [i for i in examined if names.keys() & set(i.lost_values) or structures & set(i.lost_structures)],
        )


def quarantined(item: Examined, problem: str, *, label_is_sound: bool = False) -> Examined:
    """The case, no longer usable; with a sound label, its classes are remembered as lost."""
    if not label_is_sound:
        return replace(item, problem=problem, scan=None)
    values = tuple(value for value, _ in item.counts)
    structures = tuple(sorted({name for combination in item.combinations or () for name in combination.structures}))
    return replace(item, problem=problem, scan=None, lost_values=values, lost_structures=structures)


def _unusable(
    message: str, examined: Sequence[Examined], concerned: Sequence[Examined] | None = None
) -> UnusableDataset:
    """The error, with a line per unusable case that is concerned; None: all are."""
    entries = [entry(item) for item in examined]
    bad = [f"  {i.case.case}: {i.problem}" for i in (examined if concerned is None else concerned) if i.problem]
    more = [f"  and {len(bad) - _MOST_LISTED} more"] if len(bad) > _MOST_LISTED else []
    return UnusableDataset("\n".join([message, *bad[:_MOST_LISTED], *more]), tuple(entries))
