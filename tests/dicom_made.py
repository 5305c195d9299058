"""Tiny DICOM files made for a test: series, segmentations, structure sets."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    RTStructureSetStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    generate_uid,
)

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
DETACHED_STUDY = "1.2.840.10008.3.1.2.3.1"


def uid(*words: object) -> str:
    """The same UID for the same words."""
    return str(generate_uid(entropy_srcs=[str(word) for word in ("test", *words)]))


def voxels(shape: tuple[int, int, int] = (6, 10, 12), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2000, shape).astype(np.uint16)


def dataset(sop_class: str, instance: str, **values: Any) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, instance
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    made.SOPClassUID, made.SOPInstanceUID = sop_class, instance
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def identity(patient: str = "P1", study: str = "study", series: str = "ct", **values: Any) -> dict[str, Any]:
    """Who and where, for ``dataset``; names become UIDs."""
    return {
        "PatientID": patient,
        "PatientName": "Doe^Jane",
        "PatientBirthDate": "19500101",
        "PatientSex": "O",
        "StudyInstanceUID": uid(patient, study),
        "StudyDate": "20200101",
        "StudyTime": "120000",
        "StudyID": "1",
        "AccessionNumber": "1",
        "SeriesInstanceUID": uid(patient, study, series),
        "SeriesNumber": 3,
        "FrameOfReferenceUID": uid(patient, study, "space"),
        **values,
    }


def pixels(made: Dataset, plane: np.ndarray, **values: Any) -> None:
    """Put (rows, columns) or (rows, columns, 3) values into a data set."""
    made.Rows, made.Columns = plane.shape[:2]
    made.SamplesPerPixel = 3 if plane.ndim == 3 else 1
    made.PhotometricInterpretation = "RGB" if plane.ndim == 3 else "MONOCHROME2"
    if plane.ndim == 3:
        made.PlanarConfiguration = 0
    bits = plane.dtype.itemsize * 8
    made.BitsAllocated, made.BitsStored, made.HighBit = bits, bits, bits - 1
    made.PixelRepresentation = int(plane.dtype.kind == "i")
    made.PixelData = plane.tobytes()
    for keyword, value in values.items():
        setattr(made, keyword, value)


def series(
    folder: Path,
    array: np.ndarray | None = None,
    *,
    name: str = "IM{:04d}.dcm",
    who: Mapping[str, Any] | None = None,
    spacing: tuple[float, float, float] = (2.5, 0.8, 0.7),
    origin: Sequence[float] = (-10.0, -20.0, 30.0),
    directions: Sequence[float] = AXIAL,
    step: Sequence[float] | None = None,
    modality: str = "CT",
    first: int = 1,
    **values: Any,
) -> list[Path]:
    """One file per slice of ``array`` (z, y, x). File names and instance numbers run against the positions."""
    array = voxels() if array is None else array
    folder.mkdir(parents=True, exist_ok=True)
    who = identity() if who is None else who
    along = np.cross(directions[:3], directions[3:]) * spacing[0] if step is None else np.array(step)
    files = []
    for number, plane in enumerate(array):
        instance = first + len(array) - 1 - number
        made = dataset(CTImageStorage, uid(who["SeriesInstanceUID"], instance), **who)
        made.Modality, made.InstanceNumber = modality, instance
        made.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        made.ImagePositionPatient = [float(value) for value in np.array(origin) + number * along]
        made.ImageOrientationPatient = list(directions)
        made.PixelSpacing, made.SliceThickness = list(spacing[1:]), 99.0
        pixels(made, plane, **values)
        path = folder / name.format(instance)
        made.save_as(path, enforce_file_format=True)
        files.append(path)
    return files


def affine(
    spacing: tuple[float, float, float] = (2.5, 0.8, 0.7), origin: Sequence[float] = (-10.0, -20.0, 30.0)
) -> np.ndarray:
    """Where the voxels of an axial ``series`` lie."""
    made = np.zeros((4, 4))
    made[2, 0], made[1, 1], made[0, 2], made[3, 3] = *spacing, 1.0
    made[:3, 3] = origin
    return made


def enhanced(path: Path, array: np.ndarray, order: Sequence[int] | None = None) -> Path:
    """A multi-frame file with the planes of ``array`` in the given order; 10 is subtracted from stored values."""
    who = identity(series="enhanced")
    made = dataset(EnhancedCTImageStorage, uid("enhanced", path), **who)
    made.Modality, made.InstanceNumber, made.NumberOfFrames = "CT", 1, len(array)
    order = list(range(len(array)))[::-1] if order is None else list(order)
    pixels(made, array[0])
    made.PixelData = array[order].tobytes()
    orientation, measures, transform = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = list(AXIAL)
    measures.PixelSpacing, measures.SliceThickness = [0.8, 0.7], 99.0
    transform.RescaleSlope, transform.RescaleIntercept = 1, -10
    shared = Dataset()
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    shared.PixelValueTransformationSequence = [transform]
    made.SharedFunctionalGroupsSequence = [shared]
    made.PerFrameFunctionalGroupsSequence = [_at(-10.0, -20.0, 30.0 + 2.5 * number) for number in order]
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save_as(path, enforce_file_format=True)
    return path


def _at(*position: float) -> Dataset:
    place, group = Dataset(), Dataset()
    place.ImagePositionPatient = list(position)
    group.PlanePositionSequence = [place]
    return group


def picture(path: Path, plane: np.ndarray, **values: Any) -> Path:
    """A secondary capture without any place."""
    who = identity(series=str(path), **values)
    del who["FrameOfReferenceUID"]
    made = dataset(SecondaryCaptureImageStorage, uid("picture", path), **who)
    made.Modality, made.InstanceNumber = "OT", 1
    pixels(made, plane)
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save_as(path, enforce_file_format=True)
    return path


def segmentation(
    path: Path,
    masks: Mapping[str, np.ndarray],
    images: Sequence[Path],
    kind: str = "BINARY",
    fractions: np.ndarray | None = None,
) -> Path:
    """A DICOM-SEG written by hand: frames of masks (z, y, x) that hold something, in reverse order.

    ``images`` are the files of the series, slice by slice. LABELMAP takes the last name where masks overlap.
    """
    first = pydicom.dcmread(images[0])
    who = {key: first[key].value for key in ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID")}
    made = dataset(SegmentationStorage, uid("seg", path), **who)
    made.Modality, made.SeriesInstanceUID, made.SegmentationType = "SEG", uid("seg series", path), kind
    made.SegmentSequence = []
    for number, name in enumerate(masks, start=1):
        segment = Dataset()
        segment.SegmentNumber, segment.SegmentLabel = number, name
        made.SegmentSequence.append(segment)
    planes, groups = _frames(masks, images, kind)
    made.PerFrameFunctionalGroupsSequence, made.NumberOfFrames = groups, len(planes)
    pixels(made, planes[0])
    stored = np.stack(planes)
    if kind == "BINARY":
        made.BitsAllocated, made.BitsStored, made.HighBit = 1, 1, 0
        made.PixelData = np.packbits(stored.ravel(), bitorder="little").tobytes()
        made.PixelData += b"\0" * (len(made.PixelData) % 2)
    else:
        made.PixelData = (stored if fractions is None else fractions).tobytes()
        made.MaximumFractionalValue = 200
    made.ReferencedSeriesSequence = [_referred(first.SeriesInstanceUID, images, "ReferencedInstanceSequence")]
    made.SharedFunctionalGroupsSequence = [_shared_of(first)]
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save_as(path, enforce_file_format=True)
    return path


def _frames(
    masks: Mapping[str, np.ndarray], images: Sequence[Path], kind: str
) -> tuple[list[np.ndarray], list[Dataset]]:
    positions = [pydicom.dcmread(image).ImagePositionPatient for image in images]
    if kind == "LABELMAP":
        label = sum(np.where(mask, number, 0) for number, mask in enumerate(masks.values(), start=1))
        wanted = [(plane.astype(np.uint8), z, 0) for z, plane in enumerate(np.asarray(label)) if plane.any()]
    else:
        top = 1 if kind == "BINARY" else 200
        wanted = [
            (plane.astype(np.uint8) * top, z, number)
            for number, mask in enumerate(masks.values(), start=1)
            for z, plane in enumerate(mask)
            if plane.any()
        ]
    groups = []
    for _, z, number in reversed(wanted):
        group = _at(*positions[z])
        if number:
            segment = Dataset()
            segment.ReferencedSegmentNumber = number
            group.SegmentIdentificationSequence = [segment]
        groups.append(group)
    return [plane for plane, _, _ in reversed(wanted)], groups


def _shared_of(first: Dataset) -> Dataset:
    orientation, measures, shared = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = first.ImageOrientationPatient
    measures.PixelSpacing, measures.SpacingBetweenSlices = first.PixelSpacing, 2.5
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    return shared


def _referred(series_uid: str, images: Sequence[Path], keyword: str) -> Dataset:
    item = Dataset()
    item.SeriesInstanceUID = series_uid
    setattr(item, keyword, [_reference(pydicom.dcmread(image).SOPInstanceUID) for image in images])
    return item


def _reference(instance: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CTImageStorage, instance
    return item


def rtstruct(
    path: Path,
    structures: Mapping[str, Sequence[Sequence[Sequence[float]]]],
    images: Sequence[Path] = (),
    *,
    kind: str = "CLOSED_PLANAR",
    **values: Any,
) -> Path:
    """A structure set: for each name its contours, each a list of points (x, y, z) in mm."""
    who = identity(series=str(path)) | values
    made = dataset(RTStructureSetStorage, uid("rt", path), **who)
    made.Modality = "RTSTRUCT"
    if images:
        study, frame = Dataset(), Dataset()
        first = pydicom.dcmread(images[0])
        study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = DETACHED_STUDY, first.StudyInstanceUID
        study.RTReferencedSeriesSequence = [_referred(first.SeriesInstanceUID, images, "ContourImageSequence")]
        frame.FrameOfReferenceUID, frame.RTReferencedStudySequence = first.FrameOfReferenceUID, [study]
        made.ReferencedFrameOfReferenceSequence = [frame]
    made.StructureSetROISequence, made.ROIContourSequence = [], []
    for number, (name, contours) in enumerate(structures.items(), start=1):
        roi, drawn = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName = number, name
        drawn.ReferencedROINumber, drawn.ContourSequence = number, [_contour(points, kind) for points in contours]
        made.StructureSetROISequence.append(roi)
        made.ROIContourSequence.append(drawn)
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save_as(path, enforce_file_format=True)
    return path


def _contour(points: Sequence[Sequence[float]], kind: str) -> Dataset:
    contour = Dataset()
    contour.ContourGeometricType, contour.NumberOfContourPoints = kind, len(points)
    contour.ContourData = [f"{value:.6g}" for point in points for value in point]
    return contour


def rectangle(
    z: int, rows: tuple[float, float], columns: tuple[float, float], place: np.ndarray | None = None
) -> list[list[float]]:
    """Corners in mm of a rectangle given in index coordinates."""
    place = affine() if place is None else place
    corners = [(rows[0], columns[0]), (rows[0], columns[1]), (rows[1], columns[1]), (rows[1], columns[0])]
    return [[float(value) for value in (place @ [z, y, x, 1.0])[:3]] for y, x in corners]


def box(shape: tuple[int, int, int] = (6, 10, 12), z: slice = slice(1, 4), y: slice = slice(2, 6)) -> np.ndarray:
    """A mask (z, y, x) of a box, columns 3 to 7."""
    mask = np.zeros(shape, bool)
    mask[z, y, 3:8] = True
    return mask


def edit(path: Path, **values: Any) -> None:
    """Change elements of a file; None deletes them."""
    made = pydicom.dcmread(path)
    for keyword, value in values.items():
        if value is None:
            delattr(made, keyword)
        else:
            setattr(made, keyword, value)
    made.save_as(path)
