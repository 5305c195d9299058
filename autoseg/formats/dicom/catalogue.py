"""What a DICOM file is and what it belongs to, from its header alone: enough to bring images and labels together."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset

from autoseg.errors import AutosegError
from autoseg.formats.dicom import headers, phases, segments, structure_sets
from autoseg.formats.dicom.frames import Frame, frames

_IMAGE_TAGS = (
    "SOPClassUID",
    "SOPInstanceUID",
    "Modality",
    "ImageType",
    "PatientID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "InstanceNumber",
    "FrameOfReferenceUID",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    *phases.TAGS,
)
_NO_NAMES = {"", "anon", "anonymous", "anonymized", "anonymised", "unknown", "none", "na", "n/a", "0", "xxx", "patient"}
_NOT_ANATOMY = ("RTDOSE", "RTIMAGE", "RWV", "REG", "KO", "PR", "SR")


@dataclass(frozen=True)
class Entry:
    """One file.

    Attributes:
        file: Where it is.
        kind: ``image``, ``structures``, ``other`` (dose, report, presentation, ...) or ``unreadable``.
        modality: As the file says, e.g. CT.
        patient: A short key made from PatientID, never the id itself; empty if the file gives none.
        study: Study Instance UID.
        series: Series Instance UID.
        series_number: What people call the series; None: not said.
        uid: SOP Instance UID.
        frame_of_reference: UIDs of the frames of reference that it lies in.
        plane: What slices of one volume have in common; None for structures.
        frame: Its first slice; None for structures.
        planes: Slices in the file.
        placed: Whether its slices have positions.
        localiser: Whether it calls itself one.
        refers_to_series: Series that structures were drawn on.
        refers_to_images: SOP Instance UIDs of the images that structures were drawn on.
        names: Of structures.
        date: When structures were made, as text that sorts.
        problem: Why it cannot be read.
    """

    file: Path
    kind: str
    modality: str = ""
    patient: str = ""
    study: str = ""
    series: str = ""
    series_number: int | None = None
    uid: str = ""
    frame_of_reference: frozenset[str] = frozenset()
    plane: tuple[object, ...] | None = None
    frame: Frame | None = None
    planes: int = 1
    placed: bool = False
    localiser: bool = False
    refers_to_series: frozenset[str] = frozenset()
    refers_to_images: frozenset[str] = frozenset()
    names: tuple[str, ...] = ()
    date: str = ""
    problem: str = ""


def entry(path: Path) -> Entry:
    """Look at the header of a DICOM file. What cannot be read becomes an entry that says so."""
    try:
        with headers.guarded(path):
            if headers.modality(path) in headers.STRUCTURES:
                return _structures(path, headers.read(path))
            return _image(path, headers.read(path, _IMAGE_TAGS))
    except AutosegError as error:
        return Entry(path, "unreadable", problem=str(error))


def _image(path: Path, dataset: Dataset) -> Entry:
    modality = str(dataset.get("Modality") or "")
    if not dataset.get("Rows") or not dataset.get("Columns") or modality in _NOT_ANATOMY:
        return Entry(path, "other", modality=modality)
    planes = frames(path, dataset)
    number = dataset.get("SeriesNumber")
    return Entry(
        file=path,
        kind="image",
        modality=modality,
        patient=_patient(dataset),
        study=str(dataset.get("StudyInstanceUID") or ""),
        series=str(dataset.get("SeriesInstanceUID") or ""),
        series_number=None if number is None else int(number),
        uid=str(dataset.get("SOPInstanceUID") or ""),
        frame_of_reference=_set(dataset.get("FrameOfReferenceUID")),
        plane=planes[0].plane,
        frame=planes[0],
        planes=len(planes),
        placed=planes[0].placed,
        localiser="LOCALIZER" in [str(word).upper() for word in dataset.get("ImageType") or []],
    )


def _structures(path: Path, dataset: Dataset) -> Entry:
    if dataset.Modality == "SEG":
        names = segments.names(dataset)
        series, images = segments.referred(dataset)
    else:
        names = structure_sets.names(dataset)
        series = frozenset(str(item.SeriesInstanceUID) for item in structure_sets.referred_series(dataset))
        images = frozenset(structure_sets.referred_images(dataset))
    listed = dataset.get("ReferencedFrameOfReferenceSequence") or []
    frames_of_reference = [dataset.get("FrameOfReferenceUID"), *(item.get("FrameOfReferenceUID") for item in listed)]
    return Entry(
        file=path,
        kind="structures",
        modality=str(dataset.Modality),
        patient=_patient(dataset),
        study=str(dataset.get("StudyInstanceUID") or ""),
        series=str(dataset.get("SeriesInstanceUID") or ""),
        uid=str(dataset.get("SOPInstanceUID") or ""),
        frame_of_reference=_set(*frames_of_reference),
        refers_to_series=series,
        refers_to_images=images,
        names=tuple(names.values()),
        date=_date(dataset),
    )


def _patient(dataset: Dataset) -> str:
    """A key that is the same for the same PatientID and does not tell it. Stand-ins for an id are none."""
    name = str(dataset.get("PatientID") or "").strip()
    return "" if name.casefold() in _NO_NAMES else patient_key(name)


def patient_key(name: str) -> str:
    """What stands for a PatientID wherever it is kept."""
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def _date(dataset: Dataset) -> str:
    keywords = (("StructureSetDate", "StructureSetTime"), ("ContentDate", "ContentTime"), ("SeriesDate", "SeriesTime"))
    for day, time in keywords:
        if dataset.get(day):
            return f"{dataset.get(day)}{dataset.get(time) or ''}"
    return ""


def _set(*values: object) -> frozenset[str]:
    return frozenset(str(value) for value in values if value)
