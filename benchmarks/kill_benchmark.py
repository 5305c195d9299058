"""Kill ``autoseg benchmark`` half-way with SIGKILL and start it again: the same table as an unbroken one?

    python -m benchmarks.kill_benchmark TASKS OUT [--hours 0.1]

Both are deterministic and share the measured machine (each task's ``budget.json``): without, no two runs get the same
plan. All columns but time and memory must be equal.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas

COSTS = ["hours", "peak_memory_gb"]


def command(tasks: Path, out: Path, hours: float) -> list[str]:
    """The benchmark."""
    options = ["--hours", str(hours), "--seed", "1", "--deterministic"]
    return [sys.executable, "-m", "autoseg", "benchmark", str(tasks), str(out), *options]


def main() -> None:
    """Run unbroken, run broken, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--hours", type=float, default=0.1)
    asked = parser.parse_args()
    unbroken, broken = asked.out / "unbroken", asked.out / "broken"
    started = time.monotonic()
    subprocess.run(command(asked.tasks, unbroken, asked.hours), check=True, stderr=subprocess.DEVNULL)
    took_s = time.monotonic() - started
    for measured in unbroken.glob("*/budget.json"):
        target = broken / measured.relative_to(unbroken)
        target.parent.mkdir(parents=True)
        shutil.copy(measured, target)
    child = subprocess.Popen(
        command(asked.tasks, broken, asked.hours),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(took_s / 2)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    finished = sorted(path.parent.name for path in broken.glob("*/report.json"))
    print(f"killed after {took_s / 2:.0f} of {took_s:.0f} s; finished by then: {finished}", flush=True)
    subprocess.run(command(asked.tasks, broken, asked.hours), check=True, stderr=subprocess.DEVNULL)
    tables = [pandas.read_csv(out / "table.csv") for out in (unbroken, broken)]
    same = tables[0].drop(columns=COSTS).equals(tables[1].drop(columns=COSTS))
    print(f"same table: {same}")
    sys.exit(not same)


if __name__ == "__main__":
    main()
