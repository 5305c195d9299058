"""Is the nested score of the empirical stage honest? Selection on half of the subjects, judged on the other half.

    python -m benchmarks.selection_optimism RUN [SPLITS]

The out-of-fold predictions of a finished run are frozen. Time and again the subjects are split at random in two; the
whole stage runs on the one half, and what it would ship is scored on the other, by the same fold models. Printed are

    optimism   the estimate minus what the judge finds, in mean Dice: of ``nested`` and, beside it, of ``oof``
    coverage   in how many splits the 95 % interval of that difference, for the gain over the default, holds 0
    nnU-Net    what ships minus what nnU-Net's procedure chooses on the same half, both on the judge's cases

Both halves hold other subjects, so an optimism is only right on average over the splits; the gain, which is paired, is
hardly touched by that.
"""

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autoseg.events import Event
from autoseg.selection.crossfit import Measured, crossfit
from autoseg.selection.evidence import Rows, gather
from autoseg.selection.finalists import Choice
from autoseg.selection.journal import Journal
from autoseg.volumes.statistics import Estimate, mean_of_targets, paired_interval
from benchmarks.selection_store import of_run

SPLITS = 50


@dataclass(frozen=True)
class Split:
    """One split: estimates on one half, and what the other half says."""

    oof: float
    nested: float
    judged: float
    nested_gain: Estimate
    judged_gain: Estimate
    over_nnunet: float
    better: bool

    @property
    def covered(self) -> bool:
        """Whether the nested and the judged gain agree: two independent intervals, hence the root of squares."""
        found, true = self.nested_gain, self.judged_gain
        if None in (found.value, found.low, true.value, true.low):
            return True
        spread = [(e.high - e.low) / 2 for e in (found, true)]
        return abs(found.value - true.value) <= float(np.hypot(*spread))


def one(measured: Measured, seed: int, folder: Path) -> Split:
    """Select on one half, judge on the other."""
    evidence = measured.evidence
    subjects = np.array(evidence.subjects)
    names = np.random.default_rng(seed).permutation(np.unique(subjects))
    mine = np.isin(subjects, names[: len(names) // 2])
    rows, judge = np.flatnonzero(mine), np.flatnonzero(~mine)
    found = crossfit(measured, Journal(folder / f"{seed}.jsonl", ""), seed, _quiet, rows=rows)

    def dice(choice: Choice, cases: Rows) -> np.ndarray:
        return measured.dice(choice, cases)

    judges = [evidence.subjects[row] for row in judge]
    shipped, default = dice(found.ships.choice, judge), dice(found.outcome.default.choice, judge)
    chosen, nnunet = dice(found.outcome.chosen.choice, judge), dice(found.outcome.nnunet.choice, judge)
    return Split(
        oof=found.ships.mean_dice,
        nested=found.mean.value or 0.0,
        judged=mean_of_targets(shipped) or 0.0,
        nested_gain=found.gain,
        judged_gain=paired_interval(chosen, default, judges, seed),
        over_nnunet=(mean_of_targets(shipped) or 0.0) - (mean_of_targets(nnunet) or 0.0),
        better=found.better,
    )


def main(run: Path, splits: int) -> None:
    """Split, select, judge, and tell."""
    store, plan, validation = of_run(run)
    measured = Measured(store, gather(store, plan, _quiet), validation.configurations[0].oof.tolerance_mm)
    made: list[Split] = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(splits):
            made.append(one(measured, seed, Path(folder)))
            last = made[-1]
            print(
                f"{seed + 1:3}  oof {last.oof:.4f}  nested {last.nested:.4f}  judged {last.judged:.4f}  "
                f"gain nested {last.nested_gain.value:+.4f} judged {last.judged_gain.value:+.4f}"
                f"{'' if last.covered else '  not covered'}{'  ships' if last.better else ''}",
                flush=True,
            )
    _tell("optimism of nested", [s.nested - s.judged for s in made])
    _tell("optimism of oof   ", [s.oof - s.judged for s in made])
    _tell("optimism of nested gain", [(s.nested_gain.value or 0) - (s.judged_gain.value or 0) for s in made])
    _tell("what ships minus nnU-Net's procedure, judged", [s.over_nnunet for s in made])
    print(f"covered in {sum(s.covered for s in made)} of {len(made)} splits; more than the default ships in", end=" ")
    print(sum(s.better for s in made))


def _tell(what: str, values: list[float]) -> None:
    print(f"{what}: mean {np.mean(values):+.5f}, from {min(values):+.5f} to {max(values):+.5f}")


def _quiet(event: Event) -> None:
    pass


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else SPLITS)
