"""The journal of a run: its event log, the time it has worked, its peak memory, and its ear for signals.

A ``Journal`` is the ``notify`` that the pipeline hands to every stage. Because stages notify often, it is also where a
run learns that it should stop: after SIGTERM or Ctrl-C the next event raises ``Interrupted``, and the stage saves.
"""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType, TracebackType

import psutil

from autoseg import records
from autoseg.contracts import Run
from autoseg.errors import Interrupted
from autoseg.events import Event, Notify, silent
from autoseg.workspace import Workspace

HEARTBEAT_S = 5.0
"""At most this much work goes uncounted when the process is killed."""


class Journal:
    """Counts, logs and passes on the events of one process working in a run folder.

    Attributes:
        run: The latest state of ``run.json``.
    """

    def __init__(self, workspace: Workspace, run: Run, listener: Notify = silent) -> None:
        self.run = run
        self._workspace = workspace
        self._listener = listener
        self._beat = time.monotonic()
        self._logged: dict[str, float] = {}
        self._stop = threading.Event()
        self._events = workspace.events
        self._events.parent.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> "Journal":
        """Start counting."""
        self._beat = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Count the last stretch."""
        self._count()

    def __call__(self, event: Event) -> None:
        """Log and pass on one event.

        Raises:
            Interrupted: A signal asked the run to stop.
        """
        now = time.monotonic()
        if event.what != "progress" or now - self._logged.get(event.stage, 0.0) > 1.0 or event.ended:
            self._logged[event.stage] = now
            with open(self._events, "a", encoding="utf-8") as log:
                log.write(f'{{"time": {time.time():.3f}, "event": {event.model_dump_json()}}}\n')
        if now - self._beat > HEARTBEAT_S:
            self._count()
        self._listener(event)
        if self._stop.is_set():
            raise Interrupted("stopped by a signal; everything is saved, the same command goes on from here")

    @property
    def worked_s(self) -> float:
        """Seconds of work in this run folder, earlier processes included."""
        return self.run.worked_s + time.monotonic() - self._beat

    @contextlib.contextmanager
    def listening_for_signals(self) -> Iterator[None]:
        """Turn SIGTERM and Ctrl-C into ``Interrupted`` at the next event; a second signal stops at once.

        Off the main thread, where Python allows no handlers, this does nothing.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        for number in before:
            signal.signal(number, self._on_signal)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._stop.is_set():
            raise KeyboardInterrupt
        self._stop.set()
        said = "stopping: what is in hand is saved first; once more stops at once, and goes on from the last save"
        with contextlib.suppress(RuntimeError):  # the signal came in the middle of a write: that one is not disturbed
            self._listener(Event(stage=signal.Signals(number).name, what="note", detail=said))

    def _count(self) -> None:
        now = time.monotonic()
        self.run = self.run.model_copy(
            update={
                "worked_s": self.run.worked_s + now - self._beat,
                "peak_memory_bytes": max(self.run.peak_memory_bytes, memory_of_tree()),
            }
        )
        self._beat = now
        records.write(self._workspace.run, self.run)


def memory_of_tree() -> int:
    """Memory of this process and its children in bytes; shared pages are counted once where the system tells (PSS)."""
    total = 0
    me = psutil.Process()
    for process in (me, *me.children(recursive=True)):
        with contextlib.suppress(psutil.Error):  # a child may end while we look
            facts = process.memory_full_info()
            total += getattr(facts, "pss", facts.rss)
    return total
