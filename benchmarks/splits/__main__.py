"""Make the committed folds anew: five per data set, by subject, balanced by label and size, as a run makes them.

    python -m benchmarks.splits DATA

DATA holds the folders of the data sets. The files have nnU-Net's form, which ``autoseg run --splits`` reads too. The
same data and seed give the same files; a difference in ``git diff`` says that data or fold-making changed.
"""

import argparse
import json
from pathlib import Path

from autoseg.contracts import Dataset, Settings
from autoseg.stages.dataset import inspect
from benchmarks.race.tasks import FOLDS, TASKS

SEED = 0


def as_json(made: Dataset) -> str:
    """The folds as a list of {train, val}."""
    folds = [
        {"train": [case for case in made.development if case not in set(part)], "val": list(part)}
        for part in made.split.folds
    ]
    return json.dumps(folds, indent=1) + "\n"


def main() -> None:
    """Divide every data set and say how."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("data", type=Path)
    data = asked.parse_args().data
    for task in TASKS.values():
        made, _ = inspect(data / task.folder, Settings(folds=FOLDS, seed=SEED))
        task.splits.write_text(as_json(made))
        print(f"{task.splits.name}: {made.split.because}")


if __name__ == "__main__":
    main()
