"""TIFF by tifffile: pictures, stacks of pages, BigTIFF, ImageJ and OME files, with the voxel size that their tags tell.

The voxel size comes from OME's ``PhysicalSizeX/Y/Z``, else from ImageJ's ``spacing`` with the resolution tags, else
from the resolution tags alone. Those of a plain file are believed unless they say dots per inch, which is how a picture
is to be printed. Compressions that tifffile cannot undo alone (LZW, JPEG), and palettes, are read by Pillow.
"""

import io
import logging
import re
import struct
import warnings
from pathlib import Path
from typing import BinaryIO, NamedTuple
from xml.etree import ElementTree

import numpy as np
import tifffile
from PIL import Image, ImageOps

from autoseg.errors import AutosegError, GeometryError, UnreadableFile
from autoseg.formats import content as bytes_of
from autoseg.formats import raster
from autoseg.formats.volume import Repair, Volume, channel_names, check_size, native, smallest_dtype, unpacked
from autoseg.records import write_with
from autoseg.volumes.geometry import Grid, canonical_affine
from planners.contracts import Spacing

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what is wrong with a file is said by our own errors

_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_DAMAGED = (*raster.DAMAGED, tifffile.TiffFileError, ElementTree.ParseError)
_MILLIMETRES = {
    "nm": 1e-6, "um": 1e-3, "µm": 1e-3, "μm": 1e-3, "\\u00b5m": 1e-3, "micron": 1e-3, "microns": 1e-3,
    "micrometer": 1e-3, "mm": 1.0, "millimeter": 1.0, "cm": 10.0, "centimeter": 10.0, "m": 1000.0, "meter": 1000.0,
    "inch": 25.4, "in": 25.4, "pm": 1e-9, "å": 1e-7,
}  # fmt: skip
_CENTIMETRE = 3  # of the tag ResolutionUnit; 2 is inch
_LARGEST_SPACING_MM, _SMALLEST_SPACING_MM = 500.0, 1e-7
_MOST_PAGES = 100_000


class _Sizes(NamedTuple):
    """Voxel size in mm along x, y and z; None where the tags do not tell."""

    x: float | None = None
    y: float | None = None
    z: float | None = None


def is_mine(start: bytes) -> bool:
    """Whether a file begins as TIFF does, of 32 or 64 bits."""
    return start.startswith(_MAGICS)


def read(path: Path, raw: memoryview, *, mask: bool = False) -> Volume:
    """Read a TIFF file.

    Args:
        path: The file.
        raw: Its bytes.
        mask: Read palette indices, and one channel where all three are equal.

    Raises:
        UnreadableFile: Damaged, or of a kind we do not read.
        RefusedError: Absurd size.
        DoesNotFit: Larger than the memory.
    """
    try:
        with warnings.catch_warnings(), tifffile.TiffFile(io.BytesIO(raw)) as file:
            warnings.simplefilter("ignore")
            array, repairs = _voxels(path, raw, file, mask)
            sizes = _sizes(file)
            timed = "T" in file.series[0].axes
    except AutosegError:
        raise
    except _DAMAGED as error:
        raise UnreadableFile(path, f"cannot be decoded ({type(error).__name__}: {error})") from error
    array = raster.one_channel(array) if mask and not timed else array
    spacing, known, notes = _spacing(sizes, slices=array.shape[1])
    return Volume(
        array=array,
        grid=Grid((array.shape[1], array.shape[2], array.shape[3]), canonical_affine(spacing)),
        spacing_known=known,
        sha256=bytes_of.digest(raw),
        channels=("R", "G", "B") if len(array) == 3 and not timed else channel_names(len(array)),
        notes=notes,
        repairs=repairs,
        open_axis4=timed and len(array) > 1,
    )


# ---------------------------------------------------------------------------------------------------------- voxels


def _voxels(path: Path, raw: memoryview, file: tifffile.TiffFile, mask: bool) -> tuple[np.ndarray, tuple[Repair, ...]]:
    """(C, z, y, x), and what was done to get them."""
    _require_an_end(path, raw, file)
    series = file.series[0]
    page = series.keyframe
    check_size(path, series.shape, max(1, series.dtype.itemsize))
    _require_believable(path, raw, series)
    if page.photometric == tifffile.PHOTOMETRIC.PALETTE and not mask:
        return _by_pillow(path, raw, mask)
    try:
        array = series.asarray()
    except ValueError as error:
        if "imagecodecs" not in str(error):  # a compression that needs another library
            raise
        return _by_pillow(path, raw, mask)
    return _arranged(path, array, series.axes, alpha=len(page.extrasamples) > 0)


def _require_an_end(path: Path, raw: memoryview, file: tifffile.TiffFile) -> None:
    """Refuse pages that follow each other in a circle, in which tifffile would go round for ever."""
    layout, offset = file.tiff, file.pages.first.offset
    seen: set[int] = set()
    while 0 < offset < len(raw):
        if offset in seen:
            raise UnreadableFile(path, f"its {len(seen)} pages follow each other in a circle, without end")
        seen.add(offset)
        try:
            (tags,) = struct.unpack_from(layout.tagnoformat, raw, offset)
            (offset,) = struct.unpack_from(layout.offsetformat, raw, offset + layout.tagnosize + tags * layout.tagsize)
        except struct.error:  # the file ends within this page, which tifffile takes for the last one
            return


def _require_believable(path: Path, raw: memoryview, series: tifffile.TiffPageSeries) -> None:
    """Compare what is declared with what is there, before anything is allocated."""
    page = series.keyframe
    if page.tilewidth * page.tilelength * max(1, page.tiledepth) > 64 * (2**20 + page.imagewidth * page.imagelength):
        raise UnreadableFile(path, f"its tiles of {page.tilewidth} x {page.tilelength} pixels are larger than it is")
    promised = int(np.prod(series.shape, dtype=np.int64)) * series.dtype.itemsize
    if page.compression == tifffile.COMPRESSION.NONE:
        if promised > len(raw) + bytes_of.SLACK_BYTES:
            raise UnreadableFile(path, f"its {len(raw):,} bytes cannot hold the {promised:,} that its tags promise")
    else:
        bytes_of.believable(path, raw, promised, page.compression.name.lower())


def _arranged(path: Path, array: np.ndarray, axes: str, alpha: bool) -> tuple[np.ndarray, tuple[Repair, ...]]:
    """(C, z, y, x) from tifffile's axes: S, C and T come first; Z, I and Q (pages of unknown meaning) are a stack."""
    kept = [(axis, extent) for axis, extent in zip(axes, array.shape, strict=True) if extent > 1 or axis in "YX"]
    names = "".join("C" if axis in "ST" else "Z" if axis in "IQ" else axis for axis, _ in kept)
    if len(set(names)) < len(names) or not set("YX") <= set(names) <= set("CZYX"):
        raise UnreadableFile(path, f"its axes {axes!r} of shape {array.shape} are not understood", "split the file")
    array = array.reshape([extent for _, extent in kept])
    array = np.transpose(array, [names.index(axis) for axis in "CZYX" if axis in names])
    for position, axis in enumerate("CZ"):
        if axis not in names:
            array = np.expand_dims(array, position)
    if array.dtype.kind not in "biuf":
        raise UnreadableFile(path, f"it holds {array.dtype} values", "convert them to real numbers")
    repairs: tuple[Repair, ...] = ()
    if alpha and len(array) in (2, 4):
        opaque = array.dtype.kind in "ui" and bool((array[-1] == np.iinfo(array.dtype).max).all())
        if len(array) == 2 or not opaque:
            what = "opaque everywhere" if opaque else "not opaque"
            repairs = (Repair(f"the picture has an alpha channel, {what}", "dropped"),)
        array = array[:-1]
    return np.ascontiguousarray(native(array)), repairs


def _by_pillow(path: Path, raw: memoryview, mask: bool) -> tuple[np.ndarray, tuple[Repair, ...]]:
    """A picture, or a stack of pages, which must be of one size."""
    raster.picture(path, raw).close()  # refuses absurd sizes
    with Image.open(io.BytesIO(raw), formats=("TIFF",)) as stack:
        pages = getattr(stack, "n_frames", 1)
        check_size(path, (min(pages, _MOST_PAGES), *stack.size), 4)
        slices: list[np.ndarray] = []
        repairs: tuple[Repair, ...] = ()
        for page in range(pages):
            stack.seek(page)
            array, repairs = raster.pixels(path, ImageOps.exif_transpose(stack), mask)
            slices.append(array)
    return np.concatenate(slices, axis=1), repairs


# ------------------------------------------------------------------------------------------------------ voxel size


def _spacing(sizes: _Sizes, slices: int) -> tuple[Spacing, bool, tuple[str, ...]]:
    """Spacing (z, y, x), whether the file knows it, and remarks."""
    x, y, z = (size if size is not None and _believable(size) else None for size in sizes)
    if x is None or y is None:
        return (1.0, 1.0, 1.0), False, ()
    if z is None and slices > 1:
        note = (
            f"its tags give pixels of {x:.4g} x {y:.4g} mm but no distance between slices; one voxel is taken as 1 mm"
        )
        return (1.0, 1.0, 1.0), False, (note,)
    return (1.0 if z is None else z, y, x), True, ()


def _believable(size_mm: float) -> bool:
    return bool(np.isfinite(size_mm)) and _SMALLEST_SPACING_MM <= size_mm <= _LARGEST_SPACING_MM


def _sizes(file: tifffile.TiffFile) -> _Sizes:
    if file.is_ome and file.ome_metadata:
        found = _from_ome(file.ome_metadata)
        if found.x is not None:
            return found
    imagej = file.imagej_metadata if file.is_imagej else None
    unit = _MILLIMETRES.get(str((imagej or {}).get("unit", "")).lower())
    page = file.pages[0]
    if imagej is None:
        code = page.tags.valueof("ResolutionUnit", default=2)
        unit = _MILLIMETRES["cm"] if code == _CENTIMETRE else None
    if unit is None:
        return _Sizes()
    x, y = (_per_unit(page.tags.valueof(name), unit) for name in ("XResolution", "YResolution"))
    between = (imagej or {}).get("spacing")
    return _Sizes(x, y, abs(float(between)) * unit if isinstance(between, int | float) else None)


def _per_unit(resolution: object, unit_mm: float) -> float | None:
    """Millimetres per pixel, from a fraction of pixels per unit."""
    if not isinstance(resolution, tuple) or len(resolution) != 2 or not all(resolution):
        return None
    pixels, units = resolution
    return unit_mm * float(units) / float(pixels)


def _from_ome(xml: str) -> _Sizes:
    """``PhysicalSizeX/Y/Z`` of the first image; micrometres unless a unit is given (OME schema, Pixels)."""
    if len(xml) > 2**24 or "<!DOCTYPE" in xml or "<!ENTITY" in xml:  # entities could unfold without end
        return _Sizes()
    pixels = next((element for element in ElementTree.fromstring(xml).iter() if element.tag.endswith("}Pixels")), None)
    if pixels is None:
        return _Sizes()
    sizes = []
    for axis in "XYZ":
        value, unit = pixels.get(f"PhysicalSize{axis}"), pixels.get(f"PhysicalSize{axis}Unit", "µm")
        factor = _MILLIMETRES.get(unit.lower())
        number = value is not None and re.fullmatch(r"[0-9.eE+-]+", value)
        sizes.append(float(value) * factor if value is not None and number and factor else None)
    return _Sizes(*sizes)


def write_label(path: Path, labels: np.ndarray, like: Path, *, colours: bool = False) -> None:
    """Write labels of the same size, and with the voxel size in OME's words if it is known.

    See ``formats.write_label``.
    """
    image = read(like, bytes_of.load(like))
    if labels.shape != image.grid.shape:
        raise GeometryError(f"{path}: labels of shape {labels.shape} do not fit {like}, which has {image.grid.shape}")
    values = np.moveaxis(unpacked(labels), 0, -1) if colours else labels.astype(smallest_dtype(labels))
    axes = "ZYX" if len(values) > 1 else "YX"
    values = values if len(values) > 1 else values[0]
    sizes = dict(zip("ZYX", image.grid.spacing_mm, strict=True))
    metadata = {"axes": axes + "S" if colours else axes} | {f"PhysicalSize{axis}": size for axis, size in sizes.items()}
    metadata |= {f"PhysicalSize{axis}Unit": "mm" for axis in sizes}

    def write(file: BinaryIO) -> None:
        tifffile.imwrite(
            file,
            values,
            photometric="rgb" if colours else "minisblack",
            compression="zlib",
            ome=image.spacing_known,
            metadata=metadata if image.spacing_known else None,
        )

    write_with(path, write)
