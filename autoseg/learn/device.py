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


def resolve(name: str) -> torch.device:
    """The device a user means by ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

    Raises:
        UsageError: No such device here; the message lists those there are.

    >>> resolve("cpu")
    device(type='cpu')
    """
    if name == "cpu":
        return torch.device(name)  # no accelerator need be looked at
    found = _available()
    gpus = [each for each in found if each.startswith("cuda")]
    wanted = found[0] if name == "auto" else gpus[0] if name == "cuda" and gpus else name
    if wanted not in found:
        raise UsageError(f"device {name!r} is not available here; there are: auto, {', '.join(found)}")
    return torch.device(wanted)


def _available() -> list[str]:
    """Best first."""
    gpus = [f"cuda:{index}" for index in _gpus()]
    return [*gpus, *(["mps"] if torch.backends.mps.is_available() else []), "cpu"]


def _gpus() -> list[int]:
    """The numbers of the GPUs that this build of torch has code for; of others torch itself warns."""
    if not torch.cuda.is_available():
        return []
    built = torch.cuda.get_arch_list() if torch.version.cuda is not None else []  # AMD's are named otherwise
    return [
        index
        for index in range(torch.cuda.device_count())
        if not built or any(runs(code, torch.cuda.get_device_capability(index)) for code in built)
    ]


def runs(code: str, capability: tuple[int, int]) -> bool:
    """Whether code for one architecture runs on a GPU of another.

    Binaries run on later GPUs of the same generation, PTX on all later ones. Letters at the end, for features that not
    all GPUs of a generation have, are not looked at: better try a GPU in vain than leave one out.

    >>> [runs(code, (8, 6)) for code in ("sm_80", "sm_89", "sm_75", "compute_75", "sm_86a")]
    [True, False, False, True, True]
    """
    kind, _, number = code.partition("_")
    digits = number.rstrip("af")
    built = int(digits[:-1]), int(digits[-1])
    return built <= capability and (kind == "compute" or built[0] == capability[0])


def others(name: str) -> tuple[str, ...]:
    """Further GPUs that folds can be spread over, each as ``CUDA_VISIBLE_DEVICES`` names it to a process of its own.

    Only where ``name`` leaves the choice to us, and only GPUs with as much memory as the first, for which is planned.
    """
    gpus = _gpus() if name in ("auto", "cuda") else []
    everyone = ",".join(map(str, range(torch.cuda.device_count())))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", everyone).split(",")
    rooms = [torch.cuda.get_device_properties(index).total_memory for index in gpus]
    return tuple(visible[index].strip() for index, room in zip(gpus, rooms, strict=True) if room >= rooms[0])[1:]


def prepare(device: torch.device, deterministic: bool) -> None:
    """Set torch's process-wide switches: all cores of this process, and repeatable kernels if asked for.

    A GPU that is not the first becomes the current one, so that nothing takes memory of the first beside it.
    """
    torch.set_num_threads(machine.cores())
    if device.type == "cuda":
        torch.cuda.set_device(device.index or 0)
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
    memory.give_back(device)
    ram = machine.ram_bytes()
    return Budget(
        device=str(device),
        device_name=_name(device),
        cores=machine.cores(),
        accelerators=accelerators,
        memory_bytes=memory.free_bytes(device) if device.type == "cuda" else ram,
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
    instructions; such a precision is left out. So is what a GPU can only emulate, many times slower than float32.
    """
    if device.type == "cuda" and precision == "bf16" and not _has_bf16(device):
        return False
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
        return ("fp32", "bf16") if _has_bf16(device) else ("fp32", "fp16")
    return ("fp32", "bf16") if device.type == "cpu" else ("fp32",)


def _has_bf16(device: torch.device) -> bool:
    """Whether a GPU computes bfloat16 by itself."""
    with torch.cuda.device(device):  # torch answers for the current one
        return torch.cuda.is_bf16_supported(including_emulation=False)


def _fastest(throughputs: tuple[Throughput, ...]) -> Precision:
    speed = {t.precision: t.flops_per_s for t in throughputs if t.dimension == 3}
    best = max(speed, key=lambda precision: speed[precision])
    return best if speed[best] > WORTHWHILE * speed["fp32"] else "fp32"


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine()
