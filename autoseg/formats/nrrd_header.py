"""An NRRD file's header: fields, and where they say that voxels lie (teem.sourceforge.net/nrrd/format.html)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autoseg.errors import UnreadableFile
from autoseg.formats import voxelfile
from autoseg.formats.volume import Repair

TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
_CODES = {name: code for code, names in TYPES.items() for name in names}
_TO_LPS = {
    "left-posterior-superior": (1, 1, 1), "lps": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1), "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1), "las": (1, -1, 1),
}  # fmt: skip
_MILLIMETRES = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "um": 1e-3, "µm": 1e-3, "micron": 1e-3, "microns": 1e-3, "nm": 1e-6}
_NO_SPACE = ("none", "nan")
_ALONG_SPACE = ("domain", "space")
_WORD = re.compile(r'\([^)]*\)|"[^"]*"|\S+')
_SAME = {"axismins": "axis mins", "axismaxs": "axis maxs", "centerings": "centers", "datafile": "data file",
         "byteskip": "byte skip", "lineskip": "line skip"}  # fmt: skip


def is_mine(start: bytes) -> bool:
    """Whether a file begins as NRRD does."""
    return start.startswith(b"NRRD000")


@dataclass(frozen=True)
class Header:
    """The fields in their own words, and where the voxels begin in an attached file."""

    path: Path
    magic: str
    fields: Mapping[str, str]
    end: int

    def words(self, name: str) -> list[str]:
        """The words of a field; vectors in parentheses are one."""
        return _WORD.findall(self.fields.get(name, ""))

    def wrong(self, name: str) -> UnreadableFile:
        """The error for a field that cannot be understood."""
        return UnreadableFile(
            self.path, f"its NRRD header is damaged at '{name}: {self.fields.get(name, '(missing)')}'"
        )

    @property
    def sizes(self) -> tuple[int, ...]:
        """Extents of all axes, fastest first."""
        words = self.words("sizes")
        if not words or not all(re.fullmatch(r"-?\d{1,18}", word) for word in words) or len(words) > 16:
            raise self.wrong("sizes")
        return tuple(int(word) for word in words)

    @property
    def dtype(self) -> np.dtype:
        """Type and byte order of the values."""
        code = _CODES.get(self.fields.get("type", "").strip().lower())
        if code is None:
            raise self.wrong("type")
        return np.dtype((">" if self.fields.get("endian", "little").strip().lower() == "big" else "<") + code)

    def vectors(self, name: str) -> list[np.ndarray | None]:
        """Vectors such as ``(1,0,0)``; None for ``none``."""
        return [None if word.lower() in _NO_SPACE else self._vector(name, word) for word in self.words(name)]

    def _vector(self, name: str, word: str) -> np.ndarray:
        try:
            return np.array([float(part) for part in word.strip("()").split(",")])
        except ValueError:
            raise self.wrong(name) from None

    @property
    def spatial(self) -> tuple[int, ...]:
        """Axes that run through space: with a direction or a spacing, or by their kinds, or the last three."""
        count = len(self.sizes)
        for name in ("space directions", "spacings"):
            words = self.words(name)
            if len(words) == count:
                return tuple(axis for axis, word in enumerate(words) if word.lower() not in _NO_SPACE)
        kinds = [kind.lower() for kind in self.words("kinds")]
        if len(kinds) == count:
            return tuple(axis for axis, kind in enumerate(kinds) if kind in _ALONG_SPACE)
        return tuple(range(count)[-3:])


def parse(path: Path, raw: memoryview) -> Header:
    """The header of a file.

    Raises:
        UnreadableFile: This is no NRRD file.
    """
    if not is_mine(bytes(raw[:8])):
        raise UnreadableFile(path, "this is not an NRRD image", "give it the suffix of its format")
    lines = voxelfile.header_lines(path, raw)
    fields, end = {}, len(raw)
    for line, behind in lines[1:]:
        if not line.strip():
            end = behind
            break
        name, colon, value = line.partition(":")
        if colon and not line.startswith("#") and not value.startswith("="):  # "key:=value" is somebody's own
            name = name.strip().lower()
            fields[_SAME.get(name, name)] = value.strip()
    return Header(path, lines[0][0].strip(), fields, end)


def place(header: Header, spatial: tuple[int, ...]) -> tuple[np.ndarray, bool, list[str], tuple[Repair, ...]]:
    """Affine, whether the file knows its voxel size, remarks and repairs."""
    directions = header.vectors("space directions")
    if not directions:
        return _place_by_size(header, spatial)
    along = [directions[axis] for axis in spatial] if len(directions) == len(header.sizes) else []
    origins = header.vectors("space origin")
    vectors = [vector for vector in [*along, *origins[:1]] if vector is not None]
    dimension = len(vectors[0]) if vectors else 0
    if len(along) != len(spatial) or not 2 <= dimension <= 3 or any(len(vector) != dimension for vector in vectors):
        raise header.wrong("space directions")
    notes: list[str] = []
    space = header.fields.get("space", "").strip().lower()
    if space not in _TO_LPS:
        notes.append(f"its space {space or 'without a name'!r} is taken as left-posterior-superior")
    to_lps = np.array(_TO_LPS.get(space, (1, 1, 1)), float) * _millimetres(header, notes)
    placed = np.pad(np.array(vectors), ((0, 0), (0, 3 - dimension))) * to_lps
    origin = placed[len(along)] if len(placed) > len(along) else np.zeros(3)
    return voxelfile.affine(header.path, placed[: len(along)], origin), True, notes, ()


def _place_by_size(header: Header, spatial: tuple[int, ...]) -> tuple[np.ndarray, bool, list[str], tuple[Repair, ...]]:
    words = header.words("spacings")
    try:
        sizes = [float(words[axis]) for axis in spatial] if len(words) == len(header.sizes) else [1.0] * len(spatial)
    except ValueError:
        raise header.wrong("spacings") from None
    repairs = (
        [Repair(f"the spacings {sizes} have negative parts", "taken without their sign")] if min(sizes) < 0 else []
    )
    steps = np.diag(np.abs(sizes))
    steps = np.pad(steps, ((0, 0), (0, 3 - len(spatial))))
    notes = ["the header gives no orientation; it is taken as left-posterior-superior"]
    return voxelfile.affine(header.path, steps, np.zeros(3)), bool(words), notes, tuple(repairs)


def _millimetres(header: Header, notes: list[str]) -> float:
    """What its unit of length is in mm."""
    units = {word.strip('"').lower() for word in header.words("space units")} - {""}
    if len(units) != 1 or not units <= _MILLIMETRES.keys() or units == {"mm"}:
        return 1.0
    [unit] = units
    notes.append(f"the header gives lengths in {unit}; converted to millimetres")
    return _MILLIMETRES[unit]
