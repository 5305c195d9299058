"""Devices: which there are, which is meant, and the switches that torch has for them."""

import os
import platform

import torch

from autoseg import machine
from autoseg.errors import UsageError
from autoseg.learn.precision import computes_right


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
        wrong = ": it gets convolutions wrong, with this torch on this system" if wanted == "mps" and _mps() else ""
        raise UsageError(f"device {name!r} is not available here{wrong}; there are: auto, {', '.join(found)}")
    return torch.device(wanted)


def _available() -> list[str]:
    """Best first. Apple's accelerator got 3D convolutions wrong for a while, silently (pytorch issue 197114)."""
    gpus = [f"cuda:{index}" for index in _gpus()]
    apple = ["mps"] if _mps() and computes_right(torch.device("mps"), "fp32") else []
    return [*gpus, *apple, "cpu"]


def _mps() -> bool:
    return torch.backends.mps.is_available()


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

    Only where ``name`` leaves the choice to us, and only GPUs with as much memory as the first, for which is planned;
    each is the first that its process sees.
    """
    gpus = _gpus() if name in ("auto", "cuda") else []
    if gpus[:1] != [0]:
        return ()
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


def wait(device: torch.device) -> None:
    """Until the device has done all that it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def product(device: torch.device) -> str:
    """What its maker calls it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine()
