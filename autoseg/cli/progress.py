"""Progress for people: bars with ETA on a terminal, plain timestamped lines elsewhere. Both are drawn from events."""

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from autoseg.events import Event, Notify

LINE_EVERY_S = 15.0
LOOK_EVERY_S = 1.0
"""How often to see whether a line that was held back is due."""


@contextlib.contextmanager
def shown() -> Iterator[Notify]:
    """A listener that draws on standard error for the duration of a ``with`` block."""
    console = Console(stderr=True)
    if not console.is_terminal:
        with Lines() as lines:
            yield lines
        return
    bars = Bars(console)
    with bars.progress:
        yield bars


class Bars:
    """One bar per stage or job."""

    def __init__(self, console: Console) -> None:
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[amount]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[detail]}", style="dim"),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, event: Event) -> None:
        """Draw one event."""
        if event.what != "progress":
            style = "yellow" if event.what == "warning" else "dim"
            self.progress.console.print(f"{event.stage}: {event.detail}", style=style, highlight=False, markup=False)
            return
        if event.stage not in self._tasks:
            self._tasks[event.stage] = self.progress.add_task(event.stage, amount="", detail="")
        self.progress.update(
            self._tasks[event.stage],
            completed=event.done,
            total=event.total or None,
            amount=event.amount,
            detail=event.detail,
        )


class Lines:
    """One line when a stage starts, every quarter of a minute, and when it ends.

    What came too soon after another line is held back, and written once it has lasted: a single image that takes
    minutes is named meanwhile.
    """

    def __init__(self) -> None:
        self._first: dict[str, tuple[float, float]] = {}
        self._last: dict[str, float] = {}
        self._held: dict[str, Event] = {}
        self._lock = threading.RLock()  # a signal is told from within whatever it interrupts
        self._ended = threading.Event()
        self._reminder = threading.Thread(target=self._remind, daemon=True)

    def __enter__(self) -> "Lines":
        """Start to remind of what lasts."""
        self._reminder.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is written any more but what is notified."""
        self._ended.set()
        self._reminder.join()

    def __call__(self, event: Event) -> None:
        """Write one event, or hold it back if there was a line a moment ago."""
        with self._lock:
            if event.what != "progress":
                self._write(f"{event.stage}: {'warning: ' if event.what == 'warning' else ''}{event.detail}")
            elif event.ended or self._due(event.stage):
                self._progress(event)
            else:
                self._held[event.stage] = event

    def _due(self, stage: str) -> bool:
        return time.monotonic() - self._last.get(stage, -1e9) >= LINE_EVERY_S

    def _remind(self) -> None:
        while not self._ended.wait(LOOK_EVERY_S):
            with self._lock:
                for event in [event for stage, event in self._held.items() if self._due(stage)]:
                    self._progress(event)

    def _progress(self, event: Event) -> None:
        now = time.monotonic()
        self._held.pop(event.stage, None)
        since, done_then = self._first.setdefault(event.stage, (now, event.done))
        self._last[event.stage] = now
        eta = _eta(now - since, event.done - done_then, event.total - event.done)
        self._write(", ".join(part for part in (f"{event.stage}: {event.amount}", event.detail, eta) if part))

    @staticmethod
    def _write(text: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # nobody reads our log; the work goes on
            sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
            sys.stderr.flush()


def _eta(elapsed_s: float, done: float, left: float) -> str:
    if done <= 0 or left <= 0:
        return ""
    seconds = elapsed_s / done * left
    return f"{seconds / 60:.1f} min left" if seconds > 90 else f"{seconds:.0f} s left"
