"""Labels of an image series to RTSTRUCT, so that any planning system lays the contours over the images."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import contourpy
import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid

from autoseg.errors import UsageError
from autoseg.formats.dicom import headers
from autoseg.formats.dicom.stacks import Stack, stack
from autoseg.formats.dicom.writing import MAKER, encoded, segments, series_number, version
from autoseg.records import write_bytes

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


def contours(path: Path, labels: np.ndarray, like: Path, names: Mapping[int, str]) -> None:
    """Write an RTSTRUCT with one structure per value above 0; contours run midway between pixels in and outside.

    Args:
        path: Where to.
        labels: (z, y, x) values in the order of the series as it is read.
        like: Any file of the series.
        names: Name of each value.

    Raises:
        UsageError: The series does not say where it lies.
        GeometryError: The shapes differ.
        LabelError: A value is negative, or nothing is named.
    """
    with headers.guarded(like):
        source = stack(like)
        if not source.frames[0].placed:
            raise UsageError(
                f"{like}: its images have no positions, so no contours can be placed; write a mask instead"
            )
        named = segments(path, labels, names, source)
        image = headers.read(like)
        made = _structure_set(image, source)
        for number, (value, name) in enumerate(named.items(), start=1):
            _add_structure(made, number, name, _outlines(labels == value, source), image)
        content = encoded(made)
    write_bytes(path, content)


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
    made.Modality, made.Manufacturer, made.SoftwareVersions = "RTSTRUCT", MAKER, version()
    made.SeriesInstanceUID, made.SeriesNumber, made.InstanceNumber = generate_uid(), series_number(image), 1
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
            columns, rows = np.asarray(line)[:-1].T - 1.0  # the last point repeats the first
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
