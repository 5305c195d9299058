"""Do our rules pay? The same data, time, folds, seed and training engine, under other plans.

    python -m benchmarks.planner_evidence OUT SOURCE [SOURCE ...] [--hours 0.15] [--folds 2] [--contenders auto,nnunet]

Contenders: ``auto``; ``nnunet``, of whose configurations only the main one is trained, because to share a short time
among several would only harm it; ``residual``, which is ``auto`` with residual blocks in the encoder. Each trains for
the same wall-clock, one after another, alone on the machine. Compared is the Dice of whole volumes by models that never
saw them, before anything was chosen on them: mean over cases and labels, and the difference to ``auto``, paired over
subjects, with 95 % bootstrap intervals. What is finished is only read.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from autoseg import records
from autoseg.contracts import ConfigurationValidation, Dataset, Validation
from autoseg.volumes.statistics import paired_interval
from autoseg.workspace import Workspace
from planners.contracts import Plan
from planners.topology import with_residual_encoder

CONTENDERS = ("auto", "nnunet", "residual")


def main() -> None:
    """Run what is missing, print the table."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("out", type=Path)
    asked.add_argument("sources", type=Path, nargs="+")
    asked.add_argument("--hours", type=float, default=0.15)
    asked.add_argument("--folds", type=int, default=2)
    asked.add_argument("--contenders", default=",".join(CONTENDERS))
    options = asked.parse_args()
    contenders = options.contenders.split(",")
    for source in options.sources:
        for contender in contenders:
            trained(contender, source, options.out / source.name / contender, options.hours, options.folds)
    print("| data | planner | plan | Dice | difference to auto (95 % interval), n |\n|---|---|---|---|---|")
    for source in options.sources:
        for contender in contenders:
            print(row(contender, options.out / source.name))


def trained(contender: str, source: Path, out: Path, hours: float, folds: int) -> None:
    """Cross-validate a contender, unless that is done or impossible."""
    if Workspace(out).record("crossvalidate").exists() or (out / "impossible.txt").exists():
        return
    planner = "nnunet" if contender == "nnunet" else "auto"
    options = ["--hours", str(hours), "--folds", str(folds), "--seed", "1", "--planner", planner]
    if contender == "residual":
        edited_plan(source, out, options)
    only = [["--configurations", "3d_fullres"], ["--configurations", "2d"]] if contender == "nnunet" else [[]]
    for choice in only:  # the second where images are single slices
        made = autoseg("run", str(source), str(out), *options, *choice, *(["--replan"] if choice else []))
        if made.returncode == 0:
            return
        print(made.stderr.splitlines()[-1], flush=True)
        if "plans 2d for these data" not in made.stderr:
            break
    (out / "impossible.txt").write_text(made.stderr.splitlines()[-1])


def edited_plan(source: Path, out: Path, options: Sequence[str]) -> None:
    """The plan of ``auto``, but with residual blocks; the run that follows says aloud that it was edited."""
    from autoseg import pipeline
    from autoseg.cli.options import settings

    hours, folds, seed = float(options[1]), int(options[3]), int(options[5])
    asked = settings(hours, "standard", "auto", 0.0, folds, seed, False, "auto", None)
    with pipeline.opened(out, source, asked) as opened:
        plan = opened.plan
    path = Workspace(out).record("plan")
    changed = [made.model_copy(update={"network": with_residual_encoder(made.network)}) for made in plan.configurations]
    records.write(path, plan.model_copy(update={"configurations": tuple(changed)}))


def autoseg(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of autoseg in a fresh process."""
    command = [sys.executable, "-m", "autoseg", *arguments]
    return subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)


def row(contender: str, folder: Path) -> str:
    """One line of the table."""
    out = Workspace(folder / contender)
    if (out.path / "impossible.txt").exists():
        return f"| {folder.name} | {contender} | {(out.path / 'impossible.txt').read_text()} | | |"
    found, base = validated(out), validated(Workspace(folder / "auto"))
    table, cases = dice(found)
    other, same_cases = dice(base)
    if cases != same_cases:
        raise SystemExit(f"{folder}: auto and {contender} were validated on other cases; give another OUT")
    subjects = {case.case: case.subject for case in records.read(out.record("dataset"), Dataset).cases}
    difference = paired_interval(table, other, [subjects[case] for case in cases], seed=0)
    against = f"{difference.value:+.3f} ({difference.low:+.3f} to {difference.high:+.3f}), {difference.n}"
    plan = records.read(out.record("plan"), Plan).configuration(found.configuration)
    patch = "x".join(str(edge) for edge in plan.training.patch_vox)
    what = f"{plan.name}, {patch}, batch {plan.training.batch}, width {plan.network.features[0]}"
    return f"| {folder.name} | {contender} | {what} | {found.oof.mean_dice.value:.3f} | {against} |"


def validated(out: Workspace) -> ConfigurationValidation:
    """Scores of the main configuration."""
    return records.read(out.record("crossvalidate"), Validation).configurations[0]


def dice(found: ConfigurationValidation) -> tuple[np.ndarray, list[str]]:
    """Dice (cases, targets), NaN where undefined, and the cases' names in order."""
    cases = sorted(found.oof.cases, key=lambda scored: scored.case)
    rows = [[np.nan if target.dice is None else target.dice for target in scored.targets] for scored in cases]
    return np.array(rows, dtype=float), [scored.case for scored in cases]


if __name__ == "__main__":
    main()
