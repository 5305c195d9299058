"""Whether everything works on this machine: what ``autoseg doctor`` tells."""

import os
import platform
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from autoseg.learn import device as machine
from autoseg.learn import speed
from autoseg.row.resume import PACKAGES
from planners.contracts import Budget, Record

LEAST_RAM_BYTES = 3 * 10**9
LEAST_DISK_BYTES = 2 * 10**9


class Check(Record):
    """One thing looked at."""

    name: str
    ok: bool
    found: str
    todo: str = ""  # what to do about it; empty if nothing


class Health(Record):
    """All that was looked at, and the machine as it was measured."""

    checks: tuple[Check, ...]
    budget: Budget


def examine(device: str) -> Health:
    """Look at the installation and measure the machine for some seconds.

    Raises:
        UsageError: There is no such device.
    """
    budget = speed.measure(machine.resolve(device), Path.cwd())
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    checks = (
        Check(
            name="python", ok=sys.version_info >= (3, 11), found=f"{platform.python_version()} on {platform.platform()}"
        ),
        Check(name="packages", ok=True, found=versions),
        Check(name="device", ok=True, found=f"{budget.device}: {budget.device_name}, {budget.cores} cores"),
        *(_speed(budget, precision) for precision in sorted({t.precision for t in budget.throughputs})),
        Check(name="precision", ok=True, found=f"{budget.precision} will be used: the fastest that computes right"),
        _room("memory", budget.ram_bytes, LEAST_RAM_BYTES, "close other programs, or use a machine with more"),
        _room("disk here", budget.disk_bytes, LEAST_DISK_BYTES, "free space, or work on another disk"),
        _temporary_folder(),
    )
    return Health(checks=checks, budget=budget)


def _speed(budget: Budget, precision: str) -> Check:
    found = [t for t in budget.throughputs if t.precision == precision]
    speeds = ", ".join(f"{t.dimension}D {t.flops_per_s / 1e9:.0f} GFLOP/s" for t in found)
    return Check(name=f"speed in {precision}", ok=True, found=speeds)


def _room(name: str, free_bytes: int, least_bytes: int, todo: str) -> Check:
    enough = free_bytes >= least_bytes
    found = f"{free_bytes / 1e9:.1f} GB free" + ("" if enough else f", fewer than {least_bytes / 1e9:.0f} GB")
    return Check(name=name, ok=enough, found=found, todo="" if enough else todo)


def _temporary_folder() -> Check:
    folder = tempfile.gettempdir()
    ok = os.access(folder, os.W_OK)
    return Check(name="temporary folder", ok=ok, found=folder, todo="" if ok else "set TMPDIR to a writable folder")
