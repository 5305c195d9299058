"""The machine: which device to use, how fast it trains convolutions, and how much room there is.

Planning knows nothing of hardware; it reads the ``Budget`` that ``measure`` makes once per run folder, in seconds.
"""

import functools
import math
import os
import platform
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from autoseg import machine
from autoseg.errors import UsageError
from autoseg.learn import memory
from autoseg.learn.networks import layout, place
from autoseg.learn.networks.plain_unet import ConvolutionUnit, initialize
from planners.contracts import Budget, Precision, Throughput

SECONDS_PER_MEASUREMENT = 0.25
"""Least time that each throughput is measured for."""
WORTHWHILE = 1.15
"""How many times faster than float32 a lower precision must be to be chosen."""
LARGEST_ERROR = 0.02
"""Relative to the largest output: what a low-precision convolution may be off; bfloat16 itself rounds by 0.004."""
UNITS_PER_NETWORK = 20
"""Convolutions in a typical planned network; converts the overhead of one into the overhead of a step."""

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
_SHAPES: dict[int, tuple[tuple[int, tuple[int, ...]], ...]] = {
    2: ((16, (160, 160)), (32, (80, 80))),
    3: ((16, (28, 36, 28)), (32, (14, 18, 14))),
}
"""Channels and patch of the two convolutions measured per dimension."""


def resolve(name: str) -> torch.device:
    """The device a user means by ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

    Raises:
        UsageError: No such device here; the message lists those there are.

    >>> resolve("cpu")
    device(type='cpu')
    """
    found = _available()
    wanted = found[0] if name == "auto" else "cuda:0" if name == "cuda" else name
    if wanted not in found:
        raise UsageError(f"device {name!r} is not available here; there are: auto, {', '.join(found)}")
    return torch.device(wanted)


def _available() -> list[str]:
    """Best first."""
    gpus = [f"cuda:{index}" for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return [*gpus, *(["mps"] if torch.backends.mps.is_available() else []), "cpu"]


def others(name: str) -> tuple[str, ...]:
    """Further GPUs that folds can be spread over, each as ``CUDA_VISIBLE_DEVICES`` names it to a process of its own.

    Only where ``name`` leaves the choice to us, and only GPUs with as much memory as the first, for which is planned.
    """
    if name not in ("auto", "cuda") or not torch.cuda.is_available():
        return ()
    count = torch.cuda.device_count()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(count)))).split(",")[:count]
    rooms = [torch.cuda.get_device_properties(index).total_memory for index in range(count)]
    return tuple(name.strip() for name, room in list(zip(visible, rooms, strict=True))[1:] if room >= rooms[0])


def prepare(device: torch.device, deterministic: bool) -> None:
    """Set torch's process-wide switches: all cores of this process, and repeatable kernels if asked for."""
    torch.set_num_threads(machine.cores())
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = not deterministic
        torch.backends.cudnn.deterministic = deterministic
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = not deterministic


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Run convolutions in the given precision; nothing changes for ``fp32``."""
    dtype = _DTYPES.get(precision)
    return torch.autocast(device.type, dtype=dtype, enabled=dtype is not None)


def measure(device: torch.device, folder: Path, accelerators: int = 1) -> Budget:
    """Measure the machine; what a user may choose (preset, hours, folds, determinism) keeps its default.

    Args:
        device: Where training will run.
        folder: The run folder or an existing one above it; its disk is looked at.
        accelerators: How many like it there are.
    """
    prepare(device, deterministic=False)
    precisions = [p for p in _candidates(device) if p == "fp32" or computes_right(device, p)]
    with memory.recycling():  # as in training
        throughputs = tuple(_throughput(device, dimension, p) for dimension in (2, 3) for p in precisions)
        step_overhead_s = _step_overhead(device)
    ram = machine.ram_bytes()
    return Budget(
        device=str(device),
        device_name=_name(device),
        cores=machine.cores(),
        accelerators=accelerators,
        memory_bytes=torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else ram,
        ram_bytes=ram,
        disk_bytes=shutil.disk_usage(folder).free,
        precision=_fastest(throughputs),
        throughputs=throughputs,
        step_overhead_s=step_overhead_s,
    )


# ----------------------------------------------------------------------------------------------------------- speed


def computes_right(device: torch.device, precision: Precision) -> bool:
    """Whether a low-precision convolution agrees with float32, forwards and backwards.

    Some library versions compute bfloat16 3D convolutions wrongly (pytorch issue 163539), and some processors lack the
    instructions; such a precision is left out.
    """
    convolution = nn.Conv3d(16, 32, 3, padding=1)
    initialize(convolution, seed=0)
    convolution.to(device).to(memory_format=layout(device, 3))  # type: ignore[call-overload]
    x = torch.randn(2, 16, 12, 12, 12, generator=torch.Generator().manual_seed(0)).to(device)
    x = x.contiguous(memory_format=layout(device, 3)).requires_grad_()
    reference = _gradients(convolution(x), x, convolution.weight)
    try:
        with autocast(device, precision):
            result = convolution(x)
        low = _gradients(result, x, convolution.weight)
    except RuntimeError:  # an optional acceleration that this build or processor does not have
        return False
    return all(_close(a, b) for a, b in zip(low, reference, strict=True))


def _gradients(y: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, ...]:
    target = torch.linspace(-1, 1, y.numel(), device=y.device).view(y.shape)
    return (y.detach().float(), *torch.autograd.grad((y.float() * target).sum(), (x, weight)))


def _close(low: Tensor, reference: Tensor) -> bool:
    error = (low.float() - reference.float()).norm() / reference.float().norm()
    return bool(error <= LARGEST_ERROR)


def _throughput(device: torch.device, dimension: int, precision: Precision) -> Throughput:
    work = seconds = 0.0
    for channels, patch in _SHAPES[dimension]:
        batch = 4 if device.type == "cpu" else 32
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
    source = torch.ones((128 if device.type == "cpu" else 1024) << 20, dtype=torch.uint8, device=device)
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


def wait(device: torch.device) -> None:
    """Until the device has done all that it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def _unit(dimension: int, channels_in: int, channels_out: int) -> ConvolutionUnit:
    unit = ConvolutionUnit(channels_in, channels_out, (3,) * dimension, (1,) * dimension)
    initialize(unit, seed=0)
    return unit


def _candidates(device: torch.device) -> tuple[Precision, ...]:
    if device.type == "cuda":
        return ("fp32", "bf16") if torch.cuda.is_bf16_supported(including_emulation=False) else ("fp32", "fp16")
    return ("fp32", "bf16") if device.type == "cpu" else ("fp32",)


def _fastest(throughputs: tuple[Throughput, ...]) -> Precision:
    speed = {t.precision: t.flops_per_s for t in throughputs if t.dimension == 3}
    best = max(speed, key=lambda precision: speed[precision])
    return best if speed[best] > WORTHWHILE * speed["fp32"] else "fp32"


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine()
