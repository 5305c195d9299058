"""RTSTRUCT to masks on the grid of the image: closed contours, filled slice by slice.

A contour belongs to the slice that its points lie on; the images it refers to are only compared. Contours of one
structure in one slice are combined by exclusive or, so that one inside another is a hole, and a hole joined to its
outline by a line of no width stays one. Source: DICOM PS3.3, sections A.19 and C.8.8.6 (ROI Contour).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.dataelem import RawDataElement

from autoseg.errors import GeometryError, LabelError
from autoseg.formats.dicom import headers
from autoseg.formats.dicom.structure_sets import names, referred_images
from autoseg.formats.volume import Structures, Volume
from autoseg.volumes.polygons import filled
from autoseg.volumes.sparse import SparseMask

_FILLED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR", "")
_FLAT_VOX = 0.5  # points of one contour may leave its slice so far
_EDGE_VOX = 0.01  # coordinates are text with few digits
_EXACT_VOX = 0.1  # contours further from the middle of their slice are mentioned


def read(path: Path, like: Volume) -> Structures:
    """Read an RTSTRUCT file.

    Args:
        path: The file.
        like: The image that the contours were drawn on, or one that shows the same place.

    Returns:
        Masks on the grid of ``like``, in the order of the structures in the file.

    Raises:
        UnreadableFile: Damaged.
        GeometryError: No contour lies in the image.
        LabelError: It holds no structures, or points that are no numbers.
    """
    dataset, digest = headers.read_all(path)
    structures = names(dataset)
    if not structures:
        raise LabelError(f"{path}: holds no structures; expected a StructureSetROISequence; export it again")
    drawn = {int(roi.ReferencedROINumber): roi for roi in dataset.get("ROIContourSequence") or []}
    tally = _Tally()
    masks = []
    for number in structures:
        contours = list(drawn[number].get("ContourSequence") or []) if number in drawn else []
        tally.empty += not contours
        masks.append(_filled(path, contours, like, tally))
    _require_inside(path, tally, like)
    notes = tally.notes(dataset, like)
    displaced = tally.outside + tally.across > 0
    return Structures(tuple(masks), like.grid, tuple(structures.values()), digest, notes, displaced)


@dataclass
class _Tally:
    """What was met while filling; numbers are of contours, but for ``empty`` (structures)."""

    filled: int = 0
    outside: int = 0
    cut: int = 0
    beside: int = 0
    across: int = 0
    open: int = 0
    empty: int = 0
    referring: int = 0
    astray: int = 0
    farthest_mm: list[float] = field(default_factory=list)

    def notes(self, dataset: Dataset, like: Volume) -> tuple[str, ...]:
        """In words."""
        said = (
            (self.outside, f"contours lie outside the image (at {_range(self.farthest_mm)} mm) and are left out"),
            (self.cut, "contours reach beyond the edge of the image and are cut there"),
            (self.beside, "contours lie between slices; taken into the nearest one"),
            (self.across, "contours are not drawn on slices of this image and are left out"),
            (self.open, "contours are open lines or points and are left out"),
            (self.empty, "structures have no contours and are empty"),
        )
        notes = [f"{count} {what}" for count, what in said if count]
        if self.astray:
            notes.append(
                f"{self.astray} of {self.referring} contours refer to images that are not in the series; placed by "
                "position"
            )
        elif like.uids and self.referring == 0 and _refers_elsewhere(dataset, like):
            notes.append("none of the images that the file refers to is in the series; contours are placed by position")
        return tuple(notes)


def _refers_elsewhere(dataset: Dataset, like: Volume) -> bool:
    referred = referred_images(dataset)
    return bool(referred) and referred.isdisjoint(like.uids)


def _filled(path: Path, contours: Sequence[Dataset], like: Volume, tally: _Tally) -> SparseMask:
    """The mask of one structure from its contours."""
    to_index = np.linalg.inv(like.grid.affine)
    by_slice: dict[int, list[np.ndarray]] = {}
    for contour in contours:
        if str(contour.get("ContourGeometricType", "")) not in _FILLED:
            tally.open += 1
            continue
        points = _points(path, contour)
        index = (to_index[:3, :3] @ points.T + to_index[:3, 3:]).T
        number = _slice_of(index, points, like.grid.shape, tally)
        if number is not None:
            _compare_references(contour, like, tally)
            by_slice.setdefault(number, []).append(index[:, 1:])
    mask = SparseMask(like.grid.shape)
    for number, polygons in by_slice.items():
        mask.add(number, filled(polygons, (mask.shape[1], mask.shape[2])))
    return mask


def _points(path: Path, contour: Dataset) -> np.ndarray:
    """(points, 3) in mm."""
    try:
        points = np.array(_coordinates(contour), float).reshape(-1, 3)
    except (KeyError, ValueError, TypeError) as error:
        raise LabelError(f"{path}: the points of a contour are no coordinates ({error}); export it again") from error
    if not len(points) or not np.isfinite(points).all():
        raise LabelError(f"{path}: a contour has no points, or one that is not finite; export it again")
    return points


def _coordinates(contour: Dataset) -> Sequence[object]:
    """The numbers as they stand in the file, where pydicom has not yet made objects of them: 50 times as fast."""
    element = contour.get_item("ContourData")
    if isinstance(element, RawDataElement) and isinstance(element.value, bytes):
        return [float(text) for text in element.value.split(b"\\")]
    return [float(number) for number in contour["ContourData"].value]


def _slice_of(index: np.ndarray, points_mm: np.ndarray, shape: Sequence[int], tally: _Tally) -> int | None:
    """The slice that a contour lies in; None: it lies in none, which is counted."""
    heights = index[:, 0]
    number = round(float(heights.mean()))
    if np.ptp(heights) > _FLAT_VOX:
        tally.across += 1
        return None
    limits = np.array(shape[1:]) - 0.5 + _EDGE_VOX
    low, high = index[:, 1:].min(axis=0), index[:, 1:].max(axis=0)
    within = ((index[:, 1:] >= -0.5 - _EDGE_VOX) & (index[:, 1:] <= limits)).all(axis=1)
    if not 0 <= number < shape[0] or (low > limits).any() or (high < -0.5).any():
        tally.outside += 1
        tally.farthest_mm.append(float(points_mm[:, 2].mean()))
        return None
    tally.cut += not within.all()
    tally.beside += bool(np.abs(heights - number).max() > _EXACT_VOX)
    tally.filled += 1
    return number


def _compare_references(contour: Dataset, like: Volume, tally: _Tally) -> None:
    referred = {str(image.ReferencedSOPInstanceUID) for image in contour.get("ContourImageSequence") or []}
    if referred and like.uids:
        tally.referring += 1
        tally.astray += referred.isdisjoint(like.uids)


def _require_inside(path: Path, tally: _Tally, like: Volume) -> None:
    lost = tally.outside + tally.across
    if tally.filled or not lost:
        return
    raise GeometryError(
        f"{path}: none of its {lost} closed contours lies on a slice of the image ({tally.outside} outside, "
        f"{tally.across} across its slices), which has shape {like.grid.shape} from "
        f"{tuple(round(value, 2) for value in like.grid.origin_mm)} mm; expected contours drawn on this image; check "
        "which series the RTSTRUCT belongs to"
    )


def _range(values: Sequence[float]) -> str:
    if not values:
        return ""
    low, high = min(values), max(values)
    return f"z = {low:.4g}" if low == high else f"z = {low:.4g} to {high:.4g}"
