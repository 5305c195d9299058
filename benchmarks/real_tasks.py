"""The whole row on real data sets, one after another: time, memory and the honest score of each.

    python -m benchmarks.real_tasks DATA OUT [--only hippocampus]

DATA holds the folders named below. Runs are made one at a time, because they share the cores. A finished run is only
read, so the table can be printed again; a run that took two sessions of the machine shows its time worked.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from autoseg import records
from autoseg.contracts import Report, Run
from autoseg.workspace import Workspace
from benchmarks.measure import measure


@dataclass(frozen=True)
class Task:
    """A data set, and the options it is run with."""

    name: str
    folder: str
    options: tuple[str, ...]


TASKS = (
    Task("hippocampus", "Task04_Hippocampus", ("--hours", "0.4", "--holdout", "0.2", "--seed", "1")),
    Task("nuclei", "nuclei_png", ("--hours", "0.25", "--holdout", "0.2", "--seed", "1")),
    Task("sarcoma", "sts_ct/Dataset101_SarcomaCT", ("--hours", "0.4")),
)


def run(task: Task, data: Path, out: Path) -> str:
    """Run a task unless it is finished; returns its row of the table."""
    folder = Workspace(out / task.name)
    if not folder.record("report").exists():
        source = str(data / task.folder)
        made = measure([sys.executable, "-m", "autoseg", "run", source, str(folder.path), *task.options])
        if made.returncode:
            return f"| {task.name} | failed with exit code {made.returncode} | | | |"
    cost, report = records.read(folder.run, Run), records.read(folder.record("report"), Report)
    score = report.honest_mean_dice
    value = "none" if score.value is None else f"{score.value:.3f} ({score.low:.3f} to {score.high:.3f}), n {score.n}"
    minutes, memory = cost.worked_s / 60, cost.peak_memory_bytes / 1e9
    return f"| {task.name} | {value} | {report.honest_kind} | {minutes:.1f} | {memory:.2f} |"


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", choices=[task.name for task in TASKS])
    asked = parser.parse_args()
    rows = [run(task, asked.data, asked.out) for task in TASKS if asked.only in (None, task.name)]
    print("| task | mean Dice (95 % interval) | kind | minutes | peak memory GB |\n|---|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
