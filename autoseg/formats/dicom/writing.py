"""Labels of an image series to DICOM-SEG, by highdicom, as part of the study that the series belongs to.

Patient, study and frame of reference are those of the series, so that any viewer lays the result over the image.
"""

import importlib.metadata
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from autoseg.errors import GeometryError, LabelError, UsageError
from autoseg.formats.dicom import headers
from autoseg.formats.dicom.stacks import Stack, stack
from autoseg.records import write_bytes

MAKER = "autoseg"


def segmentation(path: Path, labels: np.ndarray, like: Path, names: Mapping[int, str]) -> None:
    """Write a binary DICOM-SEG with one segment per value above 0 that ``names`` has or ``labels`` holds.

    Args:
        path: Where to.
        labels: (z, y, x) values in the order of the series as it is read.
        like: Any file of the series.
        names: Name of each value.

    Raises:
        UsageError: highdicom is not installed, or the series lacks what a segmentation must refer to.
        GeometryError: The shapes differ.
        LabelError: A value is negative, or nothing is named.
    """
    highdicom = _highdicom()
    with headers.guarded(like):
        source = stack(like)
        named = segments(path, labels, names, source)
        images = [_header(file) for file in dict.fromkeys(frame.file for frame in source.frames)]
        numbered = _in_source_order(_numbered(labels, list(named)), source, images)
        try:
            made = highdicom.seg.Segmentation(
                source_images=images,
                pixel_array=numbered,
                segmentation_type="BINARY",
                segment_descriptions=_descriptions(highdicom, list(named.values())),
                series_instance_uid=generate_uid(),
                series_number=series_number(images[0]),
                sop_instance_uid=generate_uid(),
                instance_number=1,
                manufacturer=MAKER,
                manufacturer_model_name=MAKER,
                software_versions=version(),
                device_serial_number="0",
                series_description="Segmentation by autoseg",
                omit_empty_frames=bool(numbered.any()),
            )
        except (AttributeError, ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"{like}: no DICOM segmentation can be made of this series ({error}); convert it to .nii.gz and "
                "predict that"
            ) from error
        content = encoded(made)
    write_bytes(path, content)


def _numbered(labels: np.ndarray, values: Sequence[int]) -> np.ndarray:
    """Segment numbers (z, y, x): the first value is segment 1."""
    numbered = np.zeros(labels.shape, np.uint16 if len(values) > 255 else np.uint8)
    for number, value in enumerate(values, start=1):
        numbered[labels == value] = number
    return numbered


def _in_source_order(numbered: np.ndarray, source: Stack, images: Sequence[Dataset]) -> np.ndarray:
    """One plane per frame of the source, in its own order: a multi-frame file may hold them in any, and others too."""
    if source.frames[0].index is None:
        return numbered
    planes = np.zeros((int(images[0].NumberOfFrames), *numbered.shape[1:]), numbered.dtype)
    for plane, frame in zip(numbered, source.frames, strict=True):
        planes[frame.index] = plane
    return planes


def _header(file: Path) -> Dataset:
    """Of an image, with all text in the one character set that highdicom always takes."""
    image = headers.read(file)
    image.decode()
    image.SpecificCharacterSet = "ISO_IR 192"
    return image


def _highdicom() -> Any:  # noqa: ANN401  a module without type information
    try:
        import highdicom
    except ImportError as error:
        raise UsageError(
            "DICOM segmentations are written by highdicom, which is not installed; run: pip install 'autoseg[dicom]'"
        ) from error
    return highdicom


def segments(path: Path, labels: np.ndarray, names: Mapping[int, str], source: Stack) -> dict[int, str]:
    """Values and their names, in ascending order.

    Raises:
        GeometryError: The shapes of labels and series differ.
        LabelError: A value is negative, or nothing is named.
    """
    if labels.shape != source.grid.shape:
        raise GeometryError(f"{path}: labels of shape {labels.shape} do not fit the series, {source.grid.shape}")
    values = sorted({int(value) for value in np.unique(labels)} | set(names))
    if values and values[0] < 0:
        raise LabelError(f"{path}: DICOM has no place for the value {values[0]}; expected values from 0 on")
    named = {value: names.get(value, f"label_{value}")[: headers.LONGEST_NAME] for value in values if value != 0}
    if not named:
        raise LabelError(f"{path}: there is no label to write; DICOM keeps no empty segmentation without names")
    return named


def _descriptions(highdicom: Any, names: Sequence[str]) -> list[Any]:  # noqa: ANN401
    """What each segment is. Which organ a name means is not ours to guess, so each is coded as "tissue"."""
    tissue = highdicom.sr.CodedConcept("85756007", "SCT", "Tissue")
    maker = highdicom.AlgorithmIdentificationSequence(
        name=MAKER,
        version=version(),
        family=highdicom.sr.CodedConcept("123110", "DCM", "Artificial Intelligence"),
    )
    return [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=name,
            segmented_property_category=tissue,
            segmented_property_type=tissue,
            algorithm_type="AUTOMATIC",
            algorithm_identification=maker,
        )
        for number, name in enumerate(names, start=1)
    ]


def series_number(image: Dataset) -> int:
    """One that the study's images are unlikely to have."""
    return 1000 + int(image.get("SeriesNumber") or 0) % 1000


def version() -> str:
    """Of this software, for the files that it makes."""
    return importlib.metadata.version("autoseg")


def encoded(dataset: Dataset) -> bytes:
    """A complete DICOM file."""
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()
