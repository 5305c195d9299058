"""What planning must know of the data."""

from typing import Literal

from planners.contracts.base import Box, LabelKind, Record, Shape, Spacing, StageRecord


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
