"""The records that planning reads and writes: Fingerprint and Budget in, Plan out.

Vocabulary: a *configuration* is one way to solve the task (``2d``, ``3d_fullres``, ...); its *patch* is the block of
voxels a network sees at once; *spacing* is the size of a voxel in mm. Spatial tuples are in array order ``(z, y, x)``;
a two-dimensional configuration has two-element patches, strides and kernels ``(y, x)``. Units stand in the names.

Every record is frozen and strict: another choice is another record. ``null`` always has a meaning, written beside it.
"""

from collections.abc import Collection, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Shape = tuple[int, int, int]
"""Voxels along (z, y, x)."""
Spacing = tuple[float, float, float]
"""Millimetres along (z, y, x)."""
Axes = tuple[int, int, int]
"""Which canonical axis each working axis is: an order of (0, 1, 2)."""
Box = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
"""Half-open voxel ranges ((z0, z1), (y0, y1), (x0, x1))."""

Precision = Literal["fp32", "bf16", "fp16"]
Preset = Literal["fast", "standard", "max"]
ConfigurationName = Literal["2d", "3d_fullres", "3d_lowres", "3d_cascade_fullres"]
LabelKind = Literal["exclusive", "regions"]
LossName = Literal[
    "dice_ce",
    "dice_focal",
    "dice_topk",
    "topk",
    "tversky",
    "tversky_ce",
    "focal_tversky",
    "focal_tversky_ce",
    "generalized_dice",
    "generalized_dice_ce",
    "lovasz",
    "lovasz_ce",
    "exponential_logarithmic",
    "dice_ce_boundary",
    "dice_ce_hausdorff",
]
"""What training minimises; the terms, and where they were published, stand in ``autoseg.learn.losses``."""


class Record(BaseModel):
    """Base of all records: immutable, strictly typed, no unknown fields, no NaN."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class Parent(Record):
    """One thing a record was computed from: another record, the settings, or the algorithm's version."""

    name: str
    digest: str


class Version(Record):
    """An installed package and its version."""

    package: str
    version: str


class Provenance(Record):
    """Circumstances of a computation. Never part of a digest: the same choices elsewhere give the same record."""

    started: str
    seconds: float
    host: str
    peak_memory_bytes: int | None = None  # peak resident memory of this process; null where it cannot be measured
    versions: tuple[Version, ...] = ()
    commit: str | None = None  # of the checkout that ran, ending in "+" where files were changed; null: none, a package


class StageRecord(Record):
    """What a stage of the row returns. The pipeline fills in ``parents`` and ``provenance``."""

    schema_version: int = 1
    parents: tuple[Parent, ...] = ()
    provenance: Provenance | None = None


# --------------------------------------------------------------------------------------------------- fingerprint


class IntensityStatistics(Record):
    """Statistics of one channel over a set of voxels, in the units of the files."""

    count: int
    mean: float
    std: float
    minimum: float
    percentile_00_5: float
    median: float
    percentile_99_5: float
    maximum: float


class ChannelFingerprint(Record):
    """One input channel over all development cases."""

    name: str
    modality: Literal["ct", "mri", "rgb", "other"]
    overall: IntensityStatistics
    foreground: IntensityStatistics | None = None  # null: no case has foreground


class LabelFingerprint(Record):
    """One predicted class or region over all development cases."""

    name: str
    cases: int  # number of cases in which it occurs
    voxel_fraction: float  # of all voxels of all cases
    volume_mm3: float | None = None  # median over the cases in which it occurs; null: occurs in none
    components: float | None = None  # median number of connected components
    component_volume_mm3: float | None = None  # median over components
    extent_mm: Spacing | None = None  # median bounding box
    partner: str | None = None  # the same structure on the other side of the body, by name or by mirror symmetry


class CaseFingerprint(Record):
    """Geometry of one case. ``cropped_shape`` is the box of non-zero voxels."""

    case: str
    shape: Shape
    spacing_mm: Spacing
    orientation: str  # axis codes of the source file, e.g. "RAS"
    cropped_shape: Shape
    foreground_box: Box | None = None  # null: no foreground


class Outlier(Record):
    """A case whose measured value lies far from the others'."""

    case: str
    what: str
    value: float
    typical: float


class Fingerprint(StageRecord):
    """What planning must know of the data; the hold-out cases have no part in it."""

    dimension: Literal[2, 3]
    spacing_known: bool
    kind: LabelKind
    heads: int  # output channels of a network: exclusive labels count the background, regions do not
    has_ignore: bool
    subjects: int
    channels: tuple[ChannelFingerprint, ...]
    labels: tuple[LabelFingerprint, ...]  # foreground labels, or regions
    cases: tuple[CaseFingerprint, ...]
    outliers: tuple[Outlier, ...] = ()


# -------------------------------------------------------------------------------------------------------- budget


class Throughput(Record):
    """Effective speed of training convolutions, measured on this machine."""

    dimension: Literal[2, 3]
    precision: Precision
    flops_per_s: float
    bytes_per_s: float


class Budget(StageRecord):
    """The machine at hand and what it may spend. Measured once per run folder."""

    device: str  # "cpu", "cuda:0", "mps"
    device_name: str
    cores: int
    accelerators: int = 1  # like `device`, that jobs are spread over
    memory_bytes: int  # that training may use: free accelerator memory, or free RAM on a CPU
    ram_bytes: int  # free RAM
    disk_bytes: int  # free disk space in the run folder
    precision: Precision  # fastest precision that passed the numeric self-test
    throughputs: tuple[Throughput, ...]
    step_overhead_s: float
    preset: Preset = "standard"
    hours: float | None = None  # null: the preset sizes the schedule
    folds: int = 5
    deterministic: bool = False
    device_gb: float | None = None  # asked for, then also in `memory_bytes`; null: planners that assume one do so
    step_time_correction: float = 1.0  # measured / predicted seconds per step of the plan's first draft


# ---------------------------------------------------------------------------------------------------------- plan


class Reason(Record):
    """Why a rule chose what it chose."""

    rule: str  # e.g. "spacing.target"
    configuration: ConfigurationName | None = None  # null: holds for the whole plan
    saw: str
    chose: str
    because: str
    source: str  # paper, section or experiment the rule rests on


class Normalization(Record):
    """How one channel's intensities become network input.

    ``ct``: clip to [lower, upper], subtract mean, divide by std (all from the fingerprint). ``zscore``: per image.
    ``rgb_to_0_1``: divide by 255. ``rescale_to_0_1``: per image. ``none``: as is.
    """

    channel: str
    scheme: Literal["ct", "zscore", "rescale_to_0_1", "rgb_to_0_1", "none"]
    inside_nonzero: bool = False  # statistics from, and applied to, non-zero voxels only
    lower: float | None = None  # null unless scheme is "ct", also below
    upper: float | None = None
    mean: float | None = None
    std: float | None = None


class NetworkPlan(Record):
    """A U-shaped network. Tuples are per resolution stage, full resolution first; the first stride is always 1.

    ``plain_unet`` counts convolutions per stage. ``residual_unet`` counts residual blocks of two convolutions in its
    encoder, which begins with one more convolution, and convolutions in its decoder.
    """

    family: Literal["plain_unet", "residual_unet"]
    dimension: Literal[2, 3]
    in_channels: int
    heads: int
    features: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]
    kernels: tuple[tuple[int, ...], ...]
    convolutions_encoder: tuple[int, ...]
    convolutions_decoder: tuple[int, ...]  # one element fewer
    deep_supervision: bool = True


class Augmentation(Record):
    """Training-time augmentation: ranges, and probabilities per sample.

    Of a sample that is blurred or coarsened each channel is taken with probability 0.5, else all channels are.
    """

    rotation_deg: tuple[float, float, float] = (30.0, 30.0, 30.0)  # largest angle about the (z, y, x) axis
    rotation_probability: float = 0.2
    scale: tuple[float, float] = (0.7, 1.4)  # how much of the image a patch shows; above 1, objects appear smaller
    scale_probability: float = 0.2
    mirror_axes: tuple[int, ...] = ()  # patch axes that may be flipped, each with probability 0.5
    noise_probability: float = 0.1
    noise_std: float = 0.1  # largest, in units of the normalized image
    blur_probability: float = 0.2
    blur_sigma_vox: tuple[float, float] = (0.5, 1.0)
    brightness_probability: float = 0.15
    brightness: tuple[float, float] = (0.75, 1.25)
    contrast_probability: float = 0.15
    contrast: tuple[float, float] = (0.75, 1.25)
    low_resolution_probability: float = 0.25
    low_resolution_zoom: tuple[float, float] = (0.5, 1.0)
    gamma_probability: float = 0.3
    gamma: tuple[float, float] = (0.7, 1.5)
    gamma_invert_probability: float = 0.1
    masks: int = 0  # last channels that are masks of a previous stage: not intensities, and disturbed instead
    mask_border_probability: float = 0.4
    mask_loss_probability: float = 0.2


class SmallerPatch(Record):
    """A patch that is trained on before a larger one: cheap steps first."""

    patch_vox: tuple[int, ...]
    until_share: float  # of the schedule


class TrainingPlan(Record):
    """Everything the training loop decides by; nothing is left to a class name."""

    patch_vox: tuple[int, ...]
    smaller_patches: tuple[SmallerPatch, ...] = ()  # one after the other, growing; then `patch_vox` for the rest
    batch: int
    steps: int
    seconds: float | None = None  # of work, after which the job ends if `steps` are not done before; null: steps alone
    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = 0.01
    momentum: float = 0.99
    weight_decay: float = 3e-5
    schedule: Literal["poly", "cosine"] = "poly"
    warmup_share: float = 0.02
    gradient_clip: float = 12.0
    ema_decay: float | None = 0.999  # of the shipped weights; null: the last weights ship
    loss: LossName = "dice_ce"
    batch_dice: bool = False
    foreground_fraction: float = 0.33
    augmentation: Augmentation = Augmentation()
    precision: Precision = "fp32"
    monitor_cases: int = 0  # of the training part, left out to watch whole volumes and end early; 0: to the planned end
    checkpoint_s: float = 60.0

    @field_validator("loss", mode="before")
    @classmethod
    def _one_name_for_both_kinds(cls, value: object) -> object:
        """Plans made before losses had one name for both kinds of labels called that of regions ``dice_bce``."""
        return "dice_ce" if value == "dice_bce" else value


class Cost(Record):
    """What the planner expects of a configuration on the measured machine."""

    memory_bytes: int  # peak of training
    step_s: float
    fold_training_s: float
    case_inference_s: float  # one model, no test-time augmentation


class Configuration(Record):
    """One way to solve the task, complete enough to be preprocessed, trained and deployed.

    Its own tuples are along its working axes, of which ``axes`` says which canonical axes they are; a two-dimensional
    configuration slices across the first.
    """

    name: ConfigurationName
    dimension: Literal[2, 3]
    axes: Axes | None = (0, 1, 2)  # null: in each case, the axis with the thickest voxels comes first
    spacing_mm: tuple[float | None, float, float]  # null along the first axis: slices keep their own spacing
    median_shape_vox: Shape  # of the resampled cases
    normalization: tuple[Normalization, ...]
    network: NetworkPlan
    training: TrainingPlan
    cost: Cost
    previous_stage: ConfigurationName | None = None  # its masks, one per target, are extra input channels


def with_previous_stages(names: Collection[str], configurations: Sequence[Configuration]) -> tuple[Configuration, ...]:
    """The configurations called ``names`` and all that they build on, each after what it builds on.

    Raises:
        ValueError: One builds on itself, or on one that is not there.
    """
    by_name = {configuration.name: configuration for configuration in configurations}
    kept: list[Configuration] = []
    for configuration in configurations:
        chain = [configuration] if configuration.name in names else []
        while chain and chain[0].previous_stage is not None:
            before = by_name.get(chain[0].previous_stage)
            if before is None or before in chain:
                raise ValueError(f"{chain[0].name} builds on {chain[0].previous_stage}, which cannot come before it")
            chain.insert(0, before)
        kept += (link for link in chain if link not in kept)
    return tuple(kept)


class Wishes(Record):
    """What somebody asks of a plan instead of leaving it to the planner."""

    configurations: tuple[ConfigurationName, ...] | None = None  # null: as the planner finds right
    spacing_mm: Spacing | None = None  # of the full resolution, along canonical (z, y, x); null: the planner's
    folds: int | None = None  # null: the planner's, at most those of the split
    like: Configuration | None = None  # of a trained model whose network, and all that shaped it, is kept


NO_WISHES = Wishes()


class Variation(Record):
    """What a variant has otherwise than the plan. Factors multiply what is planned."""

    width: float = 1.0  # of the features of every stage
    spacing: float = 1.0  # of the voxels, along every axis that is resampled
    patch: float = 1.0  # of the voxels in a patch; the batch has as many patches fewer
    augmentation: float = 1.0  # of the probabilities
    rate: float = 1.0  # of the learning rate
    loss: LossName | None = None  # null: as planned, also below
    planner: str | None = None

    def __str__(self) -> str:
        """In words, e.g. ``width x 1.5, loss dice_topk``."""
        named = {name: value for name, value in self if value not in (1.0, None)}
        parts = [
            f"{name} {value}" if isinstance(value, str) else f"{name} x {value:g}" for name, value in named.items()
        ]
        return ", ".join(parts) or "as the rules plan"


class Skipped(Record):
    """A configuration that was considered and left out."""

    configuration: ConfigurationName
    because: str


class Plan(StageRecord):
    """All decisions, with their reasons."""

    planner: str
    orientation: Literal["LPS", "native"] = "LPS"
    trainable: bool = True
    configurations: tuple[Configuration, ...] = Field(min_length=1)
    skipped: tuple[Skipped, ...] = ()
    reasons: tuple[Reason, ...]
    predicted_hours: float
    folds: int | None = None  # of the cross-validation; null: as many as the dataset was split into

    def configuration(self, name: str) -> Configuration:
        """The configuration called ``name``.

        Raises:
            KeyError: The plan has no such configuration.
        """
        for configuration in self.configurations:
            if configuration.name == name:
                return configuration
        raise KeyError(f"no configuration {name!r} in the plan; it has {[c.name for c in self.configurations]}")
