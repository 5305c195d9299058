"""Agreement of two masks counted in lesions, which are connected components: which were found, missed, made up.

Components touch through faces, edges or corners (26 neighbours, 8 in a plane). Two rules of matching are in use, and
each metric is bound to one:

*Any overlap*, for detection (as in ISLES 2022, Hernandez Petzsche et al., Scientific Data 9:762): a reference lesion is
found if at least one of its voxels is predicted, else missed; a predicted lesion is extra if it touches no reference
lesion. Lesion-wise F1 is 2 found / (2 found + missed + extra).

*IoU above 0.5*, for panoptic quality (Kirillov et al., Panoptic Segmentation, CVPR 2019): at most one partner can
overlap a lesion that much, so that the match is unique. PQ = SQ x RQ, where SQ is the mean IoU of the matched pairs and
RQ the F1 of matched pairs.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from autoseg.volumes.labels import FULL, Mask

MATCHING_IOU = 0.5
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Lesions:
    """What became of the lesions of two masks.

    Attributes:
        reference, predicted: How many each mask has.
        found: Reference lesions that the prediction touches.
        extra: Predicted lesions that touch no reference lesion.
        matched_iou: (P,) IoU of each pair above 0.5.
    """

    reference: int
    predicted: int
    found: int
    extra: int
    matched_iou: npt.NDArray[np.float64]

    @property
    def missed(self) -> int:
        """Reference lesions of which nothing is predicted."""
        return self.reference - self.found

    def f1(self) -> float | None:
        """Of finding lesions, by any overlap; None without lesions."""
        total = 2 * self.found + self.missed + self.extra
        return 2 * self.found / total if total else None

    def recognition_quality(self) -> float | None:
        """RQ: F1 of the pairs with IoU above 0.5; None without lesions."""
        total = self.reference + self.predicted
        return 2 * len(self.matched_iou) / total if total else None

    def segmentation_quality(self) -> float | None:
        """SQ: mean IoU of the pairs with IoU above 0.5; None without such pairs."""
        return float(self.matched_iou.mean()) if len(self.matched_iou) else None

    def panoptic_quality(self) -> float | None:
        """PQ, the product of both; 0 where no pair matches, None without lesions."""
        total = self.reference + self.predicted
        return 2 * float(self.matched_iou.sum()) / total if total else None


def match(reference: Mask, predicted: Mask) -> Lesions:
    """Match the lesions of two masks (z, y, x) on one grid."""
    (truth, reference_count), (guess, predicted_count) = (
        ndimage.label(mask, structure=FULL) for mask in (reference, predicted)
    )
    pairs, voxels = _occurring(truth.astype(np.int64) * (predicted_count + 1) + guess, reference_count, predicted_count)
    one, other = np.divmod(pairs, predicted_count + 1)
    sizes = np.bincount(one, voxels)[one] + np.bincount(other, voxels)[other]
    touching = (one > 0) & (other > 0)
    iou = (voxels / (sizes - voxels))[touching]
    return Lesions(
        reference=reference_count,
        predicted=predicted_count,
        found=len(np.unique(one[touching])),
        extra=predicted_count - len(np.unique(other[touching])),
        matched_iou=iou[iou > MATCHING_IOU],
    )


def _occurring(codes: Counts, reference_count: int, predicted_count: int) -> tuple[Counts, Counts]:
    """The pairs of numbers that occur, background being 0, and their voxels."""
    possible = (reference_count + 1) * (predicted_count + 1)
    if possible > codes.size:  # noise: sorting takes less room than counting what does not occur
        found, voxels = np.unique(codes, return_counts=True)
        return found, voxels
    counts = np.bincount(codes.ravel(), minlength=possible)
    found = np.flatnonzero(counts)
    return found, counts[found]
