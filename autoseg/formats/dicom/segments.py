"""What a DICOM-SEG says of itself: its segments, which of them a frame is of, and the images they were drawn on."""

from collections.abc import Sequence
from pathlib import Path

from pydicom import Dataset

from autoseg.errors import LabelError

BACKGROUND = 0
"""A label map's number for what is no segment."""


def names(dataset: Dataset) -> dict[int, str]:
    """Segment numbers and names; names that occur twice get their number. The background of a label map is none."""
    padding = dataset.get("PixelPaddingValue")
    labels = {
        int(segment.SegmentNumber): str(segment.get("SegmentLabel") or f"segment_{segment.SegmentNumber}").strip()
        for segment in dataset.get("SegmentSequence") or []
        if int(segment.SegmentNumber) not in (BACKGROUND, padding)
    }
    listed = list(labels.values())
    return {number: name if listed.count(name) == 1 else f"{name}_{number}" for number, name in sorted(labels.items())}


def described(path: Path, dataset: Dataset) -> dict[int, str]:
    """As ``names``.

    Raises:
        LabelError: There are none.
    """
    found = names(dataset)
    if not found:
        raise LabelError(f"{path}: describes no segments; expected a SegmentSequence; export the segmentation again")
    return found


def segment_of(path: Path, dataset: Dataset, index: int, numbers: Sequence[int]) -> int:
    """The segment that a frame belongs to; said of the frame, or of all frames.

    Raises:
        LabelError: It is none of ``numbers``, or not said.
    """
    own = (dataset.get("PerFrameFunctionalGroupsSequence") or [])[index : index + 1]
    for group in (*own, *(dataset.get("SharedFunctionalGroupsSequence") or [])):
        if group.get("SegmentIdentificationSequence"):
            number = int(group.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
            if number in numbers:
                return number
            raise LabelError(f"{path}: frame {index + 1} is of segment {number}, which is not described: {numbers}")
    if len(numbers) == 1:
        return numbers[0]
    raise LabelError(f"{path}: frame {index + 1} does not say which of the segments {numbers} it is of")


def referred(dataset: Dataset) -> tuple[frozenset[str], frozenset[str]]:
    """UIDs of the series and of the images that the segments were drawn on."""
    series = dataset.get("ReferencedSeriesSequence") or []
    images = {
        str(image.ReferencedSOPInstanceUID) for item in series for image in item.get("ReferencedInstanceSequence") or []
    }
    return frozenset(str(item.SeriesInstanceUID) for item in series), frozenset(images)
