"""What each choice within our train step is worth: whole steps of a plan, beside the step as it is.

    python -m benchmarks.step_choices OUT/plan.json [--configuration 3d_fullres] [--rounds 15] [--compile]
    python -m benchmarks.step_choices OUT/plan.json --device cuda --compile

Choices take turns on noise, a step at a time. On a CPU that is done on one thread, and its processor time is counted,
so that other work on the machine matters little; on a GPU nothing else may run. The ratio to the step as it is
(``ours``) is taken within each round; below 1 is faster. ``--compile`` adds ``torch.compile``, and how long that takes;
on a GPU also with CUDA graphs.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from autoseg import environment, records
from autoseg.learn import memory, networks
from autoseg.learn.device import prepare, resolve, wait
from autoseg.learn.networks.plain_unet import EPSILON, SLOPE, ConvolutionUnit, InstanceNorm
from autoseg.learn.state import TrainingState, fresh
from autoseg.learn.step import Update
from autoseg.learn.trials import noise
from planners.contracts import Configuration, Plan

RATE = 1e-4


def native(norm: InstanceNorm, x: Tensor) -> Tensor:
    """The library's instance normalisation."""
    return functional.instance_norm(x, weight=norm.weight, bias=norm.bias, eps=EPSILON)


def grouped(norm: InstanceNorm, x: Tensor) -> Tensor:
    """Group normalisation with one channel in each group."""
    return functional.group_norm(x, x.shape[1], norm.weight, norm.bias, EPSILON)


class Inverted(torch.autograd.Function):
    """Normalisation and leaky ReLU that keep what comes out only, and tell from it what went in (arXiv:1712.02616)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:  # noqa: ANN401 - the library's
        """Normalise each sample, then activate."""
        parts = [torch.native_batch_norm(s, weight, bias, None, None, True, 0.0, EPSILON) for s in x.split(1)]
        y = functional.leaky_relu_(torch.cat([part[0] for part in parts]), SLOPE)
        ctx.save_for_backward(y, weight, bias, torch.stack([part[2] for part in parts]))
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # noqa: ANN401 - the library's
        """Back through both."""
        y, weight, bias, scale = ctx.saved_tensors
        space, beside = tuple(range(2, y.ndim)), (1, -1, *(1,) * (y.ndim - 2))
        grad = torch.where(y > 0, grad, grad * SLOPE)
        normal = (torch.where(y > 0, y, y / SLOPE) - bias.view(beside).to(y)) / weight.view(beside).to(y)
        shift, stretch = grad.mean(space, keepdim=True), (grad * normal).mean(space, keepdim=True)
        back = (weight * scale).view(len(y), *beside[1:]).to(y) * (grad - shift - normal * stretch)
        voxels = y[0, 0].numel()
        return back, stretch.float().sum(0).flatten() * voxels, shift.float().sum(0).flatten() * voxels


def inverted(unit: ConvolutionUnit, x: Tensor) -> Tensor:
    """A unit whose normalisation and activation are one."""
    return Inverted.apply(unit.conv(x), unit.norm.weight, unit.norm.bias)


@dataclass(frozen=True)
class Choice:
    """What differs from our step: order of axes, ``forward`` of a class, optimizer's settings, mode of compiling."""

    other_order: bool = False
    passes: tuple[type[nn.Module], Callable[[Any, Tensor], Tensor]] | None = None
    optimizer: dict[str, bool] = field(default_factory=dict)
    mode: str | None = None

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Within the ``with`` block, classes have the other ``forward``."""
        if self.passes is None:
            yield
            return
        owner, forward = self.passes
        own = owner.forward
        owner.forward = forward  # type: ignore[method-assign]
        try:
            yield
        finally:
            owner.forward = own  # type: ignore[method-assign]


CHOICES = {
    "ours": Choice(),
    "the other order of axes": Choice(other_order=True),
    "native instance normalisation": Choice(passes=(InstanceNorm, native)),
    "group normalisation": Choice(passes=(InstanceNorm, grouped)),
    "normalisation and activation in one, inverted": Choice(passes=(ConvolutionUnit, inverted)),
    "weights updated one by one": Choice(optimizer={"fused": False}),
    "weights updated by lists (foreach)": Choice(optimizer={"fused": False, "foreach": True}),
}


COMPILED = {
    "compiled": Choice(mode="default"),
    "compiled, the other order of axes": Choice(mode="default", other_order=True),
}
GRAPHS = {"compiled, CUDA graphs": Choice(mode="reduce-overhead")}


def prepared(choice: Choice, ours: Update, device: torch.device) -> tuple[Update, TrainingState]:
    """An update and its state by a choice."""
    state = fresh(ours.network, ours.plan, device, seed=0)
    if choice.other_order:
        usual = networks.layout(device, ours.network.dimension)
        networks.lay(state.network, next(o for o in networks.LAYOUTS[ours.network.dimension] if o != usual))
    for group in state.optimizer.param_groups:
        group.update(choice.optimizer)
    if choice.mode is None:
        return ours, state
    return replace(ours, compiled=torch.compile(ours.forward, dynamic=False, mode=choice.mode)), state


def measured(
    configuration: Configuration, device: torch.device, choices: dict[str, Choice], rounds: int
) -> dict[str, list[float]]:
    """Seconds per step of each choice, in each round; one round before them warms up."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    members = [(index,) for index in range(1, configuration.network.heads)]
    ours = Update(configuration.network, configuration.training, members)
    images, classes = noise(ours, device)
    ready = {name: prepared(choice, ours, device) for name, choice in choices.items()}
    found: dict[str, list[float]] = {name: [] for name in choices}
    for turn in range(rounds + 1):
        for name, (update, state) in ready.items():
            began, wall = clock(), time.perf_counter()
            with choices[name].taken():
                update(state, images, classes, RATE)
                state.update_average(0.999)
            wait(device)
            if turn > 0:
                found[name].append(clock() - began)
            elif update.compiled is not None:
                print(f"{name}: first step after {time.perf_counter() - wall:.0f} s")
    return found


def main() -> None:
    """Take turns, print a table."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("plan", type=Path)
    asked.add_argument("--configuration", default="3d_fullres")
    asked.add_argument("--device", default="cpu")
    asked.add_argument("--rounds", type=int, default=15)
    asked.add_argument("--compile", action="store_true")
    options = asked.parse_args()
    environment.settle()
    device = resolve(options.device)
    prepare(device, deterministic=False)
    torch.set_num_threads(1)
    configuration = records.read(options.plan, Plan).configuration(options.configuration)
    compiled = COMPILED | (GRAPHS if device.type == "cuda" else {})
    choices = CHOICES | (compiled if options.compile else {})
    with memory.recycling():
        found = measured(configuration, device, choices, options.rounds)
    print("| | s per step (least to most) | ratio to ours (least to most) |\n|---|---|---|")
    for name, steps_s in found.items():
        ratios = [one / other for one, other in zip(steps_s, found["ours"], strict=True)]
        print(f"| {name} | {_spread(steps_s)} | {_spread(ratios)} |")


def _spread(values: list[float]) -> str:
    return f"{median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


if __name__ == "__main__":
    main()
