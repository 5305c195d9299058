"""Checkpoints as bytes: everything a job needs to go on, sealed with a SHA-256.

The seal stands before the content, in the same bytes, so that there is no moment at which the two can disagree.
"""

import hashlib
import io
import pickle
from typing import Any

import torch

MAGIC = b"autoseg checkpoint 1\n"


class DamagedCheckpointError(ValueError):
    """The bytes are not a whole checkpoint."""


def seal(state: dict[str, Any]) -> bytes:
    """Tensors, numbers, strings, lists and dictionaries of them to bytes."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    return MAGIC + hashlib.sha256(content).digest() + content


def unseal(sealed: bytes) -> dict[str, Any]:
    """Bytes of ``seal`` back to the state, on the CPU.

    Raises:
        DamagedCheckpointError: The bytes were cut short or changed.
    """
    start = len(MAGIC) + hashlib.sha256().digest_size
    content = sealed[start:]
    if not sealed.startswith(MAGIC) or hashlib.sha256(content).digest() != sealed[len(MAGIC) : start]:
        raise DamagedCheckpointError(f"{len(sealed)} bytes that are not a whole checkpoint")
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise DamagedCheckpointError(f"content cannot be read: {error}") from error
    return dict(state)
