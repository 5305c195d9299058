"""The deployable model and its card."""

from typing import Literal

from pydantic import Field

from autoseg.contracts.dataset import Channel, LabelSet
from autoseg.contracts.quality import Expectation
from autoseg.contracts.scores import Interval
from autoseg.contracts.selection import Blend, Decision, Member, Postprocessing
from planners.contracts import Configuration, ConfigurationName, Record, Shape, Spacing, StageRecord


class WeightsFile(Record):
    """One network of the deployable model."""

    configuration: ConfigurationName
    fold: int
    file: str  # relative to the model folder
    sha256: str


class ChannelPopulation(Record):
    """How the values of one channel are distributed over the cases a model was made from: curves of 50 quantiles each.

    ``autoseg.volumes.likeness.Population`` says what each field means.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    middle: tuple[float, ...]
    examples: tuple[tuple[float, ...], ...]
    limit: float
    count: int
    hounsfield: bool


class ModelCard(Record):
    """What a stranger must know before using the model. No case names."""

    intended_use: str
    cases: int
    subjects: int
    modalities: tuple[str, ...]  # per channel
    shape_min: Shape
    shape_max: Shape
    spacing_min_mm: Spacing
    spacing_max_mm: Spacing
    spacing_known: bool
    mean_dice: Interval
    mean_dice_kind: Literal["holdout", "nested", "none"]
    weakest: tuple[str, ...]  # known failures in plain words
    extent_min_mm: Spacing | None = None  # field of view; null: unknown, as in models made before it was kept
    extent_max_mm: Spacing | None = None
    intensities: tuple[ChannelPopulation, ...] = ()  # per channel; empty: unknown
    sided: tuple[str, ...] = ()  # targets with a partner on the other side of the body, by name or by mirror symmetry


class Model(StageRecord):
    """A deployable model: ``model.json`` beside ``weights/``. Needs nothing else of the run folder."""

    autoseg_version: str
    dimension: Literal[2, 3]
    channels: tuple[Channel, ...]
    labels: LabelSet
    configurations: tuple[Configuration, ...]
    members: tuple[Member, ...]
    postprocessing: tuple[Postprocessing, ...]
    mirror: bool
    weights: tuple[WeightsFile, ...]
    golden: str  # SHA-256 of the golden input and output, checked on first load
    card: ModelCard
    blend: Blend = Blend()
    decision: Decision = Decision()
    temperature: float = Field(
        default=1.0, ge=0.1, le=10
    )  # of the blended probabilities that are shown; masks ignore it
    expectations: tuple[Expectation, ...] = ()  # per target; empty: masks are not judged
