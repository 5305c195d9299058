"""What all records share: their base, where they come from, and the words for places and choices."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Shape = tuple[int, int, int]
"""Voxels along (z, y, x)."""
Spacing = tuple[float, float, float]
"""Millimetres along (z, y, x)."""
Axes = tuple[int, int, int]
"""Which canonical axis each working axis is: an order of (0, 1, 2)."""
Box = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
"""Half-open voxel ranges ((z0, z1), (y0, y1), (x0, x1))."""

Precision = Literal["fp32", "bf16", "fp16"]
ConfigurationName = Literal["2d", "3d_fullres", "3d_lowres", "3d_cascade_fullres"]
LabelKind = Literal["exclusive", "regions"]


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
