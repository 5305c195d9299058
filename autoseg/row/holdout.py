"""The deployed model's promises on hold-out cases: are probabilities as sure as right, and masks as good as expected?

Temperature and predictor were made on single fold models; the mean of several is what ships. No choice looks at the
hold-out, so what is found here changes nothing and is told as it is.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from autoseg import records
from autoseg.contracts import CalibrationCheck, Dataset, Model, Prediction, Scores, TargetCheck
from autoseg.evaluation.foresight import compare
from autoseg.outoffold import slices, uncertain_box
from autoseg.selection.calibrating import competing
from autoseg.volumes import temperature as temperatures
from autoseg.volumes.calibration import Reliability
from autoseg.volumes.rounding import as_probabilities
from autoseg.workspace import Workspace
from planners.contracts import Record


class Bins(Record):
    """A ``Reliability`` as a record."""

    count: tuple[float, ...]
    predicted: tuple[float, ...]
    true: tuple[float, ...]

    @classmethod
    def of(cls, found: Reliability) -> "Bins":
        """The record of a reliability."""
        count, predicted, true = (tuple(each.tolist()) for each in (found.count, found.predicted, found.true))
        return cls(count=count, predicted=predicted, true=true)

    def reliability(self) -> Reliability:
        """The reliability of a record."""
        return Reliability(np.array(self.count), np.array(self.predicted), np.array(self.true))


class CaseReliability(Record):
    """One hold-out case, before and after the temperature."""

    before: Bins
    after: Bins


@dataclass(frozen=True)
class CalibrationOnHoldout:
    """Counts, case by case, how sure the deployed model is of hold-out cases, and how often right.

    Counts lie in a file per case, so that a prediction that was interrupted counts no case twice and leaves none out.
    """

    dataset: Dataset
    workspace: Workspace
    temperature: float

    def observe(self, case: str, probabilities: npt.NDArray[np.uint8] | npt.NDArray[np.float32]) -> None:
        """Count the voxels in the box of what is predicted, if the case is held out and its truth lies on this grid."""
        if case not in self.dataset.split.holdout:
            return
        labels = self.dataset.labels
        truth = np.load(self.workspace.dataset.label(case), allow_pickle=False)
        if truth.shape != probabilities.shape[1:]:
            return
        box = slices(uncertain_box(probabilities, 0 if labels.kind == "exclusive" else None))
        seen = temperatures.draw(*competing(as_probabilities(probabilities[:, *box]), truth[box], labels))
        before, after = (Bins.of(seen.reliability(each)) for each in (1.0, self.temperature))
        records.write(self.workspace.calibration(case), CaseReliability(before=before, after=after))

    def result(self) -> CalibrationCheck | None:
        """The errors over all cases; None where nothing was held out."""
        if not self.dataset.split.holdout:
            return None
        files = [self.workspace.calibration(case) for case in self.dataset.split.holdout]
        found = [records.read(file, CaseReliability) for file in files if file.exists()]
        if not found:
            return CalibrationCheck()
        before, after = found[0].before.reliability(), found[0].after.reliability()
        for case in found[1:]:
            before, after = before + case.before.reliability(), after + case.after.reliability()
        return CalibrationCheck(
            ece_before=before.expected_error(),
            ece_after=after.expected_error(),
            predictions=round(float(before.count.sum())),
            cases=len(found),
        )


def expectations(model: Model, made: Prediction, scores: Scores | None) -> tuple[TargetCheck, ...]:
    """Expected beside true Dice of the hold-out, for each target that the model tells something of."""
    if scores is None:
        return ()
    told = {case.case: {one.target: one for one in case.expected} for case in made.cases}
    checks = []
    for index, name in enumerate(model.labels.targets):
        predictor = next((one.predictor for one in model.expectations if one.target == name), None)
        if predictor is not None:
            truth = [case.targets[index].dice for case in scores.cases]
            alike = ([each] * len(truth) for each in (predictor.median_dice, predictor.low_dice))
            checks.append(
                TargetCheck(target=name, holdout=compare([told[c.case][name] for c in scores.cases], truth, *alike))
            )
    return tuple(checks)
