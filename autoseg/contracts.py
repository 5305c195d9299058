"""The records of the row: what each stage hands to the next.

    folder ─▶ Dataset (+ CaseScan per case) ─▶ Fingerprint ─▶ Plan ─▶ Prepared ─▶ TrainedModel ─▶ Validation
           ─▶ Selection ─▶ Prediction ─▶ Report

Label volumes inside autoseg hold *class indices*: 0 background, k the k-th ``Label``, and ``LabelSet.ignore_index``
where nothing was annotated. File values appear on reading and on writing only. Volumes are canonical: axes
``(z, y, x)`` growing towards Superior, Posterior, Left. ``Fingerprint`` and ``Plan`` live in ``planners.contracts``.
"""

from typing import ClassVar, Generic, Literal, TypeVar

from pydantic import model_validator

from planners.contracts import (
    Axes,
    Box,
    Configuration,
    ConfigurationName,
    LabelKind,
    Plan,
    Preset,
    Record,
    Shape,
    Spacing,
    StageRecord,
    Variation,
    Wishes,
)

# ------------------------------------------------------------------------------------------------------ settings


Axis4 = Literal["channel", "time"]
"""What a fourth axis counts: channels of one image, or points in time, each of which is an image of its own."""


class Settings(Record):
    """What a user may ask for; the options of ``autoseg run`` are these fields."""

    hours: float | None = None  # null: as long as the preset takes
    preset: Preset = "standard"
    device: str = "auto"
    holdout: float = 0.0
    folds: int | None = None  # null: five, or fewer where there are few subjects or the hours are short
    seed: int = 0
    deterministic: bool = False
    planner: str = "auto"
    device_gb: float | None = None  # memory to plan for; null: what is free, or what an nnU-Net planner assumes
    configurations: tuple[ConfigurationName, ...] | None = None  # null: the planner's choice, also below
    spacing_mm: Spacing | None = None  # of the full resolution, along canonical (z, y, x)
    snap_labels: bool = False  # stray values in masks become the nearest label, however many there are
    trust_grid: bool = False  # a label of the image's shape is taken voxel for voxel, whatever its header says
    strict: bool = False  # any case that cannot be used is fatal
    splits: str | None = None  # file with folds to take; null: one in the source folder, or folds of our own
    layout: str | None = None  # how to read the source where it can be read in several ways; null: as it looks
    init: str | None = None  # model folder whose architecture and weights training starts from; null: from scratch
    axis4: Axis4 | None = None  # of images with a fourth axis; null: as files and declarations tell, else it is asked
    search: int = 0  # variants of the plan to try beside it; 0: the rules' plan is taken as it is

    @property
    def wishes(self) -> Wishes:
        """What is not left to the planner."""
        return Wishes(configurations=self.configurations, spacing_mm=self.spacing_mm, folds=self.folds)


class Run(Record):
    """``run.json``: what was asked, and what it has cost so far. The only record that names an absolute path."""

    schema_version: int = 1
    source: str  # the dataset's root; paths in other records are relative to it
    settings: Settings
    worked_s: float = 0.0  # wall-clock spent working, summed over restarts
    peak_memory_bytes: int = 0  # largest sampled memory of the process tree (PSS where the system tells it)


# ------------------------------------------------------------------------------------------------------- dataset


class Channel(Record):
    """An input channel. ``name`` is the user's word for it, e.g. ``CT``, ``T1``, ``R``."""

    name: str


Coding = Literal["values", "rgb"]
"""How files hold labels: as numbers, or as colours, of which the number is 0xRRGGBB."""


class Label(Record):
    """A class. Its index inside autoseg is its position in ``LabelSet.labels`` plus one."""

    name: str
    value: int  # in the files


class Region(Record):
    """A union of classes with a network output of its own, e.g. "whole tumour"."""

    name: str
    members: tuple[int, ...]  # class indices
    writes: int  # file value painted where this region is predicted; later regions paint over earlier ones


class LabelSet(Record):
    """What is to be predicted. Exclusive labels compete (softmax); regions may overlap (sigmoid)."""

    kind: LabelKind = "exclusive"
    labels: tuple[Label, ...]
    regions: tuple[Region, ...] = ()  # empty for exclusive labels; in painting order
    background_value: int = 0
    ignore_value: int | None = None  # null: everything is annotated
    coding: Coding = "values"  # rgb: files hold colours, and a value is 0xRRGGBB

    @property
    def ignore_index(self) -> int | None:
        """The class index of unannotated voxels in canonical label volumes."""
        return None if self.ignore_value is None else len(self.labels) + 1

    @property
    def heads(self) -> int:
        """Output channels of a network."""
        return len(self.regions) if self.kind == "regions" else len(self.labels) + 1

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of what is scored: the regions, or the labels without background."""
        return tuple(item.name for item in (self.regions if self.kind == "regions" else self.labels))

    @property
    def members(self) -> tuple[tuple[int, ...], ...]:
        """Class indices of each target, in the order of ``targets``."""
        if self.kind == "regions":
            return tuple(region.members for region in self.regions)
        return tuple((index + 1,) for index in range(len(self.labels)))


class StructureFile(Record):
    """The mask of one structure in a file of its own: what is not zero belongs to it."""

    name: str
    file: str


class Case(Record):
    """One image set with at most one label. Paths are relative to the dataset's root, POSIX style.

    The label is one file whose values tell the structures, or one file per structure.
    """

    case: str
    subject: str
    images: tuple[str, ...]  # one file per channel, or one file that holds all channels
    label: str | None = None  # null: none, or one file per structure
    structures: tuple[StructureFile, ...] = ()
    given_holdout: bool = False  # the source itself sets it apart (imagesTs with labels)
    reference: int = 0  # the image file on whose grid the others, and the label, are brought
    given_fold: int | None = None  # the fold that the source wants it validated in; null: says nothing
    frame: int | None = None  # the point in time, from 0, where its files hold several; null: they do not

    @property
    def label_files(self) -> tuple[str, ...]:
        """All files of the label."""
        return (*(() if self.label is None else (self.label,)), *(structure.file for structure in self.structures))

    @property
    def labelled(self) -> bool:
        """Whether there is anything to learn from; else the case is to be predicted only."""
        return bool(self.label_files)

    def without_label(self) -> "Case":
        """The same images, to be predicted."""
        return self.model_copy(update={"label": None, "structures": ()})

    def inside(self, folder: str) -> "Case":
        """The same case, seen from the parent of the folder that its paths are relative to."""
        return self.model_copy(
            update={
                "images": tuple(f"{folder}/{image}" for image in self.images),
                "label": None if self.label is None else f"{folder}/{self.label}",
                "structures": tuple(
                    StructureFile(name=structure.name, file=f"{folder}/{structure.file}")
                    for structure in self.structures
                ),
            }
        )


FindingKind = Literal["outlier", "duplicate"]
"""Remarks that a reader looks for: unlike the other cases, or the same as one of them."""


class AuditEntry(Record):
    """The verdict on one case. A quarantined case takes no part in anything and is listed in the report."""

    case: str
    verdict: Literal["ok", "repaired", "quarantined", "fatal"]
    reason: str = ""
    repair: str = ""
    kinds: tuple[FindingKind, ...] = ()  # of what the reason says, beyond faults and repairs


class Audit(Record):
    """Verdicts on all cases, and files that belong to none."""

    entries: tuple[AuditEntry, ...]
    left_over: tuple[str, ...] = ()
    left_over_because: tuple[str, ...] = ()  # one sentence for each


class Split(Record):
    """Who trains and who tests. ``folds[k]`` are the validation cases of fold k; subjects are never torn apart."""

    holdout: tuple[str, ...] = ()
    folds: tuple[tuple[str, ...], ...]  # a single empty fold: too few cases to validate on
    seed: int
    because: str
    given: bool = False  # by the source or the user: no plan changes the folds


class IntensitySketch(Record):
    """A mergeable summary of voxel values: moments and evenly spaced quantiles, minimum first, maximum last."""

    count: int
    mean: float
    std: float
    quantiles: tuple[float, ...]


class TargetScan(Record):
    """One target (label or region) in one case."""

    name: str
    voxels: int
    components: int
    component_voxels: tuple[int, ...]  # the largest ones first, at most 64
    box: Box | None = None  # null: absent
    centroid_vox: tuple[float, float, float] | None = None  # canonical (z, y, x) index; null: absent


class CaseScan(Record):
    """Everything the later stages must know of a case without opening its files again."""

    case: str
    content: str  # SHA-256 over the files' bytes
    shape: Shape  # canonical
    spacing_mm: Spacing  # canonical
    spacing_known: bool
    orientation: str  # axis codes of the source file
    nonzero_box: Box
    dtype: str
    overall: tuple[IntensitySketch, ...]  # per channel
    foreground: tuple[IntensitySketch | None, ...]  # per channel; null: no foreground
    label_values: tuple[int, ...]  # file values that occur
    targets: tuple[TargetScan, ...]


class CaseContent(Record):
    """Ties a dataset's digest to the bytes of its files."""

    case: str
    content: str


class Dataset(StageRecord):
    """The cases of a folder, audited and split."""

    layout: str
    dimension: Literal[2, 3]
    channels: tuple[Channel, ...]
    labels: LabelSet
    cases: tuple[Case, ...]  # usable ones, sorted by name; unlabelled ones are only predicted
    contents: tuple[CaseContent, ...]
    split: Split
    audit: Audit

    @property
    def development(self) -> tuple[str, ...]:
        """Labelled cases outside the hold-out, sorted."""
        kept_out = set(self.split.holdout)
        return tuple(case.case for case in self.cases if case.labelled and case.case not in kept_out)

    def case(self, name: str) -> Case:
        """The case called ``name``.

        Raises:
            KeyError: No such case.
        """
        for case in self.cases:
            if case.case == name:
                return case
        raise KeyError(name)


# --------------------------------------------------------------------------------------------------- preprocess


class PreparedCase(Record):
    """Geometry of one preprocessed case along its configuration's axes; enough to bring a prediction back."""

    case: str
    source_shape: Shape  # canonical grid
    source_spacing_mm: Spacing
    crop_box: Box  # in the canonical grid
    shape: Shape  # after resampling
    spacing_mm: Spacing  # after resampling
    axes: Axes = (0, 1, 2)  # canonical axis of each working axis


class PreparedConfiguration(Record):
    """All development cases as one configuration wants them."""

    configuration: ConfigurationName
    cases: tuple[PreparedCase, ...]
    bytes: int


class Prepared(StageRecord):
    """What preprocessing left on disk: an image and a label array per configuration and case."""

    configurations: tuple[PreparedConfiguration, ...]


# --------------------------------------------------------------------------------------------------------- train


class CurvePoint(Record):
    """A stretch of training, averaged."""

    step: int
    seconds: float
    loss: float
    learning_rate: float


class DryRun(Record):
    """What a plan predicts of a configuration, and what a few steps of training on noise took."""

    configuration: ConfigurationName
    predicted_bytes: int
    measured_bytes: int | None  # null: not measurable on this system
    predicted_step_s: float
    measured_step_s: float


class MonitorPoint(Record):
    """What the averaged weights scored on the cases that watch training: mean Dice of whole volumes."""

    step: int
    dice: float


class Energy(Record):
    """What training took of one kind of hardware."""

    joules: float | None  # null: nothing here tells
    measured: bool  # by the hardware itself; false: estimated, or unknown
    how: str  # where the number comes from, or why there is none


class TrainedModel(StageRecord):
    """One job: a configuration trained without one fold, and its predictions of that fold."""

    configuration: ConfigurationName
    fold: int
    previous_stage: ConfigurationName | None = None  # its masks were input; their networks saw this fold's cases
    weights: str  # SHA-256 of the weights file
    steps: int
    planned_steps: int
    seconds: float
    samples_per_s: float = 0.0
    seed: int = 0  # of weights, sampling and augmentation
    skipped_steps: int = 0  # left out because loss or gradient were no finite numbers
    rollbacks: int = 0  # to an earlier checkpoint at half the learning rate, after several of those in a row
    restarts: int = 0  # with other weights at a lower learning rate, after a collapse to background
    batch_pieces: int = 1  # parts that each batch was computed in, since as a whole it did not fit into memory
    collapsed: bool = False  # to the end it called everything background
    data_wait_share: float
    peak_memory_bytes: int | None = None  # null where it cannot be measured
    energy: tuple[Energy, ...] = ()  # of training, without prediction; empty: from before it was noted
    curve: tuple[CurvePoint, ...]
    monitors: tuple[str, ...] = ()  # training cases left out of training, that watched it
    monitored: tuple[MonitorPoint, ...] = ()
    ended_early: bool = False  # they stood still, and the rest of the schedule was run through quickly
    execution: str = ""  # how steps were computed and why: order of axes in memory, compiled or not; empty: not noted
    out_of_fold: tuple[str, ...]  # cases predicted by this model, which never saw them
    mirrored: bool = False  # they were predicted a second time, averaged over mirrored copies


# ------------------------------------------------------------------------------------------------------- scoring


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


# -------------------------------------------------------------------------------------------------- plan search


class Rung(Record):
    """A partial training of a trial, and how it did on the cases that judge."""

    steps: int
    seconds: float  # that training took
    oof_mean_dice: float | None  # null: no case defines one
    cases: int  # that define one


class PlanTrial(Record):
    """A variant of the plan; trial 0 is the plan of the rules itself."""

    number: int
    variation: Variation
    plan: str | None  # digest of the variant's plan; null: there is none, and `cause` says why
    rungs: tuple[Rung, ...]  # in their order; empty: it failed before it was judged
    state: Literal["complete", "pruned", "failed"]
    cause: str = ""  # of the failure


class PlanSearch(StageRecord):
    """What was tried instead of the plan of the rules, and which plan is trained."""

    asked: int  # variants
    fitting: int  # variants that the hours allow; so many were tried, or all there are
    hours: float | None  # of the run, that the search may take; null: no hours were given
    predicted_hours: float
    judged_on: tuple[str, ...]  # cases that chose: validation cases of one fold; empty: nothing was tried
    trials: tuple[PlanTrial, ...]
    chosen: int  # number of a trial
    oof_gain: Interval  # of the best variant over the plan of the rules on these cases, paired over subjects
    because: str
    plan: Plan  # that is trained

    @property
    def seconds(self) -> float:
        """That trainings took."""
        return sum(rung.seconds for trial in self.trials for rung in trial.rungs)


class TrialFailure(StageRecord):
    """Why a partial training of a trial came to no end."""

    cause: str


# -------------------------------------------------------------------------------------------------------- select


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


# ------------------------------------------------------------------------------------------------------- predict


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


class Prediction(StageRecord):
    """Outputs plus failures equal inputs. ``holdout`` has scores that no choice saw."""

    cases: tuple[PredictedCase, ...]
    holdout: Scores | None = None  # null: nothing was held out
    left_over: tuple[str, ...] = ()  # images of the input folder that were not taken for images to predict
    left_over_because: tuple[str, ...] = ()  # one sentence for each


class Report(StageRecord):
    """The page, and the numbers at its head."""

    page: str  # relative to the run folder
    headline: str
    honest_mean_dice: Interval
    honest_kind: Literal["holdout", "nested", "none"]


# ---------------------------------------------------------------------------------------------------------- model


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
