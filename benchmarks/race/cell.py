"""One cell of a race: who trained what for how long, where, and how well it did."""

import datetime
import os
import platform
import subprocess
from pathlib import Path

import psutil
import torch

from autoseg import machine
from autoseg.contracts import Scores
from planners.contracts import Record, Version


class Setting(Record):
    """Something that was chosen, measured or found while the cell was made."""

    name: str
    value: str


class Machine(Record):
    """Where steps were timed. Cells whose steps were counted out by different machines cannot be compared."""

    processor: str
    cores: int
    system: str
    accelerator: str = ""  # empty: the processor trains


class Timed(Record):
    """Circumstances under which the speed was measured that counts steps out."""

    machine: Machine | None = None  # null: timed before this was kept, on the machine that trains
    load_before: float
    load_after: float
    others_share: float  # of the cores' time, that other processes took meanwhile


class Cell(Record):
    """The outcome of one training."""

    task: str
    contender: str
    minutes: float  # of training that were asked for
    seed: int
    fold: int = 0  # of the committed splits, that it was judged on
    started: str
    machine: Machine
    load_before: float  # average of the last minute; after another cell, that cell's
    load_after: float
    others_share: float  # of the cores' time, that other processes took while the speed was measured that counts steps
    versions: tuple[Version, ...]
    train_s: float  # on the clock; other work beside it makes it longer and changes nothing else
    steps: int
    batch: int
    patch_vox: tuple[int, ...]
    settings: tuple[Setting, ...]
    changed: tuple[str, ...] = ()  # of what was planned; in a race, nothing is
    scores: Scores
    scores_without_mirroring: Scores | None = None  # null: `scores` are without already


def file_name(task: str, contender: str, minutes: float, seed: int) -> str:
    """Of a cell's record.

    >>> file_name("hippocampus", "nnunet", 20.0, 1)
    'hippocampus-nnunet-20min-seed1.json'
    """
    return f"{task}-{contender}-{minutes:g}min-seed{seed}.json"


def settings(**values: object) -> tuple[Setting, ...]:
    """Settings from keywords."""
    return tuple(Setting(name=name, value=str(value)) for name, value in values.items())


def this_machine(device: str) -> Machine:
    """The machine at hand, with what trains on it: ``cpu`` or ``cuda``."""
    return Machine(
        processor=_processor(),
        cores=machine.cores(),
        system=f"{platform.system()} {platform.machine()}",
        accelerator=torch.cuda.get_device_name() if device == "cuda" else "",
    )


class Watch:
    """How much of the machine others take from now on. What virtual machines call stolen counts as theirs."""

    def __init__(self) -> None:
        self._load, self._before = load(), self._seconds()

    def timed(self, device: str) -> Timed:
        """The circumstances since the start, for what was timed on a device."""
        share = self.others_share()
        return Timed(machine=this_machine(device), load_before=self._load, load_after=load(), others_share=share)

    def others_share(self) -> float:
        """Of all cores' time since the start, from 0 to 1."""
        busy, own, passed = (now - then for now, then in zip(self._seconds(), self._before, strict=True))
        return round(max(0.0, busy - own) / (passed * (os.cpu_count() or 1)), 3)

    @staticmethod
    def _seconds() -> tuple[float, float, float]:
        """Of work by all, of work by this process and its ended children, and on the clock."""
        total, own = psutil.cpu_times(), os.times()
        idle = total.idle + getattr(total, "iowait", 0.0) + getattr(total, "guest", 0.0)  # guest is in user, too
        return sum(total) - idle, sum(own[:4]), own.elapsed


def load() -> float:
    """Processes that wanted a core during the last minute."""
    return round(os.getloadavg()[0], 2)


def now() -> str:
    """The time, in UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def commit() -> str:
    """The state of our own code; "unknown" outside of a working copy."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    return made.stdout.strip() or "unknown"


def _processor() -> str:
    """Name and family, as virtual machines seldom tell the model."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return f"{facts.get('model name', '')}, family {facts.get('cpu family', '?')}, model {facts.get('model', '?')}"
