"""Every metric of two masks, in one table: what it is, its unit, which way is better, what it needs, how to compute it.

To add a metric, add an entry to ``METRICS`` and a field of its name to ``autoseg.contracts.Measures``; tables, files,
summaries and ``docs/metrics.md`` follow.

*Empty masks.* Absent from reference and prediction alike, a target has no score by any metric: all are None. With one
of the two empty, overlap, NSD and the lesion metrics are 0; distances, which would be infinite, are None, and so is
what would be divided by nothing. The entry of each metric says so. (Metrics Reloaded, Maier-Hein et al., Nature Methods
21, 2024, leaves the choice to the implementation and asks that it be stated, with counts.)
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from autoseg.volumes import lesions, surfaces
from autoseg.volumes.labels import Mask, Slices, bounding_slices
from autoseg.volumes.lesions import Lesions
from autoseg.volumes.overlap import Overlap
from autoseg.volumes.surfaces import Distances
from planners.contracts import Spacing


@dataclass(frozen=True, eq=False)
class Pair:
    """Two masks (z, y, x) on one grid, cropped to what they show; each thing about them is computed once, if asked.

    Attributes:
        reference, predicted: The truth and what is judged.
        spacing_mm: Size of a voxel.
        tolerance_mm: Surface distance that NSD forgives.
        annotated_vox: Voxels of the whole image that somebody annotated; specificity counts negatives among them.
        plane: The image, not just this crop of it, has one slice, which therefore is no surface by itself.
    """

    reference: Mask
    predicted: Mask
    spacing_mm: Spacing
    tolerance_mm: float
    annotated_vox: int
    plane: bool

    @cached_property
    def overlap(self) -> Overlap:
        """Voxel counts."""
        both = int(np.count_nonzero(self.reference & self.predicted))
        reference, predicted = (int(np.count_nonzero(mask)) for mask in (self.reference, self.predicted))
        return Overlap(both, reference, predicted, self.annotated_vox)

    @cached_property
    def distances(self) -> Distances:
        """Between the surfaces."""
        return surfaces.distances(self.reference, self.predicted, self.spacing_mm, plane=self.plane)

    @cached_property
    def lesions(self) -> Lesions:
        """Matched connected components."""
        return lesions.match(self.reference, self.predicted)

    @property
    def voxel_mm3(self) -> float:
        """Volume of a voxel."""
        return float(np.prod(self.spacing_mm))


@dataclass(frozen=True)
class Metric:
    """One entry of the table.

    Attributes:
        what: The definition.
        of: Computes it.
        unit: Empty for a share or a ratio.
        better: Which values are good.
        needs: The dearest thing it is computed from.
        undefined: When it is None, beyond targets absent from both masks.
    """

    what: str
    of: Callable[[Pair], float | None]
    unit: Literal["", "mm", "mm3", "lesions"] = ""
    better: Literal["higher", "lower", "near 0"] = "higher"
    needs: Literal["voxels", "surfaces", "components"] = "voxels"
    undefined: str = ""


NO_REFERENCE, NO_PREDICTION, NO_EITHER = "reference empty", "prediction empty", "either empty"

METRICS: dict[str, Metric] = {
    "dice": Metric("2 overlap / (reference + prediction)", lambda pair: pair.overlap.dice()),
    "iou": Metric("overlap / union (Jaccard)", lambda pair: pair.overlap.iou()),
    "sensitivity": Metric(
        "overlap / reference (recall)", lambda pair: pair.overlap.sensitivity(), undefined=NO_REFERENCE
    ),
    "specificity": Metric(
        "share of the negatives, all annotated voxels of the image outside the reference, that is not predicted",
        lambda pair: pair.overlap.specificity(),
        undefined="reference fills the image",
    ),
    "precision": Metric("overlap / prediction", lambda pair: pair.overlap.precision(), undefined=NO_PREDICTION),
    "volume_error_mm3": Metric(
        "prediction - reference",
        lambda pair: (pair.overlap.predicted - pair.overlap.reference) * pair.voxel_mm3,
        "mm3",
        "near 0",
    ),
    "relative_volume_error": Metric(
        "(prediction - reference) / reference",
        lambda pair: pair.overlap.volume_error(),
        better="near 0",
        undefined=NO_REFERENCE,
    ),
    "volume_similarity": Metric(
        "1 - |prediction - reference| / (prediction + reference)", lambda pair: pair.overlap.volume_similarity()
    ),
    "nsd": Metric(
        "share of the surface voxels of both masks within the tolerance of the other surface (surface Dice)",
        lambda pair: pair.distances.within(pair.tolerance_mm),
        needs="surfaces",
    ),
    "hd95_mm": Metric(
        "larger one of the two directed 95th percentiles of the surface distances",
        lambda pair: pair.distances.hausdorff_mm(95),
        "mm",
        "lower",
        "surfaces",
        NO_EITHER,
    ),
    "hd_mm": Metric(
        "largest surface distance (Hausdorff)",
        lambda pair: pair.distances.hausdorff_mm(),
        "mm",
        "lower",
        "surfaces",
        NO_EITHER,
    ),
    "assd_mm": Metric(
        "mean surface distance, over the surface voxels of both masks",
        lambda pair: pair.distances.average_mm(),
        "mm",
        "lower",
        "surfaces",
        NO_EITHER,
    ),
    "lesion_f1": Metric(
        "2 found / (2 found + missed + extra), any overlap counting as found",
        lambda pair: pair.lesions.f1(),
        needs="components",
    ),
    "lesions_found": Metric(
        "components of the reference that the prediction touches",
        lambda pair: pair.lesions.found,
        "lesions",
        needs="components",
    ),
    "lesions_missed": Metric(
        "components of the reference of which nothing is predicted",
        lambda pair: pair.lesions.missed,
        "lesions",
        "lower",
        "components",
    ),
    "lesions_extra": Metric(
        "components of the prediction that touch nothing of the reference",
        lambda pair: pair.lesions.extra,
        "lesions",
        "lower",
        "components",
    ),
    "panoptic_quality": Metric(
        "segmentation quality x recognition quality (PQ)",
        lambda pair: pair.lesions.panoptic_quality(),
        needs="components",
    ),
    "segmentation_quality": Metric(
        "mean IoU of the pairs of components with IoU > 0.5 (SQ)",
        lambda pair: pair.lesions.segmentation_quality(),
        needs="components",
        undefined="no such pair",
    ),
    "recognition_quality": Metric(
        "2 pairs with IoU > 0.5 / (components of the reference + of the prediction) (RQ)",
        lambda pair: pair.lesions.recognition_quality(),
        needs="components",
    ),
}
"""By name, in the order of tables and files."""


def measure(pair: Pair) -> dict[str, float | None]:
    """Every metric of a pair, in the order of ``METRICS``; all None where neither mask has a voxel."""
    if not (pair.overlap.reference or pair.overlap.predicted):
        return dict.fromkeys(METRICS)
    return {name: metric.of(pair) for name, metric in METRICS.items()}


def cropped(
    reference: Mask,
    predicted: Mask,
    spacing_mm: Spacing,
    tolerance_mm: float,
    *,
    annotated_vox: int | None = None,
    plane: bool | None = None,
) -> Pair:
    """Two masks of one shape, cut to the box that holds both.

    Args:
        reference: The truth.
        predicted: What is judged.
        spacing_mm: Size of a voxel.
        tolerance_mm: Surface distance that NSD forgives.
        annotated_vox: See ``Pair``; None: all voxels of the arrays.
        plane: See ``Pair``; None: whether the arrays have one slice.
    """
    inside = joint_slices(bounding_slices(reference), bounding_slices(predicted)) or (slice(0), slice(0), slice(0))
    return Pair(
        reference[inside],
        predicted[inside],
        spacing_mm,
        tolerance_mm,
        reference.size if annotated_vox is None else annotated_vox,
        reference.shape[0] == 1 if plane is None else plane,
    )


def joint_slices(first: Slices | None, second: Slices | None) -> Slices | None:
    """The smallest box around two boxes; None stands for an empty one."""
    if first is None or second is None:
        return first or second
    spans = [slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(first, second, strict=True)]
    return (spans[0], spans[1], spans[2])
