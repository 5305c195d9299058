"""Cases, labels, the audit and the split: what stands in a folder, and what may be learnt from it."""

from collections.abc import Iterable
from typing import Literal

from planners.contracts import Box, LabelKind, Record, Shape, Spacing, StageRecord


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


def alike(scans: Iterable[CaseScan]) -> tuple[CaseScan, ...]:
    """Scans of one data set by one measure: unless all state the size of a voxel, a voxel is a voxel in all of them."""
    known = tuple(scans)
    if all(scan.spacing_known for scan in known):
        return known
    return tuple(scan.model_copy(update={"spacing_mm": (1.0, 1.0, 1.0)}) for scan in known)


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
