"""The records that planning reads and writes: Fingerprint and Budget in, Plan out.

Vocabulary: a *configuration* is one way to solve the task (``2d``, ``3d_fullres``, ...); its *patch* is the block of
voxels a network sees at once; *spacing* is the size of a voxel in mm. Spatial tuples are in array order ``(z, y, x)``;
a two-dimensional configuration has two-element patches, strides and kernels ``(y, x)``. Units stand in the names.

Every record is frozen and strict: another choice is another record. ``null`` always has a meaning, written beside it.
"""

from planners.contracts.base import (
    Axes,
    Box,
    ConfigurationName,
    LabelKind,
    Parent,
    Precision,
    Provenance,
    Record,
    Shape,
    Spacing,
    StageRecord,
    Version,
)
from planners.contracts.budget import (
    Budget,
    Preset,
    Throughput,
)
from planners.contracts.configuration import (
    Configuration,
    Cost,
    NetworkPlan,
    Normalization,
    with_previous_stages,
)
from planners.contracts.fingerprint import (
    CaseFingerprint,
    ChannelFingerprint,
    Fingerprint,
    IntensityStatistics,
    LabelFingerprint,
    Outlier,
)
from planners.contracts.plan import (
    Plan,
    Reason,
    Skipped,
)
from planners.contracts.training import (
    Augmentation,
    LossName,
    SmallerPatch,
    TrainingPlan,
)
from planners.contracts.wishes import (
    NO_WISHES,
    Variation,
    Wishes,
)

__all__ = [
    "Augmentation",
    "Axes",
    "Box",
    "Budget",
    "CaseFingerprint",
    "ChannelFingerprint",
    "Configuration",
    "ConfigurationName",
    "Cost",
    "Fingerprint",
    "IntensityStatistics",
    "LabelFingerprint",
    "LabelKind",
    "LossName",
    "NO_WISHES",
    "NetworkPlan",
    "Normalization",
    "Outlier",
    "Parent",
    "Plan",
    "Precision",
    "Preset",
    "Provenance",
    "Reason",
    "Record",
    "Shape",
    "Skipped",
    "SmallerPatch",
    "Spacing",
    "StageRecord",
    "Throughput",
    "TrainingPlan",
    "Variation",
    "Version",
    "Wishes",
    "with_previous_stages",
]
