"""How well masks agree with references: metrics per case and target, and their means with intervals."""

from typing import ClassVar, Generic, TypeVar

from pydantic import model_validator

from planners.contracts import ConfigurationName, Record, StageRecord


class Interval(Record):
    """An estimate with its 95 % bootstrap interval over subjects."""

    value: float | None = None  # null: undefined, no case could be scored; low and high alike
    low: float | None = None
    high: float | None = None
    n: int = 0


V = TypeVar("V")


class Measures(Record, Generic[V]):
    """A value for every metric. ``autoseg.volumes.metrics.METRICS`` says what each is and when it is undefined."""

    undefined: ClassVar[object]

    dice: V
    iou: V
    sensitivity: V
    specificity: V
    precision: V
    volume_error_mm3: V
    relative_volume_error: V
    volume_similarity: V
    nsd: V
    hd95_mm: V
    hd_mm: V
    assd_mm: V
    lesion_f1: V
    lesions_found: V
    lesions_missed: V
    lesions_extra: V
    panoptic_quality: V
    segmentation_quality: V
    recognition_quality: V

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, given: object) -> object:
        """Records of versions that knew fewer metrics are read: what they did not measure is undefined."""
        return {**dict.fromkeys(Measures.model_fields, cls.undefined), **given} if isinstance(given, dict) else given


class OfTarget(Record):
    """What is scored: a label or a region, by its name."""

    target: str


class TargetScore(Measures[float | None], OfTarget):
    """Agreement on one target in one case. Null: undefined, or of a version that did not measure it."""

    undefined: ClassVar[object] = None

    reference_mm3: float
    predicted_mm3: float


class CaseScore(Record):
    """All targets of one case."""

    case: str
    subject: str
    targets: tuple[TargetScore, ...]


class Means(Measures[Interval]):
    """Each metric averaged over cases per target first, then over targets."""

    undefined: ClassVar[object] = Interval()


class TargetSummary(Means, OfTarget):
    """One target over all cases that define it; ``n`` of each interval says how many those are."""

    absent: int  # cases without the target in the reference; scored 0 if predicted there, else left out
    missed: int | None = None  # cases with it, of which nothing is predicted: no distances; null: of a version before


class GroupSummary(Record):
    """The cases that share a value in a column of a table of groups."""

    column: str  # e.g. scanner
    group: str
    cases: tuple[str, ...]
    subjects: int
    targets: tuple[TargetSummary, ...]
    means: Means


class Scores(Record):
    """Per case, per target, and overall. ``mean_dice`` averages per target first, then over targets."""

    tolerance_mm: float  # of the normalised surface distance (NSD)
    cases: tuple[CaseScore, ...]
    targets: tuple[TargetSummary, ...]
    mean_dice: Interval
    mean_nsd: Interval
    means: Means = Means.model_validate({})  # of all metrics, those two among them; undefined in earlier versions
    groups: tuple[GroupSummary, ...] = ()  # empty: no table of groups was given
    convention: str


class ConfigurationValidation(Record):
    """Out-of-fold scores of one configuration, before any choice."""

    configuration: ConfigurationName
    oof: Scores


class Validation(StageRecord):
    """Every configuration's cross-validation on whole volumes in the original space."""

    configurations: tuple[ConfigurationValidation, ...]
