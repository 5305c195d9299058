"""Progress for people: bars with ETA on a terminal, plain timestamped lines elsewhere. Both are drawn from events."""

import contextlib
import sys
import time
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from autoseg.events import Event, Notify

LINE_EVERY_S = 15.0


@contextlib.contextmanager
def shown() -> Iterator[Notify]:
    """A listener that draws on standard error for the duration of a ``with`` block."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Lines()
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
            amount=f"{event.done:.0f}/{event.total:.0f} {event.unit}",
            detail=event.detail,
        )


class Lines:
    """One line when a stage starts, every quarter of a minute, and when it ends."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[float, float]] = {}
        self._last: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        """Write one event, or nothing if there was a line a moment ago."""
        now = time.monotonic()
        if event.what != "progress":
            self._write(f"{event.stage}: {'warning: ' if event.what == 'warning' else ''}{event.detail}")
            return
        ended = event.total > 0 and event.done >= event.total
        if not ended and now - self._last.get(event.stage, -1e9) < LINE_EVERY_S:
            return
        since, done_then = self._first.setdefault(event.stage, (now, event.done))
        self._last[event.stage] = now
        amount = f"{event.done:.0f}/{event.total:.0f} {event.unit}".rstrip()
        eta = "" if ended else _eta(now - since, event.done - done_then, event.total - event.done)
        self._write(", ".join(part for part in (f"{event.stage}: {amount}", event.detail, eta) if part))

    @staticmethod
    def _write(text: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # nobody reads our log; the work goes on
            sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
            sys.stderr.flush()


def _eta(elapsed_s: float, done: float, left: float) -> str:
    if done <= 0:
        return ""
    seconds = elapsed_s / done * left
    return f"{seconds / 60:.1f} min left" if seconds > 90 else f"{seconds:.0f} s left"
