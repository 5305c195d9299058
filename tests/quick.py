"""Runs of the whole row in seconds: a budget that asks for few steps, put where the measured one would be."""

from pathlib import Path

from autoseg import records
from autoseg.contracts import Settings
from autoseg.row import resume
from autoseg.workspace import Workspace
from planners.contracts import Budget, Throughput

SETTINGS = Settings(hours=0.05, device="cpu", holdout=0.25, folds=2, seed=1, deterministic=True)


def prepare(out: Path, settings: Settings = SETTINGS, flops_per_s: float = 1.5e9) -> Path:
    """A run folder that has its budget already: a slow machine gets a small network and few steps."""
    speeds = [
        Throughput(dimension=dimension, precision="fp32", flops_per_s=flops_per_s, bytes_per_s=1e10)
        for dimension in (2, 3)
    ]
    budget = Budget(
        parents=resume.parents_of("budget", settings),
        device="cpu",
        device_name="made up",
        cores=2,
        memory_bytes=4 * 10**9,
        ram_bytes=4 * 10**9,
        disk_bytes=10**10,
        precision="fp32",
        throughputs=tuple(speeds),
        step_overhead_s=0.02,
        preset=settings.preset,
        hours=settings.hours,
        folds=settings.folds,
        deterministic=settings.deterministic,
        device_gb=settings.device_gb,
    )
    records.write(Workspace(out).budget, budget)
    return out
