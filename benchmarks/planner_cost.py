"""Is the time that plans predict the time that training takes?

    python -m benchmarks.planner_cost [--plans 20] [--seed 0]

Measures this machine as a run does, draws plans from random data and machines, predicts each one's seconds per step
from that measurement alone, and trains it. The first ten steps correct the prediction; the steps after them are the
truth. Nothing else may run on the machine meanwhile.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch

from autoseg.learn import device as machine
from autoseg.learn import speed
from autoseg.learn.dryrun import dry_run
from autoseg.row.calibration import STEPS, WARM_UP
from benchmarks.random_plans import Drawn, draw
from planners import cost
from planners.contracts import Budget
from planners.memory import planned_bytes

LONGEST_STEP_S = 3.0
SHORTEST_STEP_S = 0.02
MORE_STEPS = 15
MOST_BYTES = 3e9


@dataclass(frozen=True)
class Row:
    """A plan; seconds per step predicted, corrected, and true."""

    drawn: Drawn
    predicted_s: float
    corrected_s: float
    measured_s: float

    def __str__(self) -> str:
        made, training = self.drawn.configuration, self.drawn.configuration.training
        patch = "x".join(str(edge) for edge in training.patch_vox)
        return (
            f"| {self.drawn.planner} | {made.name} | {patch} | {training.batch} | {made.network.features[0]} "
            f"| {made.network.in_channels} | {made.network.heads} | {training.precision} | {self.predicted_s:.3f} "
            f"| {self.measured_s:.3f} | {self.predicted_s / self.measured_s:.2f} "
            f"| {self.corrected_s / self.measured_s:.2f} |"
        )


def rows(seed: int, budget: Budget) -> Iterator[Row]:
    """Endless comparisons, with the precisions that were measured."""
    device = torch.device(budget.device)
    measured = tuple(sorted({speed.precision for speed in budget.throughputs}))
    for drawn in draw(seed, measured):
        network, training = drawn.configuration.network, drawn.configuration.training
        here = budget.model_copy(update={"precision": training.precision})
        predicted_s = cost.step_s(network, training.patch_vox, training.batch, here)
        fits = planned_bytes(network, training, drawn.kind) <= MOST_BYTES
        if not (fits and SHORTEST_STEP_S < predicted_s < LONGEST_STEP_S):
            continue
        plan = training.model_copy(update={"steps": STEPS + MORE_STEPS, "seconds": None})
        steps_s = dry_run(network, plan, drawn.members, device).steps_s
        yield Row(drawn, predicted_s, median(steps_s[WARM_UP:STEPS]), median(steps_s[STEPS:]))


def main() -> None:
    """Print the table."""
    asked = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    asked.add_argument("--plans", type=int, default=20)
    asked.add_argument("--seed", type=int, default=0)
    options = asked.parse_args()
    device = machine.resolve("auto")
    budget = speed.measure(device, Path())
    for each in budget.throughputs:
        print(f"{each.dimension}D {each.precision}: {each.flops_per_s / 1e9:.0f} GFLOP/s", flush=True)
    print(
        "| planner | configuration | patch | batch | width | channels | heads | precision | s | true | ratio | after |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    found: list[Row] = []
    for row in rows(options.seed, budget):
        print(row, flush=True)
        found.append(row)
        if len(found) == options.plans:
            break
    before = [row.predicted_s / row.measured_s for row in found]
    after = [row.corrected_s / row.measured_s for row in found]
    print(
        f"\nbefore: {sum(0.7 <= ratio <= 1.4 for ratio in before)} of {len(found)} within 0.7 to 1.4 "
        f"({min(before):.2f} to {max(before):.2f}); after ten steps: "
        f"{sum(0.9 <= ratio <= 1.1 for ratio in after)} within 0.9 to 1.1 ({min(after):.2f} to {max(after):.2f})"
    )


if __name__ == "__main__":
    main()
