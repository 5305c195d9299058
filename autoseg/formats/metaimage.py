"""MetaImage (MHA, MHD with its raw file), by its definition (itk.org/Wiki/ITK/MetaIO/Documentation).

Its header is text, so nothing native has to trust it, directions that are not at right angles are read as they are, and
labels get the very words of the image's header that say where voxels lie.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from isal import isal_zlib

from autoseg.errors import GeometryError, UnreadableFile
from autoseg.formats import content as bytes_of
from autoseg.formats import voxelfile
from autoseg.formats.volume import Repair, Volume, channel_names, check_size, native, smallest_dtype, unpacked
from autoseg.records import write_bytes
from autoseg.volumes.geometry import Grid

_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_LONG": "i4", "MET_ULONG": "u4", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}  # fmt: skip
_NAMES = {code: name for name, code in _TYPES.items() if name not in ("MET_LONG", "MET_ULONG")}
_SAME = {"position": "offset", "origin": "offset", "orientation": "transformmatrix", "rotation": "transformmatrix",
         "elementbyteordermsb": "binarydatabyteordermsb"}  # fmt: skip
_SPATIAL = {"Offset": 1, "TransformMatrix": 2, "CenterOfRotation": 1, "ElementSpacing": 1, "DimSize": 1}
"""Fields that say where voxels lie, as they are spelled, and how many numbers per axis they have (power of axes)."""


def is_mine(start: bytes) -> bool:
    """Whether a file begins as MetaImage does: with one of its fields."""
    return re.match(rb"\s*(ObjectType|NDims|Comment)\s*=", start) is not None


@dataclass(frozen=True)
class _Header:
    """The fields by lower-case name, in their own words, and where the voxels begin in an attached file."""

    path: Path
    fields: Mapping[str, str]
    end: int

    def wrong(self, name: str) -> UnreadableFile:
        """The error for a field that cannot be understood."""
        found = self.fields.get(name.lower(), "(missing)")
        return UnreadableFile(self.path, f"its MetaImage header is damaged at '{name} = {found}'")

    def numbers(self, name: str, count: int) -> np.ndarray | None:
        """So many numbers; None where the field is absent."""
        if name.lower() not in self.fields:
            return None
        try:
            found = np.array([float(word) for word in self.fields[name.lower()].split()])
        except ValueError:
            raise self.wrong(name) from None
        if len(found) != count:
            raise self.wrong(name)
        return found

    def whole(self, name: str, default: int) -> int:
        """One whole number."""
        found = self.fields.get(name.lower(), str(default))
        if not re.fullmatch(r"-?\d{1,18}", found):
            raise self.wrong(name)
        return int(found)

    def true(self, name: str) -> bool:
        """Whether a switch is on; off where the field is absent."""
        return self.fields.get(name.lower(), "").lower().startswith(("t", "y", "1"))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Extents of all axes, fastest first."""
        axes = self.whole("NDims", 0)
        words = self.fields.get("dimsize", "").split()
        if not 2 <= axes <= 4 or len(words) != axes or not all(re.fullmatch(r"-?\d{1,18}", word) for word in words):
            raise self.wrong("DimSize")
        return tuple(int(word) for word in words)

    @property
    def channels(self) -> int:
        """Values per voxel."""
        count = self.whole("ElementNumberOfChannels", 1)
        if not 1 <= count <= 1024:
            raise self.wrong("ElementNumberOfChannels")
        return count

    @property
    def dtype(self) -> np.dtype:
        """Type and byte order of the values."""
        code = _TYPES.get(self.fields.get("elementtype", "").removesuffix("_ARRAY"))
        if code is None:
            raise self.wrong("ElementType")
        return np.dtype((">" if self.true("BinaryDataByteOrderMSB") else "<") + code)


def read(path: Path, raw: memoryview) -> Volume:
    """Read a MetaImage file; several values per voxel, or a fourth axis, become channels.

    Raises:
        UnreadableFile: Cut short, damaged, or of a kind that is not read.
        GeometryError: No usable affine.
        RefusedError: Absurd size, a decompression bomb, or voxels outside of the header's folder.
        DoesNotFit: Larger than the memory.
    """
    header = _header(path, raw)
    sizes = header.sizes
    check_size(path, (*sizes, header.channels), header.dtype.itemsize)
    values, parts, notes = _values(header, raw)
    if header.channels > 1:
        if len(sizes) == 4 and sizes[3] > 1:
            raise UnreadableFile(
                path, f"it holds {sizes[3]} volumes of {header.channels} values each", "split the file"
            )
        values = np.moveaxis(values, -1, 0)
    array = native(values.reshape(-1, *([1] if len(sizes) == 2 else []), *sizes[:3][::-1]))
    affine, repairs = _place(header)
    return Volume(
        array=array,
        grid=Grid((array.shape[1], array.shape[2], array.shape[3]), affine),
        spacing_known=bool(header.fields.keys() & {"elementspacing", "elementsize"}),
        sha256=bytes_of.digest(*parts),
        channels=channel_names(len(array)),
        notes=notes,
        repairs=repairs,
        open_axis4=len(sizes) == 4 and sizes[3] > 1,
    )


def _header(path: Path, raw: memoryview) -> _Header:
    if not is_mine(bytes(raw[:64])):
        raise UnreadableFile(path, "this is not a MetaImage", "give it the suffix of its format")
    fields: dict[str, str] = {}
    for line, behind in voxelfile.header_lines(path, raw):
        name, equals, value = line.partition("=")
        name = name.strip().lower()
        if equals:
            fields[_SAME.get(name, name)] = value.strip()
        if name == "elementdatafile":  # the last one by definition; what follows are voxels
            return _Header(path, fields, behind)
    raise UnreadableFile(path, "its MetaImage header ends early: it names no ElementDataFile")


def _values(header: _Header, raw: memoryview) -> tuple[np.ndarray, tuple[memoryview, ...], tuple[str, ...]]:
    """All values, slowest axis first; the contents of all files; and remarks."""
    named = header.fields.get("elementdatafile", "")
    if not named:
        raise header.wrong("ElementDataFile")
    attached = named.upper() == "LOCAL"
    source = header.path if attached else voxelfile.beside(header.path, named)
    content = raw if attached else voxelfile.load(header.path, source)
    shape = header.sizes[::-1] + ((header.channels,) if header.channels > 1 else ())
    count = int(np.prod(shape, dtype=np.int64))
    block = content[header.end :] if attached else content
    skip = header.whole("HeaderSize", 0)
    if skip < -1:
        raise header.wrong("HeaderSize")
    skip = max(0, len(block) - count * header.dtype.itemsize) if skip == -1 else skip
    block = block[skip:]
    encoding = "raw"
    if header.true("CompressedData"):
        encoding = "gzip" if bytes_of.is_gzip(block) else "zlib"
    elif "binarydata" in header.fields and not header.true("BinaryData"):
        encoding = "ascii"
    values, longer = voxelfile.decode(source, block, header.dtype, count, encoding)
    notes = (f"{source.name} goes on after what its header promises",) if longer else ()
    return values.reshape(shape), (raw,) if attached else (raw, content), notes


def _place(header: _Header) -> tuple[np.ndarray, tuple[Repair, ...]]:
    axes = len(header.sizes)
    used = min(axes, 3)
    spacing = header.numbers("ElementSpacing", axes)
    spacing = header.numbers("ElementSize", axes) if spacing is None else spacing
    spacing = np.ones(axes) if spacing is None else spacing
    matrix, offset = header.numbers("TransformMatrix", axes * axes), header.numbers("Offset", axes)
    directions = np.eye(axes) if matrix is None else matrix.reshape(axes, axes)  # one row per axis
    with np.errstate(all="ignore"):
        steps = np.abs(spacing[:used, None]) * directions[:used, :used]
    steps = np.pad(steps, ((0, 0), (0, 3 - used)))
    origin = np.pad((np.zeros(axes) if offset is None else offset)[:used], (0, 3 - used))
    repairs: tuple[Repair, ...] = ()
    if np.any(spacing[:used] < 0):
        repairs = (Repair(f"the spacing {spacing.tolist()} has negative parts", "taken without their sign"),)
    return voxelfile.affine(header.path, steps, origin), repairs


def write_label(path: Path, labels: np.ndarray, like: Path, *, colours: bool = False) -> None:
    """Write labels with the geometry of another MetaImage, in its words. See ``formats.write_label``."""
    header = _header(like, bytes_of.load(like))
    axes = min(len(header.sizes), 3)
    expected = (1, *header.sizes[:axes][::-1])[-3:]
    if labels.shape != expected:
        raise GeometryError(f"{path}: labels of shape {labels.shape} do not fit {like}, which has {expected}")
    values = np.moveaxis(unpacked(labels), 0, -1) if colours else labels.astype(smallest_dtype(labels))
    body = isal_zlib.compress(values.astype(values.dtype.newbyteorder("<")).tobytes(), 2)
    beside = path.with_name(f"{path.stem}.zraw")
    detached = path.suffix.lower() == ".mhd"
    fields = {
        "ObjectType": "Image", "NDims": str(axes), "BinaryData": "True", "BinaryDataByteOrderMSB": "False",
        "CompressedData": "True", "CompressedDataSize": str(len(body)), **_geometry(header, axes),
        **({"ElementNumberOfChannels": "3"} if colours else {}),
        "ElementType": _NAMES[values.dtype.str[1:]], "ElementDataFile": beside.name if detached else "LOCAL",
    }  # fmt: skip
    head = "".join(f"{name} = {value}\n" for name, value in fields.items()).encode("latin-1")
    if detached:
        write_bytes(beside, body)
    write_bytes(path, head if detached else head + body)


def _geometry(header: _Header, axes: int) -> dict[str, str]:
    """The words that say where voxels lie, without those for a fourth axis."""
    kept = {}
    for name, power in _SPATIAL.items():
        words = header.fields.get(name.lower(), "").split()
        if power == 2 and words:
            count = len(header.sizes)
            words = [words[row * count + column] for row in range(axes) for column in range(axes)]
        if words:
            kept[name] = " ".join(words[: axes**power])
    for name in ("AnatomicalOrientation", "ElementSize"):
        if name.lower() in header.fields:
            kept[name] = " ".join(header.fields[name.lower()].split()[:axes])
    return kept
