"""Verdicts: what the audit says of a case, and when so many cases are bad that going on would be dishonest."""

from collections.abc import Sequence
from dataclasses import replace

from autoseg.contracts import AuditEntry
from autoseg.errors import DataError
from autoseg.intake.examination import Examined

LARGEST_QUARANTINE = 0.2
"""Share of unusable cases above which the data set itself is at fault."""
WHOLE_DATASET = "(all)"
"""Stands for the case in an audit entry that concerns all of them."""


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
    )


def require_usable(examined: Sequence[Examined]) -> None:
    """Raise if too few cases are left.

    Raises:
        DataError: More than a fifth is unusable, or none has a label.
    """
    bad = [item for item in examined if item.problem]
    first = "".join(f"\n  {item.case.case}: {item.problem}" for item in bad[:5])
    more = f"\n  and {len(bad) - 5} more" if len(bad) > 5 else ""
    if len(bad) > LARGEST_QUARANTINE * len(examined):
        raise DataError(
            f"{len(bad)} of {len(examined)} cases cannot be used, more than {LARGEST_QUARANTINE:.0%}; correct or "
            f"remove them:{first}{more}"
        )
    if not any(item.case.labelled for item in examined if not item.problem):
        raise DataError(f"none of the {len(examined)} cases has a label; add masks to learn from{first}{more}")


def quarantined(item: Examined, problem: str) -> Examined:
    """The case, no longer usable."""
    return replace(item, problem=problem, scan=None)
