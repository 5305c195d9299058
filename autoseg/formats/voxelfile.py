"""Voxels that a text header describes: behind it in the same file, or in a file of their own beside it."""

from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np

from autoseg.errors import GeometryError, RefusedError, UnreadableFile
from autoseg.formats import content as bytes_of
from autoseg.formats.affine import LARGEST_SPACING_MM, SMALLEST_SPACING_MM

_SINGULAR = 1e-3  # volume of a voxel with edges of length 1 along the axes
_LONGEST_HEADER_BYTES = 2**20


def header_lines(path: Path, raw: memoryview) -> list[tuple[str, int]]:
    """The lines of the text before the voxels, each with the position where the next one begins.

    Raises:
        RefusedError: A line has no end within a mebibyte; nobody writes such a header.
    """
    text = bytes(raw[:_LONGEST_HEADER_BYTES])
    lines, start = [], 0
    while start < len(text):
        end = text.find(b"\n", start)
        if end < 0:
            if len(text) == _LONGEST_HEADER_BYTES:
                break
            end = len(text)
        lines.append((text[start:end].decode("latin-1").strip("\r"), end + 1))
        start = end + 1
    if not lines:
        raise RefusedError(f"{path}: its header has a line longer than {_LONGEST_HEADER_BYTES:,} bytes")
    return lines


def beside(header: Path, name: str) -> Path:
    """The file that a header names, which must lie in its folder or below.

    Raises:
        RefusedError: It is absolute, climbs out of the folder, or stands for several files.
    """
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or PureWindowsPath(name).drive or ".." in parts.parts or "\0" in name:
        raise RefusedError(f"{header}: names the data file {name!r}, outside of its folder; put both into one folder")
    if name.upper().startswith("LIST") or "%" in name:
        raise RefusedError(f"{header}: names a list of data files ({name!r}); convert it to one file, e.g. .nii.gz")
    return header.parent / parts


def load(header: Path, source: Path) -> memoryview:
    """The bytes of the file with the voxels.

    Raises:
        UnreadableFile: It is missing or no data; the message names both files.
    """
    try:
        return bytes_of.load(source)
    except UnreadableFile as error:
        todo = "put both files into one folder again, under their old names"
        raise UnreadableFile(header, f"its voxels should lie in {source.name}: {error.problem}", todo) from error


def decode(path: Path, raw: memoryview, kind: np.dtype, count: int, encoding: str) -> tuple[np.ndarray, bool]:
    """Values of a block of bytes.

    Args:
        path: For messages.
        raw: The block, from its first byte to the end of the file.
        kind: Type and byte order.
        count: Values that the header promises.
        encoding: ``raw``, ``gzip``, ``zlib``, ``bzip2`` or ``ascii``.

    Returns:
        (N,) of that type, and whether there were more.

    Raises:
        UnreadableFile: Too few, or damaged.
        RefusedError: Far too many.
    """
    promised = count * kind.itemsize
    if encoding == "ascii":
        return _numbers(path, raw, kind, count)
    if encoding != "raw":
        data, longer = bytes_of.unfold(path, raw, promised, encoding)
        return data.view(kind), longer
    if len(raw) < promised:
        raise UnreadableFile(
            path, f"the data end after {len(raw):,} bytes; the header promises {promised:,} ({count:,} values)"
        )
    return np.frombuffer(raw, kind, count), len(raw) > promised


def _numbers(path: Path, raw: memoryview, kind: np.dtype, count: int) -> tuple[np.ndarray, bool]:
    if 2 * count - 1 > len(raw):  # a digit and a space each
        raise UnreadableFile(path, f"its {len(raw):,} bytes of text cannot hold the {count:,} numbers promised")
    words = bytes(raw).split()
    if len(words) < count:
        raise UnreadableFile(path, f"it holds {len(words):,} numbers; the header promises {count:,}")
    try:
        return np.array(words[:count]).astype(np.float64).astype(kind), len(words) > count
    except (ValueError, OverflowError) as error:
        raise UnreadableFile(path, f"its values are no numbers ({error})") from error


def affine(path: Path, steps: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """Array index (z, y, x) to world LPS.

    Args:
        path: For messages.
        steps: (A, 3) from voxel to voxel along the file's axes, in mm; two axes get a third of 1 mm.
        origin: (3,) centre of the first voxel.

    Raises:
        GeometryError: They place no voxels: not finite, singular, or of absurd size.
    """
    with np.errstate(all="ignore"):
        sizes = np.linalg.norm(steps, axis=1)
        finite = np.isfinite(steps).all() and np.isfinite(origin).all() and np.isfinite(sizes).all()
        if not finite or np.any(sizes < SMALLEST_SPACING_MM) or np.any(sizes > LARGEST_SPACING_MM):
            raise GeometryError(f"{path}: the voxel size {sizes.tolist()} mm cannot be; repair the header")
        if len(steps) == 2:
            across = np.cross(*(steps / sizes[:, None]))
            steps, sizes = np.vstack([steps, across]), np.append(sizes, np.linalg.norm(across))
        if not abs(np.linalg.det(steps / np.maximum(sizes, 1e-12)[:, None])) > _SINGULAR:
            raise GeometryError(
                f"{path}: the directions {steps.tolist()} of its axes place no voxels; repair the header"
            )
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = steps[::-1].T, origin
    return matrix
