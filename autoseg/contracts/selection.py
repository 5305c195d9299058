"""The empirical choice: ensemble, decision, post-processing, and how good they honestly are."""

from typing import Literal

from autoseg.contracts.importance import CaseChange, Importance
from autoseg.contracts.quality import Calibration, Foresight
from autoseg.contracts.scores import Interval, Scores
from planners.contracts import ConfigurationName, Record, StageRecord


class Member(Record):
    """One configuration's weight in the ensemble; all its fold models belong to it."""

    configuration: ConfigurationName
    weight: float


class Blend(Record):
    """How members are averaged; ``autoseg.volumes.blending`` says what the numbers do."""

    scale: Literal["probabilities", "logits"] = "probabilities"
    temperature: float = 1.0  # of each member before the mean of probabilities; below 1: nearer to a vote


class Bias(Record):
    """How readily a target is given a voxel: added to its logit. For a region, a threshold other than 0.5."""

    target: str
    logit: float


class Decision(Record):
    """From blended probabilities to masks, in this order; each target is post-processed before regions are nested."""

    biases: tuple[Bias, ...] = ()
    joint_largest: bool = False  # only the largest component of all foreground together stays
    nested_regions: bool = False  # what lies outside the region around it is taken from a region


class Postprocessing(Record):
    """What happens to one target after the decision, in this order: smoothing, keep-largest, minimum size, holes."""

    target: str
    keep_largest: bool = False
    minimum_mm3: float = 0.0
    fill_holes: bool = False
    smooth_mm: float = 0.0  # standard deviation of a Gaussian; 0: none


class Trial(Record):
    """One candidate of the search and its out-of-fold score."""

    number: int
    members: tuple[Member, ...]
    mirror: bool = False
    postprocessing: tuple[Postprocessing, ...]
    oof_mean_dice: float
    blend: Blend = Blend()
    decision: Decision = Decision()
    case_s: float | None = None  # predicted inference seconds per case with all fold models; null: not predicted
    name: str = ""  # of a candidate that everybody would try, or that others ship


class NestedTarget(Record):
    """One target under choices that were made on other folds than they are scored on."""

    target: str
    dice: Interval  # of what ships
    gain: Interval  # of the search's choice over the default


class BiasStrength(Record):
    """What the choice would score if its biases acted more or less strongly than on the outputs they were fitted on."""

    factor: float
    oof_mean_dice: float


class Selection(StageRecord):
    """The empirical choice and how good it honestly is."""

    members: tuple[Member, ...]
    mirror: bool = False  # average over mirrored copies at inference
    postprocessing: tuple[Postprocessing, ...]
    oof: Scores  # of the chosen pipeline; chosen on these cases, so optimistic
    default_oof_mean_dice: float | None  # of the best single configuration without post-processing; null: not validated
    nested_mean_dice: Interval  # chosen on other folds than scored on
    nested_gain: Interval  # over the default, paired over subjects
    trials: tuple[Trial, ...]
    because: str
    blend: Blend = Blend()
    decision: Decision = Decision()
    case_s: float | None = None  # predicted inference seconds per case with all fold models; null: not predicted
    nested_targets: tuple[NestedTarget, ...] = ()
    nnunet: Trial | None = None  # what nnU-Net's procedure would choose here: best single or pair, largest components
    nested_gain_over_nnunet: Interval = Interval()  # of what ships; both chosen on other folds, paired over subjects
    bias_strengths: tuple[BiasStrength, ...] = ()  # deployed outputs are means of fold models, which are flatter
    preferred: Trial | None = None  # what the search prefers; it ships only if it holds on other folds
    importance: tuple[Importance, ...] = ()  # of each choice; empty: nothing was searched
    changes: tuple[CaseChange, ...] = ()  # by what comes after the blend of the preferred pipeline; the others stay
    calibration: Calibration | None = None  # null: nothing was predicted out of fold
    foresight: tuple[Foresight, ...] = ()  # per target; empty: nothing was predicted out of fold
