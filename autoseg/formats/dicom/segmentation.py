"""DICOM-SEG to masks on the grid of the image: binary, fractional or label map; empty frames may be absent.

A frame is put where its position says, never where a reference or a dimension index says: those are optional or wrong
in many files. Sources: DICOM PS3.3, sections A.51 (Segmentation) and C.8.20 (Segmentation Image and Label Map).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom import Dataset

from autoseg.errors import GeometryError, UnreadableFile
from autoseg.formats.dicom import headers, pixels
from autoseg.formats.dicom.frames import Frame, frames
from autoseg.formats.dicom.segments import BACKGROUND, described, segment_of
from autoseg.formats.volume import Structures, Volume, check_size
from autoseg.volumes.geometry import OFFSET_VOX, SAME_VOX, Grid, resample_onto
from autoseg.volumes.sparse import SparseMask

_HALF = 0.5  # of the largest fraction: more belongs to the segment


def read(path: Path, like: Volume) -> Structures:
    """Read a DICOM-SEG file.

    Args:
        path: The file.
        like: The image that it belongs to.

    Returns:
        Masks on the grid of ``like``, in the order of segment numbers.

    Raises:
        UnreadableFile: Damaged, or of a type that is not known.
        GeometryError: Nothing of it lies in the image.
        LabelError: It describes no segments, or its frames name others.
    """
    dataset, digest = headers.read_all(path)
    segments = described(path, dataset)
    planes = frames(path, dataset)
    check_size(path, (len(planes), *planes[0].shape))
    masks = tuple(SparseMask(like.grid.shape) for _ in segments)
    placer = _Placer(path, planes, like, masks)
    notes = placer.place(dataset, list(segments))
    return Structures(masks, like.grid, tuple(segments.values()), digest, notes, placer.displaced)


class _Placer:
    """Puts the frames of one file into the masks of its segments."""

    def __init__(self, path: Path, planes: Sequence[Frame], like: Volume, masks: Sequence[SparseMask]) -> None:
        self._path = path
        self._planes = planes
        self._like = like
        self._masks = masks
        self._outside = 0
        self._offset_vox = 0.0
        self._resampled = 0
        self._fractions = False

    def place(self, dataset: Dataset, numbers: Sequence[int]) -> tuple[str, ...]:
        """Fill the masks; returns what is worth telling."""
        kind = str(dataset.get("SegmentationType", ""))
        if kind not in ("BINARY", "FRACTIONAL", "LABELMAP"):
            raise UnreadableFile(self._path, f"its SegmentationType {kind!r} is not known", "export it as BINARY")
        strangers: set[int] = set()
        for plane in self._planes:
            values = pixels.stored(dataset, plane.index, self._path)
            if kind == "LABELMAP":
                strangers |= self._label_map(values, plane, numbers, dataset.get("PixelPaddingValue"))
                continue
            number = segment_of(self._path, dataset, plane.index or 0, numbers)
            mask = values > 0 if kind == "BINARY" else self._thresholded(values, dataset)
            self._put(mask, plane, numbers.index(number))
        self._require_inside()
        return self._notes(strangers)

    @property
    def displaced(self) -> bool:
        """Whether frames were left out or resampled."""
        return self._outside + self._resampled > 0

    def _label_map(self, values: np.ndarray, plane: Frame, numbers: Sequence[int], padding: int | None) -> set[int]:
        """Put the segments of a plane; returns numbers that the file does not describe."""
        present = {int(value) for value in np.unique(values)}
        for number in present & set(numbers):
            self._put(values == number, plane, numbers.index(number))
        return present - set(numbers) - {BACKGROUND, padding}

    def _thresholded(self, values: np.ndarray, dataset: Dataset) -> np.ndarray:
        largest = int(dataset.get("MaximumFractionalValue") or 255)
        self._fractions |= bool(((values > 0) & (values < largest)).any())
        return values >= _HALF * largest

    def _put(self, mask: np.ndarray, plane: Frame, segment: int) -> None:
        if not mask.any():
            return
        corner = self._index_of(plane)
        if corner is None:
            self._resample(mask, plane, segment)
        elif 0 <= corner < self._like.grid.shape[0]:
            self._masks[segment].add(corner, mask)
        else:
            self._outside += 1

    def _index_of(self, plane: Frame) -> int | None:
        """The image's slice that a plane coincides with, also beyond its ends; None: with none."""
        grid = self._like.grid
        if plane.shape != grid.shape[1:]:
            return None
        if not plane.placed:
            return (plane.index or 0) if len(self._planes) == grid.shape[0] else None
        corners = np.linalg.solve(grid.affine, _corners_mm(plane))[:3]
        number = round(float(corners[0].mean()))
        rows, columns = grid.shape[1] - 1, grid.shape[2] - 1
        expected = np.array([[number] * 4, [0, 0, rows, rows], [0, columns, 0, columns]])
        offset_vox = float(np.abs(corners - expected).max())
        if offset_vox > OFFSET_VOX:
            return None
        self._offset_vox = max(self._offset_vox, offset_vox)
        return number

    def _resample(self, mask: np.ndarray, plane: Frame, segment: int) -> None:
        """A plane that is none of the image's: every voxel takes what lies at its centre, within the plane's slab."""
        if not plane.placed:
            raise GeometryError(
                f"{self._path}: a frame of {plane.shape} pixels has no position, and the image has "
                f"{self._like.grid.shape}; expected the image's own grid; export it with positions"
            )
        on_image = resample_onto(mask[None, None].astype(np.uint8), _slab(plane), self._like.grid, nearest=True)[0] > 0
        self._resampled += 1
        self._outside += not on_image.any()
        self._masks[segment].unite(on_image)

    def _require_inside(self) -> None:
        if self._outside and not any(self._masks):
            raise GeometryError(
                f"{self._path}: all {self._outside} frames that hold something lie outside the image, which begins at "
                f"{_mm(self._like.grid.origin_mm)} mm; expected a segmentation of this image; check which series it "
                "belongs to"
            )

    def _notes(self, strangers: set[int]) -> tuple[str, ...]:
        notes = []
        if strangers:
            notes.append(f"values {sorted(strangers)[:6]} are not described as segments and are taken as background")
        if self._fractions:
            notes.append(f"segments are fractional; {_HALF:g} and more of the largest value is taken as inside")
        if self._offset_vox > SAME_VOX:
            notes.append(f"the segmentation lies {self._offset_vox:.3g} voxel beside the image; taken by index")
        if self._resampled:
            notes.append(f"{self._resampled} frames lie on another grid than the image; resampled (nearest neighbour)")
        if self._outside:
            notes.append(f"{self._outside} frames lie outside the image and are left out")
        return tuple(notes)


def _corners_mm(plane: Frame) -> np.ndarray:
    """World positions (4, corners) of the corner pixels: first, last of the first row, first and last of the last."""
    down, right = plane.axes_mm
    rows, columns = plane.shape[0] - 1, plane.shape[1] - 1
    origin = np.array(plane.position)
    return np.array([[*(origin + r * down + c * right), 1.0] for r in (0, rows) for c in (0, columns)]).T


def _slab(plane: Frame) -> Grid:
    affine = np.eye(4)
    affine[:3, 0] = plane.normal * abs(plane.thickness_mm)
    affine[:3, 1], affine[:3, 2] = plane.axes_mm
    affine[:3, 3] = plane.position
    return Grid((1, *plane.shape), affine)


def _mm(position: Sequence[float]) -> str:
    return "(" + ", ".join(f"{value:.4g}" for value in position) + ")"
