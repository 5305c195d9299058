"""Planes of pixels and their place in the patient: one per file, or many in an enhanced multi-frame file.

Positions are those of the first pixel's centre in mm, LPS. Source: DICOM PS3.3, sections C.7.6.2 (Image Plane) and
C.7.6.16 (Multi-frame Functional Groups).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydicom import Dataset

from autoseg.errors import GeometryError, UnreadableFile
from autoseg.formats.dicom import phases

_DECIMALS = 4  # direction cosines and pixel sizes that agree so far are equal


@dataclass(frozen=True)
class Frame:
    """A plane of pixels.

    Attributes:
        file: Where it is.
        index: Its number in a multi-frame file, from 0; None: the file holds just this one.
        instance: InstanceNumber of the file, or the number of the frame from 1: what people call the slice.
        uid: SOP Instance UID of the file.
        shape: Rows and columns.
        position: Of the first pixel, mm; None: unknown.
        directions: Direction cosines along a row (growing column), then along a column; None: unknown.
        pixel_mm: Distance of rows, then of columns; None: unknown.
        thickness_mm: Of the slice, or the distance of slices where a file tells it.
        slope: Stored values times this
        intercept: plus this are the values meant.
        told: Tags that may tell several volumes of one series apart, see ``phases``.
    """

    file: Path
    index: int | None
    instance: int
    uid: str
    shape: tuple[int, int]
    position: tuple[float, float, float] | None
    directions: tuple[float, ...] | None
    pixel_mm: tuple[float, float] | None
    thickness_mm: float
    slope: float
    intercept: float
    told: tuple[tuple[str, str], ...] = ()

    @property
    def placed(self) -> bool:
        """Whether the file says where the plane lies in the patient."""
        return self.position is not None and self.directions is not None and self.pixel_mm is not None

    @property
    def plane(self) -> tuple[object, ...]:
        """What frames of one volume have in common: size, direction and pixel size, equal up to rounding."""
        rounded = tuple(round(value, _DECIMALS) + 0.0 for value in (*(self.directions or ()), *(self.pixel_mm or ())))
        return (self.shape, rounded)

    @property
    def normal(self) -> np.ndarray:
        """Unit vector perpendicular to the plane."""
        row, column = np.array(self.directions, float).reshape(2, 3)
        normal = np.cross(row, column)
        return np.asarray(normal / np.linalg.norm(normal))

    @property
    def axes_mm(self) -> tuple[np.ndarray, np.ndarray]:
        """Steps in mm from one row to the next and from one column to the next."""
        along_row, along_column = np.array(self.directions, float).reshape(2, 3)
        down_mm, right_mm = self.pixel_mm or (1.0, 1.0)
        return along_column * down_mm, along_row * right_mm


def frames(path: Path, dataset: Dataset) -> list[Frame]:
    """The frames of a file, in its own order.

    Args:
        path: The file, for messages and to read pixels later.
        dataset: Its data set; pixels are not needed.

    Raises:
        GeometryError: A position or direction makes no sense.
    """
    count = int(dataset.get("NumberOfFrames") or 1)
    if "PerFrameFunctionalGroupsSequence" in dataset:
        groups = dataset.PerFrameFunctionalGroupsSequence
        shared = dataset.get("SharedFunctionalGroupsSequence") or [Dataset()]
        return [_enhanced(path, dataset, number, (group, shared[0])) for number, group in enumerate(groups)]
    _require_room(path, count)
    if count == 1:
        return [_frame(path, None, int(dataset.get("InstanceNumber") or 0), (dataset,), dataset)]
    return _evenly_spaced(path, dataset, count)


def _require_room(path: Path, count: int) -> None:
    """Even the smallest frame takes a bit."""
    size = path.stat().st_size
    if not 1 <= count <= 8 * size:
        raise UnreadableFile(path, f"its header declares {count:,} frames in {size:,} bytes")


def _enhanced(path: Path, dataset: Dataset, number: int, groups: Sequence[Dataset]) -> Frame:
    """A frame of an enhanced file: what is not said of it alone is said of all."""
    sources = []
    for keyword in (
        "PlanePositionSequence",
        "PlaneOrientationSequence",
        "PixelMeasuresSequence",
        "PixelValueTransformationSequence",
    ):
        sources += [group[keyword][0] for group in groups if group.get(keyword)][:1]
    return _frame(path, number, number + 1, (*sources, dataset), dataset)


def _evenly_spaced(path: Path, dataset: Dataset, count: int) -> list[Frame]:
    """Frames of an old multi-frame file (nuclear medicine, ultrasound), which places at most its first one."""
    detector = list(dataset.get("DetectorInformationSequence") or [])[:1]
    first = _frame(path, 0, 1, (dataset, *detector), dataset)
    step = float(dataset.get("SpacingBetweenSlices") or 0.0)
    made = []
    for number in range(count):
        position = None
        if first.position is not None and first.placed and step:
            x, y, z = np.array(first.position) + number * step * first.normal
            position = (float(x), float(y), float(z))
        made.append(replace(first, index=number, instance=number + 1, position=position))
    return made


def _frame(path: Path, index: int | None, instance: int, sources: Sequence[Dataset], dataset: Dataset) -> Frame:
    position = _numbers(path, sources, "ImagePositionPatient", 3)
    directions = _numbers(path, sources, "ImageOrientationPatient", 6)
    pixel_mm = _pixel_mm(path, sources)
    if directions is not None and np.linalg.norm(np.cross(directions[:3], directions[3:])) < 0.1:
        raise GeometryError(f"{path}: ImageOrientationPatient {directions} spans no plane; restore the file")
    return Frame(
        file=path,
        index=index,
        instance=instance,
        uid=str(dataset.get("SOPInstanceUID", "")),
        shape=(int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)),
        position=None if position is None else (position[0], position[1], position[2]),
        directions=directions,
        pixel_mm=pixel_mm,
        thickness_mm=_first_number(sources, ("SpacingBetweenSlices", "SliceThickness"), 1.0),
        slope=_first_number(sources, ("RescaleSlope",), 1.0),
        intercept=_first_number(sources, ("RescaleIntercept",), 0.0),
        told=phases.tags_of(dataset),
    )


def _pixel_mm(path: Path, sources: Sequence[Dataset]) -> tuple[float, float] | None:
    """PixelSpacing; projections (X-ray) tell the size at the detector instead."""
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        numbers = _numbers(path, sources, keyword, 2)
        if numbers is not None and min(numbers) > 0:
            return numbers[0], numbers[1]
    return None


def _numbers(path: Path, sources: Sequence[Dataset], keyword: str, count: int) -> tuple[float, ...] | None:
    value = next((source.get(keyword) for source in sources if source.get(keyword)), None)
    if value is None:
        return None
    try:
        numbers = tuple(float(number) for number in value)
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise GeometryError(f"{path}: {keyword} is {value}; expected {count} numbers; restore the file")
    return numbers


def _first_number(sources: Sequence[Dataset], keywords: Sequence[str], otherwise: float) -> float:
    """The first usable value; a slope of 0 would erase the image, and a thickness of 0 the volume."""
    for keyword in keywords:
        for source in sources:
            value = source.get(keyword)
            if value is not None and str(value).strip() and np.isfinite(float(value)):
                return float(value) if float(value) != 0.0 or otherwise == 0.0 else otherwise
    return otherwise
