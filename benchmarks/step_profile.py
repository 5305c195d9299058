"""Where the time of our train step on a CPU goes: its share per kind of operation, by ``torch.profiler``.

    python -m benchmarks.step_profile OUT/plan.json [--configuration 3d_fullres] [--steps 3]

One thread, on noise, in the plan's precision; the averaging of weights is part of a step, augmentation is not.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from autoseg import environment, records
from autoseg.learn import memory
from autoseg.learn.state import fresh
from autoseg.learn.step import Update
from autoseg.learn.trials import noise
from planners.contracts import Configuration, Plan

CPU = torch.device("cpu")
KINDS = {
    "convolutions, backward": ("convolution_backward",),
    "convolutions, forward": ("convolution",),
    "normalisation": ("batch_norm",),
    "leaky ReLU": ("leaky_relu",),
    "copies, joins and conversions": ("cat", "copy_", "_to_copy", "clone", "fill_", "zero_", "contiguous"),
    "loss": ("softmax", "nll_loss", "sum", "eq", "amax", "max", "any"),
    "update and average of weights": ("adamw", "adam", "sgd", "lerp", "norm"),
}
"""Parts of operators' names; the first kind that fits counts."""


def shares(configuration: Configuration, steps: int) -> dict[str, float]:
    """Milliseconds per step of each kind of operation."""
    members = [(index,) for index in range(1, configuration.network.heads)]
    update = Update(configuration.network, configuration.training, members)
    state, batch = fresh(configuration.network, configuration.training, CPU, seed=0), noise(update, CPU)

    def step() -> None:
        update(state, *batch, 1e-4)
        state.update_average(0.999)

    step()
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        for _ in range(steps):
            step()
    found: dict[str, float] = defaultdict(float)
    for event in seen.key_averages():
        found[kind(event.key)] += event.self_cpu_time_total / 1000 / steps
    return found


def kind(operator: str) -> str:
    """The kind of an operator."""
    return next((name for name, parts in KINDS.items() if any(part in operator.lower() for part in parts)), "all else")


def main() -> None:
    """Profile, print a table."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("plan", type=Path)
    asked.add_argument("--configuration", default="3d_fullres")
    asked.add_argument("--steps", type=int, default=3)
    options = asked.parse_args()
    environment.settle()
    torch.set_num_threads(1)
    with memory.recycling():
        found = shares(records.read(options.plan, Plan).configuration(options.configuration), options.steps)
    print("| operations | ms per step | share |\n|---|---|---|")
    for name, ms in sorted(found.items(), key=lambda item: -item[1]):
        print(f"| {name} | {ms:.1f} | {100 * ms / sum(found.values()):.1f} % |")


if __name__ == "__main__":
    main()
