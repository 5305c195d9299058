"""When checkpoints are written: often enough to lose little, so rarely that it costs next to nothing."""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from autoseg.errors import DoesNotFit, Interrupted, UnreadableFile
from autoseg.learn import checkpoint
from autoseg.learn.state import TrainingState

LONGEST_INTERVAL_S = 300.0
"""Between two checkpoints, however long writing takes."""
WRITING_SHARE = 0.01
"""Of the time that may go into checkpoints."""


@dataclass(frozen=True)
class Store:
    """Where checkpoints go. ``load`` gives the saved generations, newest first; ``save`` makes one atomically of what
    the function that it is given writes.
    """

    load: Callable[[], Iterable[bytes]]
    save: Callable[[Callable[[BinaryIO], None]], None]


class Saver:
    """Writes checkpoints, at most every ``interval_s`` and so that writing takes at most 1 % of the time.

    Args:
        store: Where to.
        key: Says which job a checkpoint belongs to.
        interval_s: Shortest time between two.
    """

    def __init__(self, store: Store, key: str, interval_s: float) -> None:
        self._store, self._key, self._shortest = store, key, interval_s
        self._interval, self._last = interval_s, time.monotonic()

    def save_if_due(self, state: TrainingState) -> None:
        """Write one if the last is old enough."""
        if time.monotonic() - self._last >= self._interval:
            self.save(state)

    def save(self, state: TrainingState) -> None:
        """Write one now."""
        started = time.monotonic()
        sealed = {"key": self._key, "state": state.to_dict()}
        self._store.save(lambda file: checkpoint.seal(sealed, file))
        self._last = time.monotonic()
        rare = min((self._last - started) / WRITING_SHARE, LONGEST_INTERVAL_S)
        self._interval = max(self._shortest, rare)

    @contextlib.contextmanager
    def when_interrupted(self, state: TrainingState) -> Iterator[None]:
        """Write one when the work in the ``with`` block is interrupted, or cannot go on for want of a case."""
        try:
            yield
        except (Interrupted, UnreadableFile, DoesNotFit):
            self.save(state)
            raise


def restore(store: Store, key: str, state: TrainingState) -> None:
    """Bring the state to the newest checkpoint that is whole and belongs to the job; leave it as it is without one."""
    for sealed in store.load():
        with contextlib.suppress(checkpoint.DamagedCheckpointError):
            saved = checkpoint.unseal(sealed)
            if saved["key"] == key:
                state.restore(saved["state"])
                return
