"""Who trains better in the same time? autoseg beside nnU-Net v2 on one machine, on the same cases, by one evaluator.

    python -m benchmarks.training_race DATA OUT [--tasks hippocampus,nuclei] [--minutes 20] [--seeds 1,2,3]

DATA holds the data sets' folders; nnU-Net's environment comes from ``python -m benchmarks.peers.install``. Contenders:
``autoseg``; ``nnunet``, with its defaults, which on a CPU means fp32; ``nnunet_bf16``, the same under autocast. Each
trains fold 0 of the committed splits for the same minutes, preparation not counted, one after another, seed by seed.
Minutes are counted out in steps, at a speed that is measured before the first cell, when the machine should be idle.
A cell that is done is only read; of one that was killed, nnU-Net's is made again, and ours goes on. Give each device an
OUT and a PEERS of its own. Cells of peers are kept, and looked for, in PEERS. Ours are in OUT/cells, so that a changed
autoseg races anew; those of the published table are printed with ``--ours benchmarks/results/ours``.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from autoseg import environment, records
from benchmarks.peers.install import default_folder, python_of
from benchmarks.race.cell import Cell, file_name
from benchmarks.race.contenders import CONTENDERS, OURS, Entry
from benchmarks.race.summary import table
from benchmarks.race.tasks import TASKS

KEPT = Path(__file__).parent / "results" / "peers"


def main() -> None:
    """Make the cells that are missing, then print the tables."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("data", type=Path)
    asked.add_argument("out", type=Path)
    asked.add_argument("--tasks", default=",".join(TASKS))
    asked.add_argument("--contenders", default=",".join(CONTENDERS))
    asked.add_argument("--minutes", type=float, help="of training; default: 20 for hippocampus, 15 for nuclei")
    asked.add_argument("--seeds", default="1,2,3")
    asked.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    asked.add_argument("--peers", type=Path, default=KEPT, help="where cells of peers are kept")
    asked.add_argument("--ours", type=Path, help="where cells of ours are kept; default: OUT/cells")
    asked.add_argument("--venv", type=Path, default=default_folder(), help="nnU-Net's environment")
    options = asked.parse_args()
    environment.settle()
    for name in options.tasks.split(","):
        task = TASKS[name]
        minutes = options.minutes or task.minutes
        blank = Entry(task, minutes, 0, options.data.resolve(), options.venv, options.out.resolve(), options.device)
        entries = [replace(blank, seed=int(seed)) for seed in options.seeds.split(",")]
        contenders = options.contenders.split(",")
        ours = options.ours or options.out / "cells"
        cells = [made(entry, who, ours if who == OURS else options.peers) for entry in entries for who in contenders]
        print(table(cells), flush=True)


def made(entry: Entry, contender: str, folder: Path) -> Cell:
    """A cell, made unless the folder has it."""
    path = folder / file_name(entry.task.name, contender, entry.minutes, entry.seed)
    if not path.exists():
        if contender != OURS and not python_of(entry.venv).exists():
            raise SystemExit(f"{entry.venv}: no environment of nnU-Net; `python -m benchmarks.peers.install` makes one")
        print(f"{path.stem}", flush=True)
        records.write(path, CONTENDERS[contender](entry))
    return records.read(path, Cell)


if __name__ == "__main__":
    main()
