"""Kill a run with SIGKILL at random moments, many times; each rerun must end well, with the masks of an unbroken run.

    python -m benchmarks.kill_resume OUT [--kills 20] [--seed 0]

One unbroken deterministic run on phantoms gives the reference. Then runs with the same measured machine (its
``budget.json``: the plan must be the same for the masks to be) are killed at a random moment and started again until
they have been killed often enough in all; each one is let finish and compared mask by mask and weight by weight.
"""

import argparse
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from autoseg import phantoms
from autoseg.records import file_digest


def command(source: Path, out: Path) -> list[str]:
    """A short deterministic run."""
    options = ["--hours", "0.02", "--holdout", "0.25", "--folds", "2", "--seed", "1", "--deterministic"]
    return [sys.executable, "-m", "autoseg", "run", str(source), str(out), *options]


def results(out: Path) -> dict[str, str]:
    """Digest of every mask and every shipped network of a run."""
    files = [*(out / "predict").glob("*.nii.gz"), *(out / "model" / "weights").glob("*.safetensors")]
    return {str(path.relative_to(out)): file_digest(path) for path in sorted(files)}


def run_with_kills(source: Path, out: Path, kills: int, longest_s: float, chance: random.Random) -> int:
    """Start a run until it ends, killing it at random moments up to ``kills`` times; returns how often."""
    for met in range(kills):
        child = subprocess.Popen(command(source, out), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            if child.wait(timeout=chance.uniform(0.5, longest_s)) == 0:
                return met
            sys.exit(f"{out}: a rerun ended with exit code {child.returncode}")
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.wait()
    subprocess.run(command(source, out), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return kills


def main() -> None:
    """Parse, run, compare, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--kills-per-run", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    source, reference = asked.out / "phantoms", asked.out / "unbroken"
    phantoms.write_msd(source, cases=8)
    started = time.monotonic()
    subprocess.run(command(source, reference), check=True)
    longest_s = time.monotonic() - started
    wanted = results(reference)
    chance = random.Random(asked.seed)
    met = rounds = 0
    while met < asked.kills:
        out = asked.out / f"killed_{rounds}"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        shutil.copy(reference / "budget.json", out)
        met += run_with_kills(source, out, min(asked.kills_per_run, asked.kills - met), longest_s, chance)
        rounds += 1
        same = results(out) == wanted
        print(f"run {rounds}: {met} kills so far, ended well, masks and weights equal: {same}", flush=True)
        if not same:
            sys.exit(1)
    print(f"{met} kills in {rounds} runs; all ended well with the masks and weights of the unbroken run")


if __name__ == "__main__":
    main()
