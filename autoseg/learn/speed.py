"""How fast a machine trains convolutions, and how much room there is.

Planning knows nothing of hardware; it reads the ``Budget`` that ``measure`` makes once per run folder, in seconds.
"""

import functools
import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from autoseg import machine
from autoseg.errors import ResourceError
from autoseg.learn import memory
from autoseg.learn.device import prepare, product, wait
from autoseg.learn.networks import layout, place
from autoseg.learn.networks.plain_unet import ConvolutionUnit, initialize
from autoseg.learn.precision import autocast, computes_right, has_bf16
from planners.contracts import Budget, Precision, Throughput

SECONDS_PER_MEASUREMENT = 0.25
"""Least time that each throughput is measured for."""
WORTHWHILE = 1.15
"""How many times faster than float32 a lower precision must be to be chosen."""
UNITS_PER_NETWORK = 20
"""Convolutions in a typical planned network; converts the overhead of one into the overhead of a step."""

_Measured = dict[int, tuple[tuple[int, int, tuple[int, ...]], ...]]
_ON_A_CPU: _Measured = {
    2: ((4, 16, (160, 160)), (4, 32, (80, 80))),
    3: ((4, 16, (28, 36, 28)), (4, 32, (14, 18, 14))),
}
_ON_AN_ACCELERATOR: _Measured = {
    2: ((12, 32, (256, 256)), (12, 64, (128, 128))),
    3: ((2, 32, (96, 96, 96)), (2, 64, (48, 48, 48))),
}
"""Batch, channels and patch of the two convolutions measured per dimension: as in the first stages of what is planned
for such a machine, where most of the work is. What a CPU is measured by would not fill an accelerator."""


def measure(device: torch.device, folder: Path, accelerators: int = 1) -> Budget:
    """Measure the machine; what a user may choose (preset, hours, folds, determinism) keeps its default.

    Args:
        device: Where training will run.
        folder: The run folder or an existing one above it; its disk is looked at.
        accelerators: How many like it there are.

    Raises:
        ResourceError: The device computes wrongly.
    """
    prepare(device, deterministic=False)
    if not computes_right(device, "fp32"):
        raise ResourceError(
            f"{device} ({product(device)}) gets convolutions wrong with torch {torch.__version__}, also in float32; "
            "update torch or the device's driver, or train with --device cpu"
        )
    precisions = [p for p in _candidates(device) if p == "fp32" or computes_right(device, p)]
    with memory.recycling():  # as in training
        throughputs = tuple(_throughput(device, dimension, p) for dimension in (2, 3) for p in precisions)
        step_overhead_s = _step_overhead(device)
    memory.give_back(device)
    ram = machine.ram_bytes()
    return Budget(
        device=str(device),
        device_name=product(device),
        cores=machine.cores(),
        accelerators=accelerators,
        memory_bytes=memory.free_bytes(device) if device.type == "cuda" else ram,
        ram_bytes=ram,
        disk_bytes=shutil.disk_usage(folder).free,
        precision=_fastest(throughputs),
        throughputs=throughputs,
        step_overhead_s=step_overhead_s,
    )


def _throughput(device: torch.device, dimension: int, precision: Precision) -> Throughput:
    work = seconds = 0.0
    measured = _ON_A_CPU if device.type == "cpu" else _ON_AN_ACCELERATOR
    for batch, channels, patch in measured[dimension]:
        unit = place(_unit(dimension, channels, channels), device, dimension)
        x = torch.randn(batch, channels, *patch).to(device).contiguous(memory_format=layout(device, dimension))
        step_s = _seconds_per_call(functools.partial(_step, unit, x, precision), device)
        voxels = batch * math.prod(patch)
        work += 3 * 2 * 3**dimension * channels * channels * voxels
        seconds += step_s
    return Throughput(
        dimension=3 if dimension == 3 else 2,
        precision=precision,
        flops_per_s=work / seconds,
        bytes_per_s=_bytes_per_s(device),
    )


def _step(unit: nn.Module, x: Tensor, precision: Precision) -> None:
    x = x.detach().requires_grad_()
    with autocast(x.device, precision):
        y = unit(x)
    y.backward(torch.ones_like(y))


def _bytes_per_s(device: torch.device) -> float:
    source = torch.ones((128 if device.type == "cpu" else 512) << 20, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * source.numel() / _seconds_per_call(lambda: target.copy_(source), device, least_s=0.02)


def _step_overhead(device: torch.device) -> float:
    """Seconds of a training step that do not depend on the size of the patch."""
    unit = place(_unit(3, 8, 8), device, 3)
    optimizer = torch.optim.SGD(unit.parameters(), 1e-3, 0.9, nesterov=True)
    x = torch.randn(2, 8, 4, 4, 4).to(device)

    def tiny_step() -> None:
        _step(unit, x, "fp32")
        optimizer.step()

    return UNITS_PER_NETWORK * _seconds_per_call(tiny_step, device, least_s=0.05)


def _seconds_per_call(
    call: Callable[[], object], device: torch.device, least_s: float = SECONDS_PER_MEASUREMENT
) -> float:
    """The shortest duration of a call, after warming up; other processes can only make it longer."""
    call()
    wait(device)
    durations: list[float] = []
    while sum(durations) < least_s or len(durations) < 3:
        started = time.perf_counter()
        call()
        wait(device)
        durations.append(time.perf_counter() - started)
    return min(durations)


def _unit(dimension: int, channels_in: int, channels_out: int) -> ConvolutionUnit:
    unit = ConvolutionUnit(channels_in, channels_out, (3,) * dimension, (1,) * dimension)
    initialize(unit, seed=0)
    return unit


def _candidates(device: torch.device) -> tuple[Precision, ...]:
    if device.type == "cuda":
        return ("fp32", "bf16") if has_bf16(device) else ("fp32", "fp16")
    return ("fp32", "bf16") if device.type == "cpu" else ("fp32",)


def _fastest(throughputs: tuple[Throughput, ...]) -> Precision:
    speed = {t.precision: t.flops_per_s for t in throughputs if t.dimension == 3}
    best = max(speed, key=lambda precision: speed[precision])
    return best if speed[best] > WORTHWHILE * speed["fp32"] else "fp32"
