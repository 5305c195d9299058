"""PNG, JPEG and BMP by Pillow: pictures without a world, so one pixel is one millimetre, unknown.

Colour gives the channels R, G, B; grey is one channel; alpha is dropped, and that is told unless it is an opaque one
beside colour, as many programs write it. A picture is one slice (z = 1). Rows run to posterior and columns to the
left, so pictures are canonical as they are. Colour of 16 bits, which Pillow would narrow, is read by SimpleITK.
"""

import io
import math
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from autoseg.errors import AutosegError, GeometryError, LabelError, RefusedError, UnreadableFile
from autoseg.formats import content as bytes_of
from autoseg.formats.volume import Repair, Volume, channel_names, check_size, native, smallest_dtype, unpacked
from autoseg.records import write_bytes
from autoseg.volumes.geometry import Grid, canonical_affine

DAMAGED = (OSError, SyntaxError, ArithmeticError, LookupError, ValueError, TypeError, AttributeError, EOFError,
           RuntimeError, AssertionError, MemoryError, struct.error, zlib.error)  # fmt: skip
"""What decoders raise when bytes make no sense to them."""

_MAGICS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM")
_GREY = {"1": None, "L": None, "I": None, "F": None, "I;16": None, "I;16B": None, "I;16L": None, "LA": "L", "La": "LA"}
_COLOUR = ("RGB", "RGBA", "RGBa", "RGBX", "P", "PA", "CMYK", "YCbCr", "LAB", "HSV")
_DEEP_COLOUR = (2, 6)  # PNG's colour types that Pillow narrows from 16 to 8 bits
_UPRIGHT = 1
_ORIENTATION_TAG = 0x0112
_FORMATS = ("PNG", "JPEG", "BMP", "DIB", "TIFF")
_PIXELS_PER_BYTE = {"PNG": 8 * 1040, "JPEG": 4096, "BMP": 255, "DIB": 255}
"""More than this no byte of a file can stand for; who declares them has lost the rest of the file, or lies."""


def is_mine(start: bytes) -> bool:
    """Whether a file begins as PNG, JPEG or BMP does."""
    return start.startswith(_MAGICS)


def read(path: Path, raw: memoryview, *, mask: bool = False) -> Volume:
    """Read a picture.

    Args:
        path: The file.
        raw: Its bytes.
        mask: Read palette indices, and one channel where all three are equal.

    Raises:
        UnreadableFile: Damaged, or of a kind we do not read.
        RefusedError: Absurd size.
    """
    try:
        with picture(path, raw) as opened:
            array, repairs = pixels(path, opened, mask) if mask or not _is_deep(raw, opened) else _deep(path, opened)
            notes = _turned(raw)
    except AutosegError:
        raise
    except DAMAGED as error:
        raise UnreadableFile(path, f"cannot be decoded ({type(error).__name__}: {error})") from error
    array = one_channel(array) if mask else array
    return Volume(
        array=array,
        grid=Grid((array.shape[1], array.shape[2], array.shape[3]), canonical_affine((1.0, 1.0, 1.0))),
        spacing_known=False,
        sha256=bytes_of.digest(raw),
        channels=("R", "G", "B") if len(array) == 3 else channel_names(len(array)),
        notes=notes,
        repairs=repairs,
    )


def one_channel(array: np.ndarray) -> np.ndarray:
    """Grey stored as colour as one channel; (C, z, y, x)."""
    equal = len(array) == 3 and np.array_equal(array[0], array[1]) and np.array_equal(array[0], array[2])
    return array[:1] if equal else array


def picture(path: Path, raw: memoryview) -> Image.Image:
    """A picture, turned upright as its EXIF tag says, which is how it was looked at when it was annotated."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            opened = Image.open(io.BytesIO(raw), formats=_FORMATS)
    except Image.DecompressionBombError as error:
        raise RefusedError(f"{path}: {error}; cut the picture into tiles first") from error
    check_size(path, opened.size, 4)
    width, height = opened.size
    if width * height > _PIXELS_PER_BYTE.get(opened.format or "", math.inf) * len(raw):
        raise UnreadableFile(path, f"its {len(raw):,} bytes cannot hold the {width} x {height} pixels it declares")
    return ImageOps.exif_transpose(opened)


def _turned(raw: memoryview) -> tuple[str, ...]:
    """A remark where ``picture`` turned it: masks drawn by programs that do not look at the tag do not fit."""
    with Image.open(io.BytesIO(raw), formats=_FORMATS) as as_stored:
        tag = as_stored.getexif().get(_ORIENTATION_TAG, _UPRIGHT)
    return (f"turned upright, as its EXIF orientation {tag} says",) if tag in range(2, 9) else ()


def pixels(path: Path, opened: Image.Image, mask: bool) -> tuple[np.ndarray, tuple[Repair, ...]]:
    """(C, 1, y, x), and what was done to get them."""
    repairs = _alpha(opened)
    if opened.mode in _GREY or (opened.mode == "P" and mask):
        through = _GREY.get(opened.mode)
        grey = opened.convert(through).convert("L") if through else opened
        return native(np.array(grey))[None, None], repairs
    if opened.mode not in _COLOUR:
        raise UnreadableFile(path, f"pictures of mode {opened.mode!r} are not read", "convert it to grey or RGB")
    colours = np.array(opened.convert("RGBA" if opened.mode in ("P", "PA") else "RGB"))[..., :3]
    if opened.mode == "CMYK":
        repairs = (Repair("the picture has inks (CMYK) instead of light", "converted to red, green and blue"),)
    return np.ascontiguousarray(np.moveaxis(colours, -1, 0))[:, None], repairs


def _alpha(opened: Image.Image) -> tuple[Repair, ...]:
    """What to say of an alpha channel. Beside colour an opaque one is a habit of programs and means nothing."""
    if opened.mode not in ("LA", "La", "PA", "RGBA", "RGBa"):
        return ()
    low, high = opened.getchannel(opened.getbands()[-1]).getextrema()
    opaque = low == high == 255
    if opaque and opened.mode not in ("LA", "La"):
        return ()
    return (Repair(f"the picture has an alpha channel, {'opaque everywhere' if opaque else 'not opaque'}", "dropped"),)


def _is_deep(raw: memoryview, opened: Image.Image) -> bool:
    """Colour of 16 bits that stands upright."""
    png = bytes(raw[:4]) == _MAGICS[0][:4] and len(raw) > 25
    return png and raw[24] == 16 and raw[25] in _DEEP_COLOUR and opened.getexif().get(_ORIENTATION_TAG, 1) == _UPRIGHT


def _deep(path: Path, opened: Image.Image) -> tuple[np.ndarray, tuple[Repair, ...]]:
    """(3, 1, y, x) uint16."""
    import SimpleITK  # noqa: PLC0415  a large library for a rare kind of file

    opened.load()  # damaged data are found by Pillow, which also looks at the checksums
    array = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path), imageIO="PNGImageIO"))
    return np.ascontiguousarray(np.moveaxis(array[..., :3], -1, 0))[:, None], _alpha(opened)


def write_label(path: Path, labels: np.ndarray, like: Path, *, colours: bool = False) -> None:
    """Write labels as a picture of the same size. See ``formats.write_label``."""
    width, height = picture(like, bytes_of.load(like)).size
    if labels.shape != (1, height, width):
        raise GeometryError(f"{path}: labels of shape {labels.shape} do not fit {like}, which has {(1, height, width)}")
    buffer = io.BytesIO()
    if colours:
        Image.fromarray(np.moveaxis(unpacked(labels), 0, -1)[0]).save(buffer, path.suffix[1:].upper())
        write_bytes(path, buffer.getvalue())
        return
    low, high = int(labels.min()), int(labels.max())
    limit = 255 if path.suffix.lower() == ".bmp" else 65535
    if low < 0 or high > limit:
        raise LabelError(
            f"{path}: {path.suffix} holds values 0 to {limit}, not {low} to {high}; convert the images to TIFF or NIfTI"
        )
    kind = smallest_dtype(labels)
    Image.fromarray(labels[0].astype(kind if kind == np.uint8 else np.uint16)).save(buffer, path.suffix[1:].upper())
    write_bytes(path, buffer.getvalue())
