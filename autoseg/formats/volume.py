"""What every reader returns: an array with its place in the world, and the limits that hold for all formats."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from autoseg import machine
from autoseg.errors import DoesNotFit, LabelError, RefusedError, UnreadableFile
from autoseg.volumes.geometry import Grid
from autoseg.volumes.labels import Mask
from autoseg.volumes.sparse import SparseMask

MAXIMUM_VOXELS = 10_000_000_000
"""Headers that promise more are refused before anything is allocated."""
COPIES = 3
"""How many times a volume lies in memory while it is read, turned and measured."""

_ALWAYS_FITS_BYTES = 2**26  # asking how much memory is free takes longer than reading this


class Repair(NamedTuple):
    """What was wrong with a file, and what was done about it."""

    reason: str
    repair: str


@dataclass(frozen=True, eq=False)
class Volume:
    """An image or label file in memory.

    Attributes:
        array: (C, z, y, x) in the file's own axis order and dtype; float32 if the header scales the values.
        grid: Where the voxels lie, file axis order.
        spacing_known: False for files that carry no voxel size (PNG, JPEG, ...): 1 mm is then assumed.
        sha256: Of the file's bytes, as hex.
        channels: A name per channel: ``R, G, B`` for colour, else made up from the position.
        notes: Things about the file worth telling, such as a header that contradicts itself.
        uids: SOP Instance UID of each slice, where it was read from DICOM.
        repairs: What was not as it should be and was put right in memory.
        open_axis4: The channels are a fourth axis, and the file does not say whether it counts channels or points in
            time. That its header calls it time decides nothing: many converters write so whatever it is.
    """

    array: np.ndarray
    grid: Grid
    spacing_known: bool
    sha256: str
    channels: tuple[str, ...]
    notes: tuple[str, ...] = ()
    uids: tuple[str, ...] = ()
    repairs: tuple[Repair, ...] = ()
    open_axis4: bool = False

    def at(self, frame: int) -> "Volume":
        """One point in time of a fourth axis; the same volume where there is none, or one that is known to be channels.

        Raises:
            IndexError: There are not so many.
        """
        if not self.open_axis4:
            return self
        array = self.array[frame][None]
        array.flags.writeable = False  # other points in time, read later, share its memory
        return replace(self, array=array, channels=channel_names(1), open_axis4=False)


@dataclass(frozen=True, eq=False)
class Structures:
    """Named masks from one file, which may overlap.

    Attributes:
        drawn: The masks, packed, in the axis order of ``grid``.
        grid: Where the voxels lie.
        names: One per structure.
        sha256: Of the file's bytes, as hex.
        notes: Things about the file worth telling.
        displaced: Parts lie outside the grid or between its voxels, and were left out or resampled.
    """

    drawn: tuple[SparseMask, ...]
    grid: Grid
    names: tuple[str, ...]
    sha256: str
    notes: tuple[str, ...] = ()
    displaced: bool = False

    @property
    def masks(self) -> Iterator[Mask]:
        """Each mask (z, y, x) as bool, made when it is asked for: hundreds of them at once would fill the memory."""
        return (mask.dense() for mask in self.drawn)


def check_size(path: Path, shape: Sequence[int], voxel_bytes: int = 1) -> None:
    """Refuse declared sizes that are empty, absurd, or too much for this machine, before anything is allocated.

    Args:
        path: For messages.
        shape: Extents of all axes.
        voxel_bytes: Of one value.

    Raises:
        UnreadableFile: An axis has no voxels.
        RefusedError: More than ``MAXIMUM_VOXELS`` are declared.
        DoesNotFit: Reading and measuring would take more memory than is free.
    """
    if not shape or any(extent <= 0 for extent in shape):
        raise UnreadableFile(path, f"its header declares the shape {tuple(shape)}, which holds no voxel")
    voxels = math.prod(int(extent) for extent in shape)
    if voxels > MAXIMUM_VOXELS:
        raise RefusedError(
            f"{path}: its header declares {voxels:,} voxels, more than {MAXIMUM_VOXELS:,}; "
            "if this is meant, split or downsample the image first"
        )
    needed = COPIES * voxels * voxel_bytes
    if needed > _ALWAYS_FITS_BYTES and needed > (free := machine.ram_bytes()):
        raise DoesNotFit(
            f"{path}: its {voxels:,} voxels take {machine.gib(needed)} of memory while they are read and measured, "
            f"{machine.gib(free)} are free; crop or downsample the image, or use a machine with more memory"
        )


def channel_names(count: int) -> tuple[str, ...]:
    """Names for channels that the file does not name.

    >>> channel_names(1), channel_names(2)
    (('image',), ('image_0', 'image_1'))
    """
    return ("image",) if count == 1 else tuple(f"image_{index}" for index in range(count))


def native(array: np.ndarray) -> np.ndarray:
    """The same values in the machine's byte order, in a type that all of numpy handles (bool becomes uint8)."""
    if array.dtype == np.bool_:
        return array.astype(np.uint8)
    if array.dtype.kind == "f" and array.dtype.itemsize not in (4, 8):
        return array.astype(np.float32 if array.dtype.itemsize < 4 else np.float64)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def unpacked(labels: np.ndarray) -> np.ndarray:
    """Numbers 0xRRGGBB (z, y, x) as colours (3, z, y, x) uint8."""
    return np.stack([(labels >> shift & 255).astype(np.uint8) for shift in (16, 8, 0)])


def smallest_dtype(labels: np.ndarray) -> np.dtype:
    """The narrowest of uint8, int16, uint16, int32 and int64 that holds all values.

    Raises:
        LabelError: A value does not fit 64 bits.

    >>> smallest_dtype(np.array([0, 255])), smallest_dtype(np.array([0, 300])), smallest_dtype(np.array([0, 40000]))
    (dtype('uint8'), dtype('int16'), dtype('uint16'))
    """
    low, high = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
    for kind in (np.uint8, np.int16, np.uint16, np.int32, np.int64):
        limits = np.iinfo(kind)
        if limits.min <= low and high <= limits.max:
            return np.dtype(kind)
    raise LabelError(f"label values from {low} to {high} do not fit 64 bits; choose smaller file values")
