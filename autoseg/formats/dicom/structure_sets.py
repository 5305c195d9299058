"""What an RTSTRUCT says of itself: the names of its structures, and the images that they were drawn on."""

from collections import Counter

from pydicom import Dataset


def names(dataset: Dataset) -> dict[int, str]:
    """Numbers and names of the structures, in file order; names that occur twice get their number."""
    labels = {
        int(roi.ROINumber): str(roi.get("ROIName") or f"structure_{roi.ROINumber}").strip()
        for roi in dataset.get("StructureSetROISequence") or []
    }
    count = Counter(labels.values())
    return {number: name if count[name] == 1 else f"{name}_{number}" for number, name in labels.items()}


def referred_images(dataset: Dataset) -> set[str]:
    """SOP Instance UIDs of the images that the whole file refers to."""
    return {
        str(image.ReferencedSOPInstanceUID)
        for series in referred_series(dataset)
        for image in series.get("ContourImageSequence") or []
    }


def referred_series(dataset: Dataset) -> list[Dataset]:
    """The items that name a series."""
    return [
        series
        for frame in dataset.get("ReferencedFrameOfReferenceSequence") or []
        for study in frame.get("RTReferencedStudySequence") or []
        for series in study.get("RTReferencedSeriesSequence") or []
    ]
