"""How much memory and how many cores this process may use: of the machine, and of the container it runs in.

Linux control groups limit containers and batch jobs; what the machine has beyond them only gets a process killed.
"""

import contextlib
import ctypes
import math
import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import torch

from autoseg import environment

_SMALL_BINS, _TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = 1, -1, -3, -4
"""Names of switches, from malloc.h."""


def cores() -> int:
    """Cores this process may use: its affinity, and the quota of its control group."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    quota = _cgroup_cores()
    return max(1, min(allowed, math.ceil(quota))) if quota else allowed


def peak_bytes(device: torch.device) -> int | None:
    """Most memory this process has held so far, on the accelerator if it trains on one; None: not known here."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    lines = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
    return int(lines[0].split()[1]) * 1024 if lines else None


def ram_bytes() -> int:
    """Memory that this process may still take: of the machine, and of its control group."""
    free = int(psutil.virtual_memory().available)
    limits = [limit - used for limit, used in _cgroup_memory()]
    return max(0, min([free, *limits]))


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


def _cgroup_memory() -> list[tuple[int, int]]:
    """(limit, used without reclaimable file pages) of the control groups that hold this process; versions 1 and 2."""
    pairs = []
    for folder, limit_file, used_file in (
        *((folder, "memory.max", "memory.current") for folder in _cgroup_folders()),
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        limit, used = _number(folder / limit_file), _number(folder / used_file)
        if limit is not None and used is not None and limit < 1 << 60:
            pairs.append((limit, used - _inactive_file(folder / "memory.stat")))
    return pairs


def _cgroup_folders() -> list[Path]:
    root = Path("/sys/fs/cgroup")
    try:
        own = Path("/proc/self/cgroup").read_text().strip().rpartition("::")[2].strip("/")
    except OSError:
        return [root]
    return [root, *(root / Path(*Path(own).parts[: n + 1]) for n in range(len(Path(own).parts)))]


def _cgroup_cores() -> float | None:
    shares = []
    for folder in _cgroup_folders():
        try:
            quota, period = (folder / "cpu.max").read_text().split()
            shares.append(int(quota) / int(period))
        except (OSError, ValueError):
            continue
    return min(shares, default=None)


def _inactive_file(stat: Path) -> int:
    try:
        fields = dict(line.split() for line in stat.read_text().splitlines())
        return int(fields.get("total_inactive_file", fields.get("inactive_file", 0)))
    except (OSError, ValueError):
        return 0


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
