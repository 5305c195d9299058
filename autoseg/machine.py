"""How much memory and how many cores this process may use: of the machine, of its container, and of its batch job.

Linux control groups limit containers, and a batch system hands out a share; what the machine has beyond them only gets
a process killed. The least of all that can be found counts.
"""

import math
import os
from pathlib import Path

import psutil

_MIB = 2**20


def cores() -> int:
    """Cores this process may use: its affinity, the quota of its control group, and its share of a Slurm node."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    quota = _cgroup_cores()
    granted = _slurm("SLURM_CPUS_PER_TASK") or _slurm("SLURM_CPUS_ON_NODE")
    limits = [allowed, *([] if quota is None else [math.ceil(quota)]), *([] if granted is None else [granted])]
    return max(1, min(limits))


def ram_bytes() -> int:
    """Memory that this process may still take: of the machine, of its control group, and of its Slurm job."""
    free = int(psutil.virtual_memory().available)
    limits = [limit - used for limit, used in _cgroup_memory()]
    granted = _slurm_memory()
    if granted is not None:
        limits.append(granted - int(psutil.Process().memory_info().rss))
    return max(0, min([free, *limits]))


def gib(size_bytes: float) -> str:
    """A number of bytes as people read it.

    >>> gib(3 * 2**29)
    '1.5 GiB'
    """
    return f"{size_bytes / 2**30:.3g} GiB"


# ---------------------------------------------------------------------------------------------------- batch system


def _slurm(name: str) -> int | None:
    """A number that Slurm tells its jobs; none outside of one. No setting of ours, so not an option either."""
    try:
        value = int(os.environ[name])
    except (KeyError, ValueError):
        return None
    return value if value > 0 else None


def _slurm_memory() -> int | None:
    """What the job was granted on this node; Slurm counts in MiB."""
    whole, each = _slurm("SLURM_MEM_PER_NODE"), _slurm("SLURM_MEM_PER_CPU")
    if whole is not None:
        return whole * _MIB
    return None if each is None else each * (_slurm("SLURM_CPUS_ON_NODE") or 1) * _MIB


# -------------------------------------------------------------------------------------------------- control groups


def _cgroup_memory() -> list[tuple[int, int]]:
    """(limit, used without reclaimable file pages) of the control groups that hold this process; versions 1 and 2."""
    pairs = []
    for folder, limit_file, used_file in (
        *((folder, "memory.max", "memory.current") for folder in _cgroup_folders()),
        *((folder, "memory.limit_in_bytes", "memory.usage_in_bytes") for folder in _version_1_folders("memory")),
    ):
        limit, used = _number(folder / limit_file), _number(folder / used_file)
        if limit is not None and used is not None and limit < 1 << 60:
            pairs.append((limit, used - _inactive_file(folder / "memory.stat")))
    return pairs


def _cgroup_cores() -> float | None:
    shares = []
    for folder in _cgroup_folders():
        try:
            quota, period = (folder / "cpu.max").read_text().split()
            shares.append(int(quota) / int(period))
        except (OSError, ValueError):
            continue
    for folder in _version_1_folders("cpu"):
        granted, each = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
        if granted is not None and granted > 0 and each:  # -1: no limit
            shares.append(granted / each)
    return min(shares, default=None)


def _cgroup_folders() -> list[Path]:
    """Of version 2: the root, and each group down to the one of this process."""
    root = Path("/sys/fs/cgroup")
    try:
        own = Path("/proc/self/cgroup").read_text().strip().rpartition("::")[2].strip("/")
    except OSError:
        return [root]
    return [root, *(root / Path(*Path(own).parts[: n + 1]) for n in range(len(Path(own).parts)))]


def _version_1_folders(controller: str) -> list[Path]:
    """Of version 1: where a controller is mounted, and the group of this process below it."""
    mounted = Path("/sys/fs/cgroup") / controller
    try:
        lines = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    except OSError:
        return [mounted]
    own = [path.strip("/") for _, names, path in lines if controller in names.split(",")]
    return [mounted, *(mounted / path for path in own if path)]


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
