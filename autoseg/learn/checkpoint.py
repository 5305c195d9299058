"""Checkpoints: everything a job needs to go on, sealed with a SHA-256.

The seal follows the content in the same file, so that there is no moment at which the two can disagree. It is computed
while the content is written: a checkpoint never exists in memory beside the tensors it is made of.
"""

import hashlib
import io
import pickle
from typing import Any, BinaryIO

import torch

MAGIC = b"autoseg checkpoint 5\n"
"""Stands between content and digest."""


class DamagedCheckpointError(ValueError):
    """The bytes are not a whole checkpoint."""


class _Hashing(io.RawIOBase):
    """Passes on what is written, and hashes it."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file, self._hash = file, hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:  # noqa: ANN401 - whatever holds bytes
        self._hash.update(content)
        return self._file.write(content)

    def digest(self) -> bytes:
        return self._hash.digest()


def seal(state: dict[str, Any], file: BinaryIO) -> None:
    """Write tensors, numbers, strings, lists and dictionaries of them."""
    hashing = _Hashing(file)
    torch.save(state, hashing)  # type: ignore[arg-type] # all it needs is to write
    file.write(MAGIC + hashing.digest())


def unseal(sealed: bytes) -> dict[str, Any]:
    """What ``seal`` wrote back to the state, on the CPU.

    Raises:
        DamagedCheckpointError: The bytes were cut short or changed.
    """
    end = len(sealed) - len(MAGIC) - hashlib.sha256().digest_size
    content = memoryview(sealed)[: max(0, end)]
    if end < 0 or sealed[end:] != MAGIC + hashlib.sha256(content).digest():
        raise DamagedCheckpointError(f"{len(sealed)} bytes that are not a whole checkpoint")
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise DamagedCheckpointError(f"content cannot be read: {error}") from error
    return dict(state)
