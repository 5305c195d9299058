"""Out-of-fold predictions on disk: what one job's network says about cases it never saw.

One ``.npz`` per case with ``probabilities`` (H, z, y, x) uint8 on the canonical source grid, cropped to ``box`` (3, 2):
the smallest box around everything that is not certainly background. Outside it all is background. Probabilities are
whole numbers of 1/255 that decide as they do themselves, which takes about half of what float16 does
(``benchmarks/results/selection.md``). Float16 files, which were written before, are read as they are.
"""

import os
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from autoseg.errors import DataError, UnreadableFile
from autoseg.records import publish
from autoseg.volumes.labels import Classes
from autoseg.volumes.pieces import Canvas, Place
from autoseg.volumes.rounding import STEPS, quantized
from autoseg.workspace import JobFolder
from planners.contracts import Box, LabelKind, Shape

_CERTAIN = 1 / 512  # a foreground probability below this is background
_NOWHERE: Box = ((0, 0), (0, 0), (0, 0))
_BROKEN = (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile)
_ANEW = "delete the job's train.json to have it predicted again"


@dataclass(frozen=True)
class OutOfFold:
    """A cropped prediction.

    Attributes:
        probabilities: (H, z, y, x) float32, inside ``box`` only.
        box: Where it lies in the canonical source grid; empty ranges where no foreground is predicted.
    """

    probabilities: npt.NDArray[np.float32]
    box: Box


def write_pieces(
    path: Path, pieces: Iterable[tuple[Place, npt.NDArray[np.floating]]], shape: Shape, background: int | None
) -> None:
    """Write one case's prediction, atomically.

    Args:
        path: The ``.npz`` to make.
        pieces: (H, ...), each with its place in the canonical source grid, which they fill together.
        shape: (z, y, x) of that grid.
        background: Head that stands for background (exclusive labels); None for regions, which have no such head.

    Raises:
        ValueError: The network gave something that is no number.
    """
    whole, boxes = Canvas(shape), []
    for place, heads in pieces:
        found = uncertain_box(heads, background)
        wrong = np.count_nonzero(~np.isfinite(heads[:, *slices(found)]))
        if wrong:
            raise ValueError(f"{path.name}: {wrong} probabilities are no finite numbers")
        if found != _NOWHERE:
            boxes.append(_moved(found, place))
        whole.put(place, quantized(heads.astype(np.float32, copy=False), exclusive=background is not None))
    box = joint_box(boxes)
    rounded = whole.array[:, *slices(box)]
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with open(temporary, "wb") as file:
        # The fastest deflate: numpy's own savez_compressed is several times slower for a few percent of size.
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for name, array in (("probabilities", rounded), ("box", np.asarray(box, dtype=np.int64))):
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
    publish(temporary, path)


def read_cropped(path: Path) -> OutOfFold:
    """Read one case's prediction as it is stored.

    Raises:
        UnreadableFile: The file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            probabilities, box = archive["probabilities"], archive["box"]
    except FileNotFoundError as error:
        raise UnreadableFile(path, "the out-of-fold prediction is missing", _ANEW) from error
    except _BROKEN as error:
        raise UnreadableFile(path, f"not an out-of-fold prediction ({error})", _ANEW) from error
    (z0, z1), (y0, y1), (x0, x1) = box.tolist()
    if probabilities.shape[1:] != (z1 - z0, y1 - y0, x1 - x0):
        raise UnreadableFile(path, f"probabilities {probabilities.shape} do not fill the box {box.tolist()}", _ANEW)
    if probabilities.dtype == np.uint8:
        return OutOfFold(probabilities / np.float32(STEPS), ((z0, z1), (y0, y1), (x0, x1)))
    wrong = int(np.count_nonzero(~((probabilities >= 0) & (probabilities <= 1))))
    if wrong:
        raise UnreadableFile(path, f"{wrong} of {probabilities.size} values are no probabilities from 0 to 1", _ANEW)
    return OutOfFold(probabilities.astype(np.float32), ((z0, z1), (y0, y1), (x0, x1)))


def read_job(job: JobFolder, configuration: str, fold: int, case: str, *, mirrored: bool = False) -> OutOfFold:
    """Read what the job (configuration, fold) predicted of one of its validation cases.

    Args:
        job: Its folder.
        configuration: Its name, for the message.
        fold: Its fold, likewise.
        case: A validation case of the fold.
        mirrored: The prediction that is averaged over mirrored copies.

    Raises:
        DataError: The file is missing or damaged; the message names case, job and file.
    """
    try:
        return read_cropped(job.out_of_fold(case, mirrored=mirrored))
    except UnreadableFile as error:
        raise DataError(f"case {case}, job {configuration}/fold_{fold}: {error}") from error


def read_out_of_fold(path: Path, shape: Shape, kind: LabelKind) -> npt.NDArray[np.float32]:
    """Read one case's prediction on the whole canonical grid, (H, z, y, x).

    Args:
        path: A file of ``write_pieces``.
        shape: The canonical grid.
        kind: ``exclusive`` predictions are background (head 0) outside the box, ``regions`` are 0 everywhere there.

    Raises:
        UnreadableFile: The file is missing or damaged, or its box does not lie in the grid.
    """
    stored = read_cropped(path)
    whole: Box = ((0, shape[0]), (0, shape[1]), (0, shape[2]))
    if any(stop > size for (_, stop), size in zip(stored.box, shape, strict=True)):
        raise UnreadableFile(path, f"its box {stored.box} does not lie in the case's grid {shape}", _ANEW)
    return embed(stored, whole, kind)


def embed(stored: OutOfFold, box: Box, kind: LabelKind) -> npt.NDArray[np.float32]:
    """The prediction inside a larger ``box`` that holds its own, (H, z, y, x): background is added around it."""
    sizes = tuple(stop - start for start, stop in box)
    result = np.zeros((len(stored.probabilities), *sizes), dtype=np.float32)
    if kind == "exclusive":
        result[0] = 1.0
    inner = zip(stored.box, box, strict=True)
    result[:, *(slice(start - offset, stop - offset) for (start, stop), (offset, _) in inner)] = stored.probabilities
    return result


def joint_box(boxes: Sequence[Box]) -> Box:
    """The smallest box around several; empty ones do not count.

    >>> joint_box([((0, 2), (1, 2), (1, 3)), ((0, 0), (0, 0), (0, 0)), ((1, 4), (0, 2), (2, 3))])
    ((0, 4), (0, 2), (1, 3))
    """
    filled = [box for box in boxes if all(stop > start for start, stop in box)]
    if not filled:
        return _NOWHERE
    axes = [(min(box[i][0] for box in filled), max(box[i][1] for box in filled)) for i in range(3)]
    return (axes[0], axes[1], axes[2])


def no_plane(box: Box, shape: Shape) -> Box:
    """The box, or one of two slices where it is a single slice of a volume, which would be cleaned as a plane is.

    >>> no_plane(((3, 4), (0, 2), (0, 2)), (4, 9, 9)), no_plane(((0, 1), (0, 2), (0, 2)), (1, 9, 9))
    (((2, 4), (0, 2), (0, 2)), ((0, 1), (0, 2), (0, 2)))
    """
    (start, stop), rows, columns = box
    if stop - start != 1 or shape[0] == 1:
        return box
    return ((start, stop + 1) if stop < shape[0] else (start - 1, stop)), rows, columns


def place(classes: Classes, box: Box, shape: Shape) -> Classes:
    """A class map of ``box`` on the whole grid, background around it."""
    whole = np.zeros(shape, dtype=classes.dtype)
    whole[slices(box)] = classes
    return whole


def slices(box: Box) -> tuple[slice, slice, slice]:
    """A box as an index of arrays (z, y, x)."""
    return (slice(*box[0]), slice(*box[1]), slice(*box[2]))


def _moved(box: Box, place: Place) -> Box:
    z, y, x = ((start + along.start, stop + along.start) for (start, stop), along in zip(box, place, strict=True))
    return z, y, x


def uncertain_box(probabilities: npt.NDArray[np.floating] | npt.NDArray[np.uint8], background: int | None) -> Box:
    """Box of the voxels where some foreground head is not certainly off.

    Args:
        probabilities: (H, z, y, x), also as whole numbers of 1/255.
        background: The head that is no foreground; None: all are.
    """
    uncertain = np.zeros(probabilities.shape[1:], dtype=bool)
    for head in range(len(probabilities)):
        if head != background:
            uncertain |= ~(probabilities[head] < _CERTAIN)  # so that what is no number lies inside and is found
    axes: list[tuple[int, int]] = []
    for axis in range(3):
        hit = np.flatnonzero(uncertain.any(axis=tuple(other for other in range(3) if other != axis)))
        if not len(hit):
            return _NOWHERE
        axes.append((int(hit[0]), int(hit[-1]) + 1))
    return (axes[0], axes[1], axes[2])
