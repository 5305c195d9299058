"""Records to JSON and back, their digests, and files that are either complete or absent."""

import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from autoseg.errors import DataError, ResourceError
from planners.contracts import Record

R = TypeVar("R", bound=Record)

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def digest(record: Record) -> str:
    """SHA-256 of the record's canonical JSON without its provenance, as hex.

    >>> from planners.contracts import Parent
    >>> digest(Parent(name="a", digest="b")) == digest(Parent(name="a", digest="b"))
    True
    """
    content = record.model_dump(mode="json", exclude={"provenance"})
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def write(path: Path, record: Record) -> None:
    """Write a record as indented JSON, atomically."""
    write_bytes(path, (record.model_dump_json(indent=1) + "\n").encode())


def read(path: Path, kind: type[R]) -> R:
    """Read a record of a known kind.

    Raises:
        DataError: The file is not such a record; the message names the JSON path.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = "$." + ".".join(str(part) for part in first["loc"])
        raise DataError(
            f"{path}: not a valid {kind.__name__}: at {where}: {first['msg']}; delete the file to have it made anew"
        ) from error


def changes(before: Record, now: Record) -> tuple[str, ...]:
    """The fields that differ, one line each: JSON path, before, now. Parents and provenance have no part in it.

    >>> from planners.contracts import Parent
    >>> changes(Parent(name="a", digest="b"), Parent(name="a", digest="c"))
    ('$.digest: "b" -> "c"',)
    """
    left_out = {"parents", "provenance"}
    old, new = (record.model_dump(mode="json", exclude=left_out) for record in (before, now))
    return tuple(_differences(old, new, "$"))


def _differences(before: object, now: object, where: str) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in {**before, **now}:
            yield from _differences(before.get(key), now.get(key), f"{where}.{key}")
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for index, (old, new) in enumerate(zip(before, now, strict=True)):
            yield from _differences(old, new, f"{where}[{index}]")
    elif before != now:
        yield f"{where}: {json.dumps(before)} -> {json.dumps(now)}"


def write_bytes(path: Path, content: bytes) -> None:
    """Make a file appear with all its content, or not at all."""
    write_with(path, lambda file: file.write(content))


def write_array(path: Path, array: NDArray) -> None:
    """Make a ``.npy`` file appear with all its content, or not at all.

    Raises:
        ResourceError: There is no room for it.
    """
    write_with(path, lambda file: np.save(file, array, allow_pickle=False))


def write_with(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Make a file appear with all that ``write`` writes, or not at all: temporary file, fsync, rename.

    Raises:
        ResourceError: There is no room for it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        publish(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if error.errno not in _NO_ROOM:
            raise
        raise ResourceError(
            f"{path}: could not be written: {error.strerror}; free some space or raise the quota, then run the same "
            "command again: it goes on from what is there"
        ) from error


def publish(temporary: Path, path: Path) -> None:
    """Rename a finished temporary file to its final name and make the rename durable."""
    os.replace(temporary, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, as hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
