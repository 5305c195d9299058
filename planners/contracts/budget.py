"""The machine, and what it may spend."""

from typing import Literal

from planners.contracts.base import Precision, Record, StageRecord

Preset = Literal["fast", "standard", "max"]


class Throughput(Record):
    """Effective speed of training convolutions, measured on this machine."""

    dimension: Literal[2, 3]
    precision: Precision
    flops_per_s: float
    bytes_per_s: float


class Budget(StageRecord):
    """The machine at hand and what it may spend. Measured once per run folder."""

    device: str  # "cpu", "cuda:0", "mps"
    device_name: str
    cores: int
    accelerators: int = 1  # like `device`, that jobs are spread over
    memory_bytes: int  # that training may use: free accelerator memory, or free RAM on a CPU
    ram_bytes: int  # free RAM
    disk_bytes: int  # free disk space in the run folder
    precision: Precision  # fastest precision that passed the numeric self-test
    throughputs: tuple[Throughput, ...]
    step_overhead_s: float
    preset: Preset = "standard"
    hours: float | None = None  # null: the preset sizes the schedule
    folds: int = 5
    deterministic: bool = False
    device_gb: float | None = None  # asked for, then also in `memory_bytes`; null: planners that assume one do so
    step_time_correction: float = 1.0  # measured / predicted seconds per step of the plan's first draft
