"""PNG, JPEG, BMP by Pillow; TIFF by tifffile: pictures without a world, so one pixel is one millimetre, unknown.

Colour gives the channels R, G, B; alpha is dropped; grey is one channel. A picture is one slice (z = 1), a multi-page
TIFF a stack. Rows run to posterior and columns to the left, so pictures are canonical as they are.
"""

import hashlib
import io
import struct
import warnings
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, ImageOps

from autoseg.errors import GeometryError, LabelError, RefusedError, UnreadableFile
from autoseg.formats import content as bytes_of
from autoseg.formats.volume import Volume, channel_names, check_size, native, smallest_dtype, unpacked
from autoseg.records import write_bytes
from autoseg.volumes.geometry import Grid, canonical_affine

_TIFF_SUFFIXES = (".tif", ".tiff")
_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, struct.error, IndexError, tifffile.TiffFileError)
_GREY = {"1": None, "L": None, "I": None, "F": None, "I;16": None, "I;16B": None, "I;16L": None, "LA": "L", "La": "LA"}
_COLOUR = ("RGB", "RGBA", "RGBa", "RGBX", "P", "PA", "CMYK", "YCbCr", "LAB", "HSV")
_DEEP_PNG_COLOUR = (2, 6)  # colour types that Pillow narrows from 16 to 8 bits


def read(path: Path, *, mask: bool = False) -> Volume:
    """Read a picture or a stack of them.

    Args:
        path: The file.
        mask: Read palette indices, and one channel where all three are equal.

    Raises:
        UnreadableFile: Damaged, or of a kind we do not read.
        RefusedError: Absurd size.
    """
    raw = bytes_of.load(path)
    try:
        array, notes = _decode(path, raw, mask)
    except UnreadableFile:
        raise
    except _DAMAGED as error:
        if isinstance(error, RefusedError):
            raise
        raise UnreadableFile(path, f"cannot be decoded ({error})") from error
    if mask and len(array) == 3 and np.array_equal(array[0], array[1]) and np.array_equal(array[0], array[2]):
        array = array[:1]
    return Volume(
        array=array,
        grid=Grid((array.shape[1], array.shape[2], array.shape[3]), canonical_affine((1.0, 1.0, 1.0))),
        spacing_known=False,
        sha256=hashlib.sha256(raw).hexdigest(),
        channels=("R", "G", "B") if len(array) == 3 else channel_names(len(array)),
        notes=notes,
    )


def _decode(path: Path, raw: bytes, mask: bool) -> tuple[np.ndarray, tuple[str, ...]]:
    if raw[:4] in _TIFF_MAGIC:
        return _tiff(path, raw, mask), ()
    with _picture(path, raw) as picture:
        return _pixels(path, picture, mask), _notes(raw)


def _picture(path: Path, raw: bytes) -> Image.Image:
    """A picture, turned upright as its EXIF tag says, which is how it was looked at when it was annotated."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(raw))
    except Image.DecompressionBombError as error:
        raise RefusedError(f"{path}: {error}; cut the picture into tiles first") from error
    check_size(path, picture.size)
    return ImageOps.exif_transpose(picture)


def _pixels(path: Path, picture: Image.Image, mask: bool) -> np.ndarray:
    """(C, 1, y, x)."""
    if picture.mode in _GREY or (picture.mode == "P" and mask):
        through = _GREY.get(picture.mode)
        grey = picture.convert(through).convert("L") if through else picture
        return native(np.array(grey))[None, None]
    if picture.mode not in _COLOUR:
        raise UnreadableFile(path, f"pictures of mode {picture.mode!r} are not read", "convert it to grey or RGB")
    colours = np.array(picture.convert("RGBA" if picture.mode in ("P", "PA") else "RGB"))[..., :3]
    return np.ascontiguousarray(np.moveaxis(colours, -1, 0))[:, None]


def _notes(raw: bytes) -> tuple[str, ...]:
    if raw.startswith(b"\x89PNG") and len(raw) > 25 and raw[24] == 16 and raw[25] in _DEEP_PNG_COLOUR:
        return ("16-bit colour was narrowed to 8 bits",)
    return ()


def _tiff(path: Path, raw: bytes, mask: bool) -> np.ndarray:
    """(C, z, y, x) by tifffile; compressions that it cannot undo alone (LZW, JPEG), and palettes, by Pillow."""
    with tifffile.TiffFile(io.BytesIO(raw)) as file:
        series = file.series[0]
        check_size(path, series.shape)
        page = series.keyframe
        if page.photometric == tifffile.PHOTOMETRIC.PALETTE and not mask:
            return _tiff_by_pillow(path, raw, mask)
        try:
            array = series.asarray()
        except ValueError:
            return _tiff_by_pillow(path, raw, mask)
        return _arranged(path, array, series.axes, alpha=len(page.extrasamples) > 0)


def _arranged(path: Path, array: np.ndarray, axes: str, alpha: bool) -> np.ndarray:
    """(C, z, y, x) from tifffile's axes: S and C are channels; Z, I and Q (pages of unknown meaning) a stack."""
    kept = [(axis, extent) for axis, extent in zip(axes, array.shape, strict=True) if extent > 1 or axis in "YX"]
    names = "".join("C" if axis == "S" else "Z" if axis in "IQ" else axis for axis, _ in kept)
    if len(set(names)) < len(names) or not set("YX") <= set(names) <= set("CZYX"):
        raise UnreadableFile(path, f"its axes {axes!r} of shape {array.shape} are not understood", "split the file")
    array = array.reshape([extent for _, extent in kept])
    array = np.transpose(array, [names.index(axis) for axis in "CZYX" if axis in names])
    for position, axis in enumerate("CZ"):
        if axis not in names:
            array = np.expand_dims(array, position)
    if alpha and len(array) in (2, 4):
        array = array[:-1]
    if array.dtype.kind not in "biuf":
        raise UnreadableFile(path, f"it holds {array.dtype} values", "convert them to real numbers")
    return np.ascontiguousarray(native(array))


def _tiff_by_pillow(path: Path, raw: bytes, mask: bool) -> np.ndarray:
    """A picture, or a stack of pages, which must be of one size."""
    with Image.open(io.BytesIO(raw)) as stack:
        pages = getattr(stack, "n_frames", 1)
        check_size(path, (pages, *stack.size))
        slices = []
        for page in range(pages):
            stack.seek(page)
            slices.append(_pixels(path, ImageOps.exif_transpose(stack), mask))
    return np.concatenate(slices, axis=1)


def write_label(path: Path, labels: np.ndarray, like: Path, *, colours: bool = False) -> None:
    """Write labels as a picture of the same size. See ``formats.write_label``."""
    expected = read(like).grid.shape
    if labels.shape != expected:
        raise GeometryError(f"{path}: labels of shape {labels.shape} do not fit {like}, which has {expected}")
    buffer = io.BytesIO()
    if colours:
        _save_colours(path, labels, buffer)
    elif path.suffix.lower() in _TIFF_SUFFIXES:
        values = labels.astype(smallest_dtype(labels))
        tifffile.imwrite(
            buffer, values[0] if len(values) == 1 else values, photometric="minisblack", compression="zlib"
        )
    else:
        limit = _check_range(path, labels)
        kind = np.uint8 if limit == 255 or int(labels.max()) <= 255 else np.uint16
        Image.fromarray(labels[0].astype(kind)).save(buffer, path.suffix[1:].upper())
    write_bytes(path, buffer.getvalue())


def _save_colours(path: Path, labels: np.ndarray, buffer: io.BytesIO) -> None:
    pixels = np.moveaxis(unpacked(labels), 0, -1)
    if path.suffix.lower() in _TIFF_SUFFIXES:
        tifffile.imwrite(buffer, pixels[0] if len(pixels) == 1 else pixels, photometric="rgb", compression="zlib")
        return
    if len(pixels) != 1:
        raise LabelError(
            f"{path}: {path.suffix} holds one slice, not {len(pixels)}; convert the images to TIFF or NIfTI"
        )
    Image.fromarray(pixels[0]).save(buffer, path.suffix[1:].upper())


def _check_range(path: Path, labels: np.ndarray) -> int:
    """The largest value that the format holds."""
    low, high = int(labels.min()), int(labels.max())
    limit = 255 if path.suffix.lower() == ".bmp" else 65535
    if len(labels) != 1 or low < 0 or high > limit:
        raise LabelError(
            f"{path}: {path.suffix} holds one slice of values 0 to {limit}, not {len(labels)} of {low} to {high}; "
            "convert the images to TIFF or NIfTI"
        )
    return limit
