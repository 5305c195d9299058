"""What training reads, and what it leaves: prepared cases and trained jobs."""

from planners.contracts import Axes, Box, ConfigurationName, Record, Shape, Spacing, StageRecord


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
