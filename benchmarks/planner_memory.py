"""Is the memory that plans predict the memory that training takes?

    python -m benchmarks.planner_memory [--plans 40] [--seed 0] [--repeats 3]

Draws plans from random data and machines, trains each for three steps in fresh processes and compares the median of
what that added to the process with the prediction. Plans that add less than 0.5 GB, or whose step takes this machine
too long, are drawn again. Prints a table and how many predictions lie within 0.9 to 1.15 of the truth.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

import torch

from autoseg import machine
from autoseg.learn.dryrun import dry_run_apart
from benchmarks.random_plans import Drawn, draw
from planners.memory import planned_bytes

LEAST_BYTES = 0.5e9
MOST_OF_RAM = 0.5
MOST_FLOPS = {"fp32": 6e11, "bf16": 6e11, "fp16": 5e10}  # of a step; a CPU may lack the instructions of fp16
BAND = (0.9, 1.15)


@dataclass(frozen=True)
class Row:
    """A plan, and the ratio of prediction to truth."""

    drawn: Drawn
    predicted: int
    measured: float

    @property
    def ratio(self) -> float:
        """Above 1: predicted too much."""
        return self.predicted / self.measured

    def __str__(self) -> str:
        made, training = self.drawn.configuration, self.drawn.configuration.training
        patch = "x".join(str(edge) for edge in training.patch_vox)
        return (
            f"| {self.drawn.planner} | {made.name} | {patch} | {training.batch} | {made.network.features[0]} "
            f"| {made.network.heads} | {training.precision} | {training.optimizer} | {self.predicted / 1e9:.2f} "
            f"| {self.measured / 1e9:.2f} | {self.ratio:.2f} |"
        )


def rows(seed: int, repeats: int, device: torch.device) -> Iterator[Row]:
    """Endless comparisons."""
    room = MOST_OF_RAM * machine.ram_bytes()
    for drawn in draw(seed):
        training = drawn.configuration.training
        predicted = planned_bytes(drawn.configuration.network, training, drawn.kind)
        if not 0.8 * LEAST_BYTES < predicted < room or drawn.step_flops > MOST_FLOPS[training.precision]:
            continue
        taken = [
            dry_run_apart(drawn.configuration.network, training, drawn.members, device).memory_bytes or 0
            for _ in range(repeats)
        ]
        if median(taken) >= LEAST_BYTES:
            yield Row(drawn, predicted, median(taken))


def main() -> None:
    """Print the table."""
    asked = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    asked.add_argument("--plans", type=int, default=40)
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--repeats", type=int, default=3)
    options = asked.parse_args()
    print("| planner | configuration | patch | batch | width | heads | precision | optimizer | GB | measured | ratio |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    ratios = []
    for row in rows(options.seed, options.repeats, torch.device("cpu")):
        print(row, flush=True)
        ratios.append(row.ratio)
        if len(ratios) == options.plans:
            break
    inside = sum(BAND[0] <= ratio <= BAND[1] for ratio in ratios)
    print(
        f"\n{inside} of {len(ratios)} within {BAND[0]} to {BAND[1]}; "
        f"least {min(ratios):.3f}, median {median(ratios):.3f}, most {max(ratios):.3f}"
    )


if __name__ == "__main__":
    main()
