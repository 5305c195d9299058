"""Which training defaults are best at equal time? autoseg's own plan beside itself with one thing changed.

    python -m benchmarks.recipe DATA OUT [--task hippocampus] [--fold 1] [--minutes 5] [--seeds 1,2] [--variants a,b]

DATA holds the data sets' folders. The plan is the one that autoseg makes for the time; ``variants.py`` says what is
changed, and ``a+b`` changes both. The time is counted in steps: a step of the plan is timed first, and then one of each
variant in turns with one of the plan, on a machine which should be idle so long; what is timed is kept, so that this
can be done in pieces. Each trains for the steps that fit into the time, beside whatever else the machine does, and is
judged on the whole volumes of a fold that no race is judged on. A cell that is done is only read; one that was killed
is made again.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from autoseg import environment
from benchmarks.race.autoseg_side import Side
from benchmarks.race.tasks import FOLD, FOLDS, TASKS
from benchmarks.recipe.experiment import Experiment
from benchmarks.recipe.table import table
from benchmarks.recipe.variants import AND, BASE, VARIANTS


def main() -> None:
    """Make the cells that are missing, then print the table."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("data", type=Path)
    asked.add_argument("out", type=Path)
    asked.add_argument("--task", choices=list(TASKS), default="hippocampus")
    asked.add_argument("--fold", type=int, choices=range(FOLDS), default=1)
    asked.add_argument("--minutes", type=float, default=5.0, help="of training")
    asked.add_argument("--seeds", default="1,2")
    asked.add_argument(
        "--variants", default=",".join(VARIANTS), help="beside the plan itself, e.g. a,b+c; default: each alone"
    )
    options = asked.parse_args()
    if options.fold == FOLD:
        asked.error(f"races are judged on the cases of fold {FOLD}, which must not choose any default; take another")
    unknown = set(options.variants.replace(AND, ",").split(",")) - set(VARIANTS)
    if unknown:
        asked.error(f"no variant {', '.join(sorted(unknown))}; there are {', '.join(VARIANTS)}")
    environment.settle()
    task = replace(TASKS[options.task], fold=options.fold)
    out = options.out.resolve() / f"{task.name}-{options.minutes:g}min-fold{options.fold}"
    experiment = Experiment.prepared(Side(task, options.data.resolve(), options.minutes, out))
    variants = _different(experiment, options.variants.split(","))
    for variant in variants:
        experiment.slowness(variant)
    print("all speeds are known: other work on the machine does no harm from here on", flush=True)
    cells = [experiment.cell(variant, int(seed)) for seed in options.seeds.split(",") for variant in variants]
    print(table(cells))


def _different(experiment: Experiment, asked: list[str]) -> list[str]:
    """The base, and the variants that are not the same."""
    variants = [BASE]
    for name in asked:
        if experiment.changed(name):
            variants.append(name)
        elif name != BASE:
            print(f"{name}: that is what the plan says", flush=True)
    return variants


if __name__ == "__main__":
    main()
