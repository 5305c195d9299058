"""Wall-clock and peak memory of a command's whole process tree.

    python -m benchmarks.measure autoseg run SOURCE OUT --hours 0.4

Memory is the largest sum of proportional set sizes (PSS: shared pages divided among their users) seen in samples taken
twice a second. Prints one JSON line after the command's own output and exits as the command did.
"""

import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass

import psutil

SAMPLE_S = 0.5


@dataclass(frozen=True)
class Measurement:
    """What a command cost."""

    command: str
    returncode: int
    wall_s: float
    peak_memory_gb: float


def measure(command: list[str]) -> Measurement:
    """Run a command to its end and watch it."""
    started = time.monotonic()
    child = subprocess.Popen(command)
    peak = 0
    while child.poll() is None:
        peak = max(peak, tree_bytes(child.pid))
        time.sleep(SAMPLE_S)
    wall_s = time.monotonic() - started
    return Measurement(" ".join(command), child.returncode, round(wall_s, 1), round(peak / 1e9, 3))


def tree_bytes(pid: int) -> int:
    """Memory of a process and all below it, in bytes; 0 for what has just ended."""
    try:
        root = psutil.Process(pid)
        return sum(_own_bytes(process) for process in (root, *root.children(recursive=True)))
    except psutil.NoSuchProcess:
        return 0


def _own_bytes(process: psutil.Process) -> int:
    try:
        facts = process.memory_full_info()
        return int(getattr(facts, "pss", facts.rss))
    except psutil.Error:
        return 0


if __name__ == "__main__":
    made = measure(sys.argv[1:])
    print(json.dumps(asdict(made)))
    sys.exit(made.returncode)
