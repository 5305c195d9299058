"""Two generations of a file, so that at every moment at least one whole one stands."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from autoseg import records

LATEST, PREVIOUS = "latest", "previous"


def load(folder: Path) -> Iterator[bytes]:
    """The contents that are there, newest first."""
    for name in (LATEST, PREVIOUS):
        path = folder / name
        if path.exists():
            yield path.read_bytes()


def save(folder: Path, write: Callable[[BinaryIO], object]) -> None:
    """Keep the newest as the previous one, and write a new one.

    Raises:
        ResourceError: The disk is full; the previous one stands.
    """
    latest = folder / LATEST
    if latest.exists():
        latest.replace(folder / PREVIOUS)
    records.write_with(latest, write)
