"""Agreement of two masks counted in voxels: Dice, IoU, sensitivity, specificity, precision, errors of volume.

All follow from four counts. *Negatives*, which only specificity looks at, are all annotated voxels of the image outside
the reference. They are mostly far from any structure, so that specificity is close to 1 for whatever predicts little,
and changes with the field of view (Taha and Hanbury, BMC Medical Imaging 15:29, 2015; Maier-Hein et al., Metrics
Reloaded, Nature Methods 21, 2024).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Overlap:
    """Voxels of a pair of masks. Every ratio is None where nothing would be divided by.

    Attributes:
        both: In reference and prediction.
        reference: In the reference.
        predicted: In the prediction.
        annotated: Of the whole image, in a mask or not.
    """

    both: int
    reference: int
    predicted: int
    annotated: int

    def dice(self) -> float | None:
        """Twice the overlap over the sum of both."""
        return dice(self.both, self.reference, self.predicted)

    def iou(self) -> float | None:
        """The overlap over the union (Jaccard)."""
        return _share(self.both, self.reference + self.predicted - self.both)

    def sensitivity(self) -> float | None:
        """The share of the reference that is predicted (recall)."""
        return _share(self.both, self.reference)

    def specificity(self) -> float | None:
        """The share of the negatives that is not predicted."""
        negatives = self.annotated - self.reference
        return _share(negatives - (self.predicted - self.both), negatives)

    def precision(self) -> float | None:
        """The share of the prediction that is right."""
        return _share(self.both, self.predicted)

    def volume_error(self) -> float | None:
        """What is predicted too much, over the reference; negative for too little."""
        return _share(self.predicted - self.reference, self.reference)

    def volume_similarity(self) -> float | None:
        """1 for equal volumes, wherever they lie, and 0 where only one mask has any (Taha and Hanbury)."""
        total = self.reference + self.predicted
        return _share(total - abs(self.predicted - self.reference), total)


def dice(overlap: int, reference: int, predicted: int) -> float | None:
    """Dice from voxel counts: twice the overlap over the sum; None if both are empty.

    >>> dice(2, 3, 5), dice(0, 0, 5), dice(0, 0, 0)
    (0.5, 0.0, None)
    """
    return _share(2 * overlap, reference + predicted)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
