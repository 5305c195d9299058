"""The energy that training takes, in joules: from counters in the hardware where they can be read, else estimated.

Counters cover whatever else runs on the same processor or accelerator; an estimate covers this process alone. Neither
knows of memory, disks, fans and power supplies. Each number says where it comes from, and there is none where nothing
tells. In a team the leader alone counts: its machine's processors, and its accelerator.
"""

import ctypes
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

POWERCAP = Path("/sys/class/powercap")
"""Where Linux shows the counters of processors; since 2020 to the administrator only."""
CORE_W = 12.0
"""Of one busy core of an unknown processor: what Green Algorithms reckons with (Lannelongue et al. 2021,
doi:10.1002/advs.202100707; "Any" in its table of processors)."""
INTERVAL_S = 10.0
"""Between two looks; the smallest counters begin anew after some minutes."""
RAPL, NVML, PROCESSOR_TIME = "rapl", "nvml", "processor_time"
HOW = {
    RAPL: "measured by the processors (RAPL), with all else that ran on them",
    NVML: "measured by the accelerator (NVML), with all else that ran on it",
    PROCESSOR_TIME: f"estimated from processor time at {CORE_W:g} W per busy core: no counter can be read here",
}
Spent = dict[str, float | None]
"""Joules by source; None where a counter failed on the way."""


@dataclass(frozen=True)
class Part:
    """The energy of one kind of hardware.

    Attributes:
        joules: None: nothing here tells.
        measured: By the hardware itself; False: estimated, or unknown.
        how: Where the number comes from, or why there is none.
    """

    joules: float | None
    measured: bool
    how: str


class Meter:
    """Adds up joules from now on.

    Args:
        device: That trains.
        spent: What was counted before; changed in place.
    """

    def __init__(self, device: torch.device, spent: Spent) -> None:
        self._spent, self._counters = spent, (*_processors(), *_accelerator(device))
        self._looked = time.monotonic()

    def look(self, *, last: bool = False) -> None:
        """Add what was taken since the last look: now and then, and always at the ``last`` one."""
        if not last and time.monotonic() - self._looked < INTERVAL_S:
            return
        self._looked = time.monotonic()
        for counter in self._counters:
            before = self._spent.get(counter.source, 0.0)
            try:
                joules: float | None = counter.passed()
            except OSError:
                joules = None
            self._spent[counter.source] = None if joules is None or before is None else before + joules


def parts(spent: Spent, device: torch.device) -> tuple[Part, ...]:
    """What a job took, by where the numbers come from.

    >>> parts({"rapl": 5200.0}, torch.device("cpu"))[0].joules
    5200.0
    """
    found = [_part(source, joules) for source, joules in spent.items()]
    if device.type != "cpu" and NVML not in spent:
        found.append(Part(None, False, f"unknown for {device}: it has no counter that can be read here"))
    return tuple(found)


def _part(source: str, joules: float | None) -> Part:
    if joules is None:
        return Part(None, False, f"unknown: {source} could not be read to the end")
    return Part(round(joules, 1), source != PROCESSOR_TIME, HOW[source])


# -------------------------------------------------------------------------------------------------------- counters


class _Counter(Protocol):
    source: str

    def passed(self) -> float:
        """Joules since the last call, or since the counter was made; raises OSError where that fails."""
        ...


class _Package:
    """One processor's counter of microjoules, which begins anew now and then."""

    source = RAPL

    def __init__(self, folder: Path) -> None:
        self._file, self._range = folder / "energy_uj", int((folder / "max_energy_range_uj").read_text())
        self._before = int(self._file.read_text())

    def passed(self) -> float:
        now = int(self._file.read_text())
        before, self._before = self._before, now
        return (now - before) % (self._range + 1) * 1e-6


class _ProcessorTime:
    """This process's busy cores, all threads together."""

    source = PROCESSOR_TIME

    def __init__(self) -> None:
        self._before = time.process_time()

    def passed(self) -> float:
        now = time.process_time()
        before, self._before = self._before, now
        return CORE_W * (now - before)


class _Accelerator:
    """An NVIDIA accelerator's counter of millijoules since its driver was loaded."""

    source = NVML

    def __init__(self, device: torch.device) -> None:
        self._library, self._handle = ctypes.CDLL("libnvidia-ml.so.1"), ctypes.c_void_p()
        name = f"GPU-{torch.cuda.get_device_properties(device).uuid}".encode()
        _require(self._library.nvmlInit_v2())
        _require(self._library.nvmlDeviceGetHandleByUUID(name, ctypes.byref(self._handle)))
        self._before = self._read()

    def passed(self) -> float:
        now = self._read()
        before, self._before = self._before, now
        return (now - before) * 1e-3

    def _read(self) -> int:
        millijoules = ctypes.c_ulonglong()
        _require(self._library.nvmlDeviceGetTotalEnergyConsumption(self._handle, ctypes.byref(millijoules)))
        return millijoules.value


def _require(code: int) -> None:
    if code != 0:
        raise OSError(code, f"NVML answered {code}")


def _processors() -> Iterator[_Counter]:
    """The counters of all processors, or else the time of this process."""
    folders = sorted(folder for folder in POWERCAP.glob("intel-rapl:*") if _is_package(folder))
    try:
        packages = [_Package(folder) for folder in folders]
    except (OSError, ValueError):  # not for everybody to read
        packages = []
    yield from packages
    if not packages:
        yield _ProcessorTime()


def _is_package(folder: Path) -> bool:
    """Parts of a processor, and whole platforms, have counters too, which must not be added to its own."""
    try:
        return (folder / "name").read_text().startswith("package")
    except OSError:
        return False


def _accelerator(device: torch.device) -> Iterator[_Counter]:
    if device.type == "cuda":
        try:
            yield _Accelerator(device)
        except (OSError, AttributeError):  # no such library, no such function, or no such counter
            return
