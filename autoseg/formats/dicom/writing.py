"""Labels of an image series back to DICOM: a segmentation (by highdicom) or contours, for its own study.

Study, patient and frame of reference are those of the series, so that any viewer lays the result over the image.
"""

import io
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import contourpy
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid

from autoseg.errors import GeometryError, LabelError, UsageError
from autoseg.formats.dicom import headers
from autoseg.formats.dicom.stacks import Stack, stack
from autoseg.records import write_bytes

_MAKER = "autoseg"
_PATIENT_AND_STUDY = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "SpecificCharacterSet",
)
_LONGEST_NAME = 64  # characters of a SegmentLabel or ROIName


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
    with headers.lenient(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about names of patients, which are taken over as they are
        source = stack(like)
        segments = _segments(path, labels, names, source)
        images = [headers.read(file) for file in dict.fromkeys(frame.file for frame in source.frames)]
        numbered = np.zeros(labels.shape, np.uint16 if len(segments) > 255 else np.uint8)
        for number, value in enumerate(segments, start=1):
            numbered[labels == value] = number
        for image in images:
            if not image.get("SpecificCharacterSet", "ISO_IR 6"):
                del image.SpecificCharacterSet  # present, but empty: the default one
        try:
            made = highdicom.seg.Segmentation(
                source_images=images,
                pixel_array=numbered,
                segmentation_type="BINARY",
                segment_descriptions=_descriptions(highdicom, list(segments.values())),
                series_instance_uid=generate_uid(),
                series_number=_series_number(images[0]),
                sop_instance_uid=generate_uid(),
                instance_number=1,
                manufacturer=_MAKER,
                manufacturer_model_name=_MAKER,
                software_versions=_version(),
                device_serial_number="0",
                series_description="Segmentation by autoseg",
                omit_empty_frames=bool(numbered.any()),
            )
        except (AttributeError, ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"{like}: no DICOM segmentation can be made of this series ({error}); convert it to .nii.gz and "
                "predict that"
            ) from error
        _write(path, made)


def contours(path: Path, labels: np.ndarray, like: Path, names: Mapping[int, str]) -> None:
    """Write an RTSTRUCT with one structure per value above 0; contours run midway between pixels in and outside.

    Arguments as for ``segmentation``.

    Raises:
        UsageError: The series does not say where it lies.
        GeometryError: The shapes differ.
        LabelError: A value is negative, or nothing is named.
    """
    with headers.lenient():
        source = stack(like)
        if not source.frames[0].placed:
            raise UsageError(
                f"{like}: its images have no positions, so no contours can be placed; write a mask instead"
            )
        segments = _segments(path, labels, names, source)
        image = headers.read(like)
        made = _structure_set(image, source)
        for number, (value, name) in enumerate(segments.items(), start=1):
            _add_structure(made, number, name, _outlines(labels == value, source), image)
        _write(path, made)


def _highdicom() -> Any:  # noqa: ANN401  a module without type information
    try:
        import highdicom
    except ImportError as error:
        raise UsageError(
            "DICOM segmentations are written by highdicom, which is not installed; run: pip install 'autoseg[dicom]'"
        ) from error
    return highdicom


def _segments(path: Path, labels: np.ndarray, names: Mapping[int, str], source: Stack) -> dict[int, str]:
    """Values and their names, in ascending order."""
    if labels.shape != source.grid.shape:
        raise GeometryError(f"{path}: labels of shape {labels.shape} do not fit the series, {source.grid.shape}")
    values = sorted({int(value) for value in np.unique(labels)} | set(names))
    if values and values[0] < 0:
        raise LabelError(f"{path}: DICOM has no place for the value {values[0]}; expected values from 0 on")
    segments = {value: names.get(value, f"label_{value}")[:_LONGEST_NAME] for value in values if value != 0}
    if not segments:
        raise LabelError(f"{path}: there is no label to write; DICOM keeps no empty segmentation without names")
    return segments


def _descriptions(highdicom: Any, names: Sequence[str]) -> list[Any]:  # noqa: ANN401
    """What each segment is. Which organ a name means is not ours to guess, so each is coded as "tissue"."""
    tissue = highdicom.sr.CodedConcept("85756007", "SCT", "Tissue")
    maker = highdicom.AlgorithmIdentificationSequence(
        name=_MAKER,
        version=_version(),
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


def _structure_set(image: Dataset, source: Stack) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = RTStructureSetStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    for keyword in _PATIENT_AND_STUDY:
        if keyword in image:
            setattr(made, keyword, image[keyword].value)
    now = datetime.now()
    made.SOPClassUID, made.SOPInstanceUID = RTStructureSetStorage, meta.MediaStorageSOPInstanceUID
    made.Modality, made.Manufacturer, made.SoftwareVersions = "RTSTRUCT", _MAKER, _version()
    made.SeriesInstanceUID, made.SeriesNumber, made.InstanceNumber = generate_uid(), _series_number(image), 1
    made.SeriesDescription, made.StructureSetLabel = "Contours by autoseg", "autoseg"
    made.StructureSetDate, made.StructureSetTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    made.FrameOfReferenceUID = image.get("FrameOfReferenceUID", generate_uid())
    made.ReferencedFrameOfReferenceSequence = [_referenced(image, source, made.FrameOfReferenceUID)]
    made.StructureSetROISequence, made.ROIContourSequence, made.RTROIObservationsSequence = [], [], []
    return made


def _referenced(image: Dataset, source: Stack, frame_of_reference: str) -> Dataset:
    series, study, frame = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = image.SeriesInstanceUID
    series.ContourImageSequence = [_reference(image, uid) for uid in dict.fromkeys(f.uid for f in source.frames)]
    study.ReferencedSOPClassUID = "1.2.840.10008.3.1.2.3.1"  # detached study management, as writers of RTSTRUCT put
    study.ReferencedSOPInstanceUID = image.StudyInstanceUID
    study.RTReferencedSeriesSequence = [series]
    frame.FrameOfReferenceUID = frame_of_reference
    frame.RTReferencedStudySequence = [study]
    return frame


def _reference(image: Dataset, uid: str, frame: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.SOPClassUID, uid
    if frame is not None:
        item.ReferencedFrameNumber = frame + 1
    return item


def _outlines(mask: np.ndarray, source: Stack) -> list[tuple[np.ndarray, str, int | None]]:
    """Closed outlines of a mask: points (n, 3) in mm, with image and frame that they lie on."""
    found = []
    for number in np.flatnonzero(mask.any(axis=(1, 2))):
        padded = np.pad(mask[number].astype(np.float32), 1)
        for line in contourpy.contour_generator(z=padded).lines(0.5):
            columns, rows = (line[:-1] - 1.0).T  # the last point repeats the first
            index = np.stack([np.full(len(rows), float(number)), rows, columns, np.ones(len(rows))])
            frame = source.frames[number]
            found.append(((source.grid.affine @ index)[:3].T, frame.uid, frame.index))
    return found


def _add_structure(
    made: FileDataset, number: int, name: str, outlines: Sequence[tuple[np.ndarray, str, int | None]], image: Dataset
) -> None:
    roi, drawn, observation = Dataset(), Dataset(), Dataset()
    roi.ROINumber, roi.ROIName, roi.ROIGenerationAlgorithm = number, name, "AUTOMATIC"
    roi.ReferencedFrameOfReferenceUID = made.FrameOfReferenceUID
    drawn.ReferencedROINumber = number
    drawn.ContourSequence = [_contour(points, _reference(image, uid, frame)) for points, uid, frame in outlines]
    observation.ObservationNumber, observation.ReferencedROINumber = number, number
    observation.RTROIInterpretedType, observation.ROIInterpreter = "", ""
    made.StructureSetROISequence.append(roi)
    made.ROIContourSequence.append(drawn)
    made.RTROIObservationsSequence.append(observation)


def _contour(points: np.ndarray, reference: Dataset) -> Dataset:
    contour = Dataset()
    contour.ContourImageSequence = [reference]
    contour.ContourGeometricType = "CLOSED_PLANAR"
    contour.NumberOfContourPoints = len(points)
    contour.ContourData = [f"{value:.4f}" for value in points.ravel()]
    return contour


def _series_number(image: Dataset) -> int:
    """One that the study's images are unlikely to have."""
    return 1000 + int(image.get("SeriesNumber") or 0) % 1000


def _version() -> str:
    from importlib.metadata import version

    return version("autoseg")


def _write(path: Path, dataset: Dataset) -> None:
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    write_bytes(path, buffer.getvalue())
