"""How many folds pay? The same data, hold-out, wall-clock and seed; the cases divided more or less often.

    python -m benchmarks.folds_evidence OUT SOURCE [SOURCE ...] [--hours 0.1] [--folds 5,2]

Compared is what users get: Dice of the deployed ensemble on hold-out cases, which no choice saw, and what a prediction
costs, since an ensemble of five takes longer than one of two. Differences are to the first number of folds, paired over
subjects, with 95 % bootstrap intervals. One run at a time, alone on the machine; what is finished is only read.
"""

import argparse
from pathlib import Path
from statistics import median

import numpy as np

from autoseg import records
from autoseg.contracts import Prediction, Scores
from autoseg.volumes.statistics import paired_interval
from autoseg.workspace import Workspace
from benchmarks.planner_evidence import autoseg
from planners.contracts import Plan


def main() -> None:
    """Run what is missing, print the table."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("out", type=Path)
    asked.add_argument("sources", type=Path, nargs="+")
    asked.add_argument("--hours", type=float, default=0.1)
    asked.add_argument("--folds", default="5,2")
    options = asked.parse_args()
    counts = [int(text) for text in options.folds.split(",")]
    for source in options.sources:
        for folds in counts:
            trained(source, folder(options.out, source, folds), options.hours, folds)
    print("| data | folds | plan | Dice on hold-out | difference (95 % interval), n | seconds per case |")
    print("|---|---|---|---|---|---|")
    for source in options.sources:
        for folds in counts:
            print(row(options.out, source, folds, counts[0]))


def folder(out: Path, source: Path, folds: int) -> Path:
    """The run folder of one contender."""
    return out / f"{source.name}-{folds}"


def trained(source: Path, out: Path, hours: float, folds: int) -> None:
    """Take the data through the whole row, unless that is done."""
    if Workspace(out).record("predict").exists():
        return
    asked = ["--hours", str(hours), "--folds", str(folds), "--holdout", "0.2", "--seed", "1"]
    made = autoseg("run", str(source), str(out), *asked)
    if made.returncode != 0:
        raise SystemExit(made.stderr)


def row(out: Path, source: Path, folds: int, base: int) -> str:
    """One line of the table."""
    found, other = (predicted(folder(out, source, count)) for count in (folds, base))
    scores, against = held_out(found), held_out(other)
    subjects = [case.subject for case in scores.cases]
    difference = paired_interval(dice(scores), dice(against), subjects, seed=0)
    plan = records.read(Workspace(folder(out, source, folds)).record("plan"), Plan)
    what = "; ".join(
        f"{made.name}, {'x'.join(map(str, made.training.patch_vox))}, batch {made.training.batch}, "
        f"width {made.network.features[0]}"
        for made in plan.configurations
    )
    interval = f"{difference.value:+.3f} ({difference.low:+.3f} to {difference.high:+.3f}), {difference.n}"
    seconds = median(case.seconds for case in found.cases if case.seconds is not None)
    mean = scores.mean_dice.value
    return f"| {source.name} | {folds} | {what} | {mean:.3f} | {interval} | {seconds:.2f} |"


def predicted(out: Path) -> Prediction:
    """What a run predicted for its hold-out."""
    return records.read(Workspace(out).record("predict"), Prediction)


def held_out(found: Prediction) -> Scores:
    """The scores of the hold-out."""
    if found.holdout is None:
        raise SystemExit("no hold-out was scored; the data set is too small for this comparison")
    return found.holdout


def dice(scores: Scores) -> np.ndarray:
    """(cases, targets), NaN where undefined."""
    rows = [[np.nan if target.dice is None else target.dice for target in case.targets] for case in scores.cases]
    return np.array(rows, dtype=float)


if __name__ == "__main__":
    main()
