"""Are probabilities as sure as right, and masks as good as expected, by the deployed model on hold-out cases?

    python -m benchmarks.trust RUN

Takes a finished run folder with a hold-out. Temperature and predictors are made anew from its out-of-fold predictions,
which needs no training; the hold-out is segmented by its deployed model.
"""

import sys
import time
from pathlib import Path

import numpy as np

from autoseg import model, records
from autoseg.contracts import CaseScan, Dataset, Selection
from autoseg.evaluation.foresight import compare
from autoseg.evaluation.scoring import dice_of
from autoseg.outoffold import slices, uncertain_box
from autoseg.selection.calibrating import calibrate, competing
from autoseg.selection.foresight import foresee
from autoseg.selection.store import Pipeline
from autoseg.volumes import temperature
from autoseg.workspace import Workspace
from benchmarks.selection_store import of_run


def main(run: Path) -> None:
    """Measure and print."""
    store, _, _ = of_run(run)
    chosen = records.read(run / "select.json", Selection)
    begun = time.process_time()
    found = calibrate(store, Pipeline.of(chosen), seed=0)
    between = time.process_time()
    foresight = foresee(store, Pipeline.of(chosen), chosen.oof.cases, found.temperature, seed=0)
    spent = between - begun, time.process_time() - between
    print(f"{len(store.held)} cases: temperature {spent[0]:.1f} s, expected Dice {spent[1]:.1f} s of the processor")
    print(found.because, *(one.because for one in foresight), sep="\n")

    workspace = Workspace(run)
    dataset = records.read(workspace.record("dataset"), Dataset)
    loaded = model.load(workspace.model.path, device="cpu")
    told = {"temperature": found.temperature, "expectations": tuple(one.expectation for one in foresight)}
    loaded = loaded.with_record(loaded.record.model_copy(update=told))
    samples, expected, dice = [], [], []
    for case in dataset.split.holdout:
        image, truth = (np.load(path(case)) for path in (workspace.dataset.image, workspace.dataset.label))
        spacing_mm = records.read(workspace.dataset.scan(case), CaseScan).spacing_mm
        blended = loaded.blended(np.ascontiguousarray(image), spacing_mm)
        classes = loaded.decide(blended.probabilities, spacing_mm)
        expected.append(loaded.expected(blended, classes, spacing_mm))
        dice.append(dice_of(truth, classes, loaded.labels))
        box = slices(uncertain_box(blended.probabilities, 0 if loaded.labels.kind == "exclusive" else None))
        samples.append(temperature.draw(*competing(blended.probabilities[:, *box], truth[box], loaded.labels)))
    for at in (1.0, found.temperature, temperature.fit(samples)):
        parts = [sample.reliability(at) for sample in samples]
        print(f"hold-out, temperature {at:.3f}: ECE {sum(parts[1:], parts[0]).expected_error():.4f}")
    for index, one in enumerate(foresight):
        predictor = one.expectation.predictor
        if predictor is not None:
            alike = ([value] * len(dice) for value in (predictor.median_dice, predictor.low_dice))
            print(
                one.expectation.target, compare([row[index] for row in expected], [row[index] for row in dice], *alike)
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
