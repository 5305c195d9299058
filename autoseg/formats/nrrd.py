"""NRRD, attached or detached.

Its header is text, so nothing native has to trust it, directions that are not at right angles are read as they are, and
labels get the very words of the image's header that say where voxels lie.
"""

import re
from pathlib import Path

import numpy as np

from autoseg.errors import GeometryError, UnreadableFile
from autoseg.formats import content as bytes_of
from autoseg.formats import voxelfile
from autoseg.formats.nrrd_header import TYPES, Header, is_mine, parse, place
from autoseg.formats.volume import Volume, channel_names, check_size, native, smallest_dtype, unpacked
from autoseg.records import write_bytes
from autoseg.volumes.geometry import Grid

__all__ = ["is_mine", "read", "write_label"]

_ENCODINGS = {"gz": "gzip", "bz2": "bzip2", "txt": "ascii", "text": "ascii"}
_COLOURS = {"rgb-color": 3, "rgba-color": 4}
_OPEN_KINDS = ("???", "none", "time")
_PER_AXIS = ("sizes", "space directions", "spacings", "thicknesses", "axis mins", "axis maxs", "centers", "kinds")
_COLOUR_AXIS = dict(zip(_PER_AXIS, ("3", "none", "NaN", "NaN", "NaN", "NaN", "???", "RGB-color"), strict=True))
_OF_THE_WHOLE = ("space", "space dimension", "space units", "space origin")


def read(path: Path, raw: memoryview) -> Volume:
    """Read an NRRD file; an axis that does not run through space becomes channels.

    Raises:
        UnreadableFile: Cut short, damaged, or of a kind that is not read.
        GeometryError: No usable affine.
        RefusedError: Absurd size, a decompression bomb, or voxels outside of the header's folder.
        DoesNotFit: Larger than the memory.
    """
    header = parse(path, raw)
    sizes, spatial = header.sizes, header.spatial
    check_size(path, sizes, header.dtype.itemsize)
    others = [axis for axis in range(len(sizes)) if axis not in spatial and sizes[axis] > 1]
    if not 2 <= len(spatial) <= 3 or len(others) > 1:
        raise UnreadableFile(path, f"its {len(sizes)} axes {sizes} are not one for channels and three of space")
    values, parts, notes = _values(header, raw)
    array = np.transpose(values, [axis - len(sizes) for axis in _order(len(sizes), spatial)])
    array = array.reshape(-1, *([1] * (3 - len(spatial))), *(sizes[axis] for axis in reversed(spatial)))
    colour = (
        _COLOURS.get(header.words("kinds")[others[0]].lower())
        if others and header.words("kinds")[others[0] :]
        else None
    )
    array = native(array[:3] if colour == len(array) else array)
    affine, known, remarks, repairs = place(header, spatial)
    return Volume(
        array=array,
        grid=Grid((array.shape[1], array.shape[2], array.shape[3]), affine),
        spacing_known=known,
        sha256=bytes_of.digest(*parts),
        channels=("R", "G", "B") if colour else channel_names(len(array)),
        notes=(*remarks, *notes),
        repairs=repairs,
        open_axis4=bool(others) and _is_open(header, others[0]),
    )


def _is_open(header: Header, axis: int) -> bool:
    """Whether an axis beside those of space may count points in time: by its kind, or because it has none."""
    kinds = header.words("kinds")
    kind = kinds[axis].lower() if len(kinds) == len(header.sizes) else "???"
    return kind in _OPEN_KINDS or (kind == "list" and axis > 0)  # values of one voxel lie side by side, so come first


def _order(count: int, spatial: tuple[int, ...]) -> list[int]:
    """File axes, slowest first as numpy has them: those beside space, then space."""
    first = [axis for axis in range(count) if axis not in spatial]
    return [count - 1 - axis for axis in (*reversed(first), *reversed(spatial))]


def _values(header: Header, raw: memoryview) -> tuple[np.ndarray, tuple[memoryview, ...], list[str]]:
    """All values, slowest axis first; the contents of all files; and remarks."""
    named = header.fields.get("data file")
    source = header.path if named is None else voxelfile.beside(header.path, named)
    content = raw if named is None else voxelfile.load(header.path, source)
    block = content[header.end :] if named is None else content
    encoding = header.fields.get("encoding", "raw").strip().lower()
    encoding = _ENCODINGS.get(encoding, encoding)
    if encoding not in ("raw", "gzip", "bzip2", "ascii"):
        raise header.wrong("encoding")
    count = int(np.prod(header.sizes, dtype=np.int64))
    block = _skipped(header, block, count * header.dtype.itemsize, encoding)
    values, longer = voxelfile.decode(source, block, header.dtype, count, encoding)
    notes = [f"{source.name} goes on after what its header promises"] if longer else []
    return values.reshape(header.sizes[::-1]), (raw,) if named is None else (raw, content), notes


def _skipped(header: Header, block: memoryview, promised_bytes: int, encoding: str) -> memoryview:
    lines, skip = header.fields.get("line skip", "0"), header.fields.get("byte skip", "0")
    if not re.fullmatch(r"\d{1,9}", lines) or not re.fullmatch(r"-1|\d{1,18}", skip):
        raise header.wrong("byte skip")
    if encoding not in ("raw", "ascii") and (int(lines) or int(skip)):
        raise header.wrong("byte skip")  # counted in unfolded bytes; nobody has been seen to use it
    text = bytes(block[: 2**20])
    start = 0
    for _ in range(min(int(lines), len(text))):
        start = text.find(b"\n", start) + 1
    if int(skip) == -1:
        return block[max(start, len(block) - promised_bytes) :]
    return block[start + int(skip) :]


def write_label(path: Path, labels: np.ndarray, like: Path, *, colours: bool = False) -> None:
    """Write labels with the geometry of another NRRD file, in its words. See ``formats.write_label``."""
    header = parse(like, bytes_of.load(like))
    spatial = header.spatial
    expected = (1, 1, 1, *(header.sizes[axis] for axis in reversed(spatial)))[-3:]
    if labels.shape != expected:
        raise GeometryError(f"{path}: labels of shape {labels.shape} do not fit {like}, which has {expected}")
    values = np.moveaxis(unpacked(labels), 0, -1) if colours else labels.astype(smallest_dtype(labels))
    lines = [header.magic, f"type: {TYPES[values.dtype.str[1:]][-1]}", f"dimension: {len(spatial) + colours}"]
    lines += [f"{name}: {header.fields[name]}" for name in _OF_THE_WHOLE if name in header.fields]
    for name in _PER_AXIS:
        words = header.words(name)
        if len(words) == len(header.sizes):
            colour = [_COLOUR_AXIS[name]] if colours else []
            lines.append(f"{name}: {' '.join([*colour, *(words[axis] for axis in spatial)])}")
    lines += ["encoding: gzip", "endian: little"]
    body = bytes_of.gzip(values.astype(values.dtype.newbyteorder("<")).tobytes())
    if path.suffix.lower() == ".nhdr":
        beside = path.with_name(f"{path.stem}.raw.gz")
        write_bytes(beside, body)
        write_bytes(path, "\n".join([*lines, f"data file: {beside.name}", ""]).encode("latin-1"))
    else:
        write_bytes(path, "\n".join([*lines, "", ""]).encode("latin-1") + body)
