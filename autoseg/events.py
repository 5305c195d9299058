"""Progress as data: stages call ``notify(Event(...))`` and know nothing of terminals or files.

The pipeline writes events to one JSONL file per process; the command line draws bars from the same events.
A listener may raise ``errors.Interrupted``: every stage must be able to stop wherever it notifies.
"""

from collections.abc import Callable
from typing import Literal

from planners.contracts import Record


class Event(Record):
    """A step of work: ``done`` of ``total`` units of ``stage``.

    Attributes:
        stage: The stage's name; a job adds configuration and fold, e.g. ``"train 3d_fullres/fold_0"``.
        what: ``progress``, a ``note`` worth showing, or a ``warning`` worth keeping in the report.
        done, total: In ``unit``; a total of 0 means unknown.
        detail: Short text beside the bar, e.g. ``"loss -0.71"``.
    """

    stage: str
    what: Literal["progress", "note", "warning"] = "progress"
    done: float = 0.0
    total: float = 0.0
    unit: str = ""
    detail: str = ""

    @property
    def amount(self) -> str:
        """How much is done, in words.

        >>> Event(stage="predict", done=3, total=9, unit="case").amount
        '3/9 case'
        >>> Event(stage="train", done=1, unit="step").amount
        '1 step'
        """
        total = f"/{self.total:.0f}" if self.total else ""
        return f"{int(self.done)}{total} {self.unit}".rstrip()

    @property
    def ended(self) -> bool:
        """Whether all of a known total is done."""
        return self.done >= self.total > 0


Notify = Callable[[Event], None]


def silent(event: Event) -> None:
    """A listener that ignores everything."""
