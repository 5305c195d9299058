"""Memory while training: how much was taken at most, and keeping what is freed for the next step."""

import contextlib
import ctypes
import gc
from collections.abc import Iterator
from pathlib import Path

import torch

from autoseg import environment, machine

_SMALL_BINS, _TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = 1, -1, -3, -4
"""Names of switches, from malloc.h."""
_SAID_OF_MEMORY = ("allocate memory", "out of memory", "ALLOC_FAILED", "unable to find an engine")
"""By torch, CUDA, cuBLAS and cuDNN. The last is torch's, once all of cuDNN's algorithms failed: mostly because none of
their workspaces found room."""


def peak_bytes(device: torch.device) -> int | None:
    """Most memory this process has held so far, on the accelerator if it trains on one; None: not known here."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    lines = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
    return int(lines[0].split()[1]) * 1024 if lines else None


def free_bytes(device: torch.device) -> int:
    """What could still be taken, of the accelerator or of this machine.

    What torch keeps for the next tensor is free, too: to the driver it is taken, as a rule almost all there is.
    """
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + kept
    return machine.ram_bytes()


def exhausted(error: BaseException) -> bool:
    """Whether an error says that memory ran out; torch has a type of its own for that on accelerators only."""
    said = str(error)
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and any(words in said for words in _SAID_OF_MEMORY)
    )


def give_back(device: torch.device) -> None:
    """Return what is cached and unused, so that pieces of other sizes find room."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


@contextlib.contextmanager
def recycling() -> Iterator[None]:
    """Within the ``with`` block, memory that is freed stays with this process; afterwards the system gets it back.

    Every training step allocates the same tensors. GNU's C library would hand large ones back to the system and get
    them anew as pages that must be cleared first: a training step took up to a quarter longer, and how much memory it
    took was a matter of chance. Other C libraries have no such switches, and nothing changes.
    """
    library = _gnu_library()
    if library is None:
        yield
        return
    library.mallopt(_MMAP_MAX, 0)
    library.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    library.mallopt(_SMALL_BINS, 0)  # what lies between large blocks is joined to them, see ``autoseg.environment``
    try:
        yield
    finally:
        library.mallopt(_SMALL_BINS, 128)  # these four are the library's own, or where its rules end up
        library.mallopt(_MMAP_MAX, 1 << 16)
        library.mallopt(_MMAP_THRESHOLD, 32 << 20)
        library.mallopt(_TRIM_THRESHOLD, 64 << 20)
        library.malloc_trim(0)


def _gnu_library() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if environment.gnu() else None
