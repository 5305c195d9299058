"""How fast the empirical stage is on the out-of-fold predictions of a finished run.

    python -m benchmarks.selection_speed RUN

Prints how often per second the objective (mean Dice of all cases under a recipe) is worked out, how long 300 trials
take end to end, and how long the whole stage takes, with the 6 searches that cross-fitting needs. Seconds of the
processor stand beside those of the clock, which other work on the machine lengthens.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from autoseg.events import Event
from autoseg.selection.evidence import Evidence, gather
from autoseg.selection.journal import Journal
from autoseg.selection.search import Search
from autoseg.selection.space import BIAS_STEPS, PARTS, Recipe, canonical
from autoseg.selection.trials import TRIALS, Effort
from autoseg.stages.select import select
from benchmarks.selection_store import of_run

OBJECTIVES = 100


@contextmanager
def timed(what: str, count: int = 1) -> Iterator[None]:
    """Print what a block took."""
    clock, processor = time.perf_counter(), time.process_time()
    yield
    clock, processor = time.perf_counter() - clock, time.process_time() - processor
    rate = f", {count / clock:.0f} per second ({count / processor:.0f} of the processor)" if count > 1 else ""
    print(f"{what}: {clock:.1f} s ({processor:.1f} s of the processor){rate}", flush=True)


def recipes(evidence: Evidence, count: int) -> list[Recipe]:
    """Random ones that use all members."""
    rng, space = np.random.default_rng(0), evidence.space
    targets = len(space.labels.targets)
    return [
        canonical(
            Recipe(
                weights=tuple(rng.integers(1, PARTS + 1, len(space.configurations)).tolist()),
                scale=("probabilities", "logits")[number % 2],
                biases=tuple(rng.integers(-BIAS_STEPS, BIAS_STEPS + 1, targets).tolist()),
            )
        )
        for number in range(count)
    ]


def main(run: Path) -> None:
    """Measure."""
    store, plan, validation = of_run(run)
    with timed(f"reading {len(store.held)} cases"):
        evidence = gather(store, plan, _quiet)
    voxels = sum(int(np.prod(scan.shape)) for scan in store.scans.values())
    members = len(plan.configurations) + len(store.mirrored)
    share = evidence.voxels.rows / voxels
    print(f"{members} members; {evidence.voxels.rows} of {voxels} voxels ({share:.1%}) can change")
    asked = recipes(evidence, OBJECTIVES)
    columns = list(range(len(plan.configurations)))
    for recipe in asked[:2]:
        evidence.voxels.dice(recipe, columns)
    with timed(f"{OBJECTIVES} objectives", OBJECTIVES):
        for recipe in asked:
            evidence.mean(evidence.voxels.dice(recipe, columns), np.arange(len(evidence.cases)))
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "trials.jsonl", "")
        with timed(f"{TRIALS} trials"):
            rows = np.arange(len(evidence.cases))
            Search(evidence, rows, "all", 0).trials(journal, Effort(patience=TRIALS))
        with timed("the whole stage"):
            chosen = select(store, plan, validation, Path(folder) / "stage.jsonl", seed=0)
    print(chosen.because)


def _quiet(event: Event) -> None:
    pass


if __name__ == "__main__":
    main(Path(sys.argv[1]))
