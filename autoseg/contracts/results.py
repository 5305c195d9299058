"""What a run gives its user: predictions and the page."""

from typing import Literal

from autoseg.contracts.quality import CalibrationCheck, ExpectedDice, TargetCheck
from autoseg.contracts.scores import Interval, Scores
from planners.contracts import Record, StageRecord


class PredictedCase(Record):
    """What became of one input."""

    case: str
    status: Literal["done", "failed"]
    output: str | None = None  # relative to the prediction folder; null: failed
    error: str = ""
    seconds: float = 0.0
    volumes_mm3: tuple[float, ...] = ()  # per target
    warnings: tuple[str, ...] = ()
    ood: bool = False  # out of distribution: unlike the images that the model was made from; `warnings` say how
    expected: tuple[ExpectedDice, ...] = ()  # per target; empty: the model tells of no mask what to expect

    @property
    def looks(self) -> tuple[ExpectedDice, ...]:
        """The targets whose masks somebody should look at."""
        return tuple(one for one in self.expected if one.look)


class Prediction(StageRecord):
    """Outputs plus failures equal inputs. ``holdout`` has scores that no choice saw."""

    cases: tuple[PredictedCase, ...]
    holdout: Scores | None = None  # null: nothing was held out
    holdout_calibration: CalibrationCheck | None = None  # null: nothing was held out
    holdout_expectations: tuple[TargetCheck, ...] = ()  # empty: nothing was held out
    left_over: tuple[str, ...] = ()  # images of the input folder that were not taken for images to predict
    left_over_because: tuple[str, ...] = ()  # one sentence for each


class Report(StageRecord):
    """The page, and the numbers at its head."""

    page: str  # relative to the run folder
    headline: str
    honest_mean_dice: Interval
    honest_kind: Literal["holdout", "nested", "none"]
