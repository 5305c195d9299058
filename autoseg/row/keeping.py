"""What a run folder keeps: a record is made once, used as long as it is current, and redone only where that is allowed.

A record is current when it was made from exactly the parents it would be made from now (``autoseg.row.resume``).
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

from autoseg.contracts import Settings
from autoseg.events import Event, Notify
from autoseg.row import resume
from autoseg.workspace import Workspace, hold
from planners.contracts import Parent, StageRecord

S = TypeVar("S", bound=StageRecord)
Redo = Literal["nothing", "all", "keep-plan"]
"""What may be redone when something changed: nothing (say so and stop), all that depends on it, or all but the plan."""
KEPT_WITH_THE_PLAN = ("fingerprint", "budget", "plan", "search")


class Keeper:
    """Of the records of one run folder.

    Args:
        workspace: The run folder.
        settings: What was asked for.
        redo: What may be redone where something changed.
        alone: The folder's lock is held already; else it is held while a record is made.
        notify: Told what is begun, and what is redone.
    """

    def __init__(self, workspace: Workspace, settings: Settings, redo: Redo, *, alone: bool, notify: Notify) -> None:
        self._workspace = workspace
        self._settings = settings
        self._redo = redo
        self._alone = alone
        self._notify = notify

    def kept(self, name: str, kind: type[S], compute: Callable[[], S], **made_from: StageRecord) -> S:
        """The stored record if it is current, else a new one if it may be made.

        Args:
            name: Of the record.
            kind: Of record.
            compute: Makes it.
            made_from: The records that ``compute`` reads, by their names.

        Raises:
            ChangedInputs: It was made from something else, and nothing may be redone.
            BusyError: Another process works in the folder.
        """
        path = self._workspace.record(name)
        asked = resume.parents_of(name, self._settings, **made_from)
        before = resume.stored(path, kind)
        if before is not None:
            if before.parents == asked or (self._redo == "keep-plan" and name in KEPT_WITH_THE_PLAN):
                return before
            self.allow(name, before.parents, asked)
        self._notify(Event(stage=name, what="note", detail="started"))
        with self.locked():
            return resume.make(path, asked, compute)

    def locked(self) -> contextlib.AbstractContextManager[None]:
        """Nobody else works in the folder meanwhile."""
        if self._alone:
            return contextlib.nullcontext()  # held since the folder was opened
        return hold(self._workspace.lock, f"run folder {self._workspace.path}")

    def allow(self, name: str, before: tuple[Parent, ...], now: tuple[Parent, ...], files: Sequence[str] = ()) -> None:
        """Say that a record is redone.

        Args:
            name: Of the record.
            before: What it was made from.
            now: What it would be made from.
            files: Of the source that changed.

        Raises:
            ChangedInputs: Nothing may be redone.
        """
        if self._redo == "nothing":
            raise resume.changed(name, before, now, files)
        self._notify(Event(stage=name, what="note", detail="redone, because what it was made from changed"))
