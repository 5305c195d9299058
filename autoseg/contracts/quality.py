"""How far probabilities and masks can be trusted: calibration, and the Dice that a mask is expected to have."""

from typing import Literal

from pydantic import Field

from autoseg.contracts.scores import Interval
from planners.contracts import Record

FeatureName = Literal[
    "expected_dice",
    "doubt_inside",
    "doubt_outside",
    "doubt_outline",
    "agreement",
    "volume",
    "components",
    "largest_share",
    "compactness",
    "at_border",
]
"""What is seen of a mask without the truth; ``autoseg.quality`` says how it is measured."""


class Calibration(Record):
    """The temperature of the blended probabilities. It changes probabilities that are shown, and never a mask."""

    temperature: float = Field(default=1.0, ge=0.1, le=10)
    fitted: float | None = None  # mildest of those without one fold; ships where it helps. null: nothing to fit
    ece_before: float | None = None  # expected calibration error of what the networks say; null: nothing counted
    ece_after: float | None = None  # by temperatures fitted on other folds; null: there are none
    predictions: int = 0  # counted: voxels in the box of what is predicted; of regions, once for each
    because: str


class DiceTerm(Record):
    """One feature's part in an expected Dice: ``coefficient * (feature - mean) / scale``."""

    feature: FeatureName
    mean: float
    scale: float = Field(gt=0)
    coefficient: float
    low: float  # the least and the greatest value in the cases it was learned from
    high: float


class DicePredictor(Record):
    """From features to the Dice a mask is expected to have, as plain numbers.

    The sum of ``intercept`` and ``terms`` is an angle, the arcsine of the root of Dice. ``residual_low`` and
    ``residual_high`` are what true angles were below and above it, in nine of ten cases that it was not learned from.
    """

    intercept: float
    terms: tuple[DiceTerm, ...]
    residual_low: float
    residual_high: float
    median_dice: float  # of the development cases: what would be said without looking at the mask
    low_dice: float  # nine of ten development cases reached this Dice or more


class Expectation(Record):
    """What is known of one target before its mask in a new image is seen."""

    target: str
    present: float = Field(ge=0, le=1)  # share of the development cases in which it is
    predictor: DicePredictor | None = None  # null: none is better than always saying the same


class ExpectedDice(Record):
    """What to expect of one target's mask."""

    target: str
    dice: float | None = None  # null: nothing was outlined, it cannot be told, or the model tells of no mask
    low: float | None = None  # of nine masks in ten that were like this, the Dice lay between these
    high: float | None = None
    look: str = ""  # why somebody should look at this mask before any other; empty: nothing speaks for it


class ExpectationError(Record):
    """Expected beside true Dice, over cases whose truth is known. Masks without an expectation are left out."""

    cases: int
    error: float | None = None  # mean absolute difference; null, as are all below: no cases
    constant_error: float | None = None  # the same of always saying the development cases' median
    bias: float | None = None  # mean of expected minus true
    rank_correlation: float | None = None  # Spearman's; null also where all are equal
    inside: float | None = None  # share of true Dice within the interval, which is made to hold 0.9
    low: int = 0  # cases with a Dice that nine of ten development cases exceed
    flagged: int = 0  # cases to look at
    low_flagged: int = 0  # both


class Foresight(Record):
    """How well one target's Dice can be foreseen."""

    expectation: Expectation  # what ships
    oof: ExpectationError  # learned on other folds than it is counted on
    gain: Interval = Interval()  # in mean absolute error, over always saying the median, paired over subjects
    order: Interval = Interval()  # Spearman's correlation of expected and true Dice, on the same folds as `oof`
    because: str


class TargetCheck(Record):
    """One target's expectations, held against the truth of hold-out cases."""

    target: str
    holdout: ExpectationError


class CalibrationCheck(Record):
    """The deployed model's calibration on hold-out cases."""

    ece_before: float | None = None  # null: nothing to count
    ece_after: float | None = None
    predictions: int = 0
    cases: int = 0
