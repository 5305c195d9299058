"""What an audit says of a file that could be used: a reason, and what was done about it."""

from dataclasses import dataclass

from autoseg.contracts import FindingKind


@dataclass(frozen=True)
class Finding:
    """What was not as it should be, and what was done about it (empty: nothing had to be)."""

    reason: str
    repair: str = ""
    kind: FindingKind | None = None
