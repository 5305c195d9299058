"""Files to arrays with geometry, and labels back to files. One reader per family of formats, chosen by suffix.

volume = formats.read(path)                           # (C, z, y, x) in file order, with its grid
formats.write_label(out, labels, like=path)           # on the very same grid, under the same header
"""

from pathlib import Path
from types import ModuleType

import numpy as np

from autoseg.errors import UnreadableFile, UsageError
from autoseg.formats import itk, nifti, raster
from autoseg.formats.volume import Structures, Volume

__all__ = [
    "Structures",
    "Volume",
    "holds_structures",
    "is_image",
    "mask_suffix",
    "read",
    "read_structures",
    "stem",
    "suffix",
    "write_label",
]

READERS: dict[str, ModuleType] = {
    ".nii.gz": nifti,
    ".nii": nifti,
    ".nrrd": itk,
    ".nhdr": itk,
    ".mha": itk,
    ".mhd": itk,
    ".png": raster,
    ".jpg": raster,
    ".jpeg": raster,
    ".bmp": raster,
    ".tif": raster,
    ".tiff": raster,
}
"""Every suffix that is read, and by what."""

_LOSSY = (".jpg", ".jpeg")


def suffix(path: Path) -> str:
    """The suffix that tells the format, in lower case, ``.nii.gz`` in one piece; empty if it is no image.

    >>> suffix(Path("a/case.v1.nii.gz")), suffix(Path("b.PNG")), suffix(Path("c.txt"))
    ('.nii.gz', '.png', '')
    """
    name = path.name.lower()
    return next((known for known in READERS if name.endswith(known)), "")


def stem(path: Path) -> str:
    """The file's name without its image suffix.

    >>> stem(Path("a/case.v1.nii.gz")), stem(Path("b.PNG"))
    ('case.v1', 'b')
    """
    return path.name[: len(path.name) - len(suffix(path))]


def is_image(path: Path) -> bool:
    """Is this, by its name, an image we read? Hidden files (also macOS's ``._x.nii.gz``) are not."""
    return bool(suffix(path)) and not path.name.startswith(".")


def mask_suffix(path: Path) -> str:
    """The suffix for labels of this image: its own, or ``.png`` where its format would blur them."""
    return ".png" if suffix(path) in _LOSSY else suffix(path)


def read(path: Path, *, mask: bool = False) -> Volume:
    """Read an image or label file, once.

    Args:
        path: The file.
        mask: The file holds labels: a palette's indices are read instead of its colours, and grey stored as colour
            becomes one channel. Makes no difference to medical formats.

    Raises:
        UnreadableFile: Missing, cut short, damaged, of an unknown format.
        GeometryError: The header gives no usable affine.
        RefusedError: Its header declares an absurd size, or it is a decompression bomb.
    """
    reader = READERS.get(suffix(path))
    if reader is None:
        raise UnreadableFile(path, "of no known image format", f"convert it to one of {', '.join(READERS)}")
    volume: Volume = raster.read(path, mask=mask) if reader is raster else reader.read(path)
    return volume


def holds_structures(path: Path) -> bool:
    """Whether a file holds named masks that may overlap (DICOM SEG, RTSTRUCT) instead of voxel values."""
    return False


def read_structures(path: Path, like: Volume) -> Structures:
    """Read named masks onto their own grid; ``like`` is the image they belong to.

    Raises:
        UnreadableFile: No such format is read.
    """
    raise UnreadableFile(path, "holds no structures that can be read")


def write_label(path: Path, labels: np.ndarray, like: Path, *, colours: bool = False) -> None:
    """Write a label volume on the exact grid of another file, atomically.

    Args:
        path: Where to; of the same family of formats as ``like``. See ``mask_suffix`` for images from JPEG.
        labels: (z, y, x) integer file values in the axis order of ``like``. Stored in the narrowest of uint8, int16,
            uint16, int32, int64 that holds them.
        like: The image the labels belong to; its header is taken over.
        colours: The values are 0xRRGGBB and are written as colours of 8 bits per channel.

    Raises:
        GeometryError: The shapes differ.
        LabelError: The format cannot hold the values.
        UsageError: The suffix is of another family, or would blur the labels.
    """
    writer = READERS.get(suffix(path))
    if writer is None or suffix(path) in _LOSSY or writer is not READERS.get(suffix(like)):
        raise UsageError(f"{path}: cannot store labels of {like.name} so; use the suffix {mask_suffix(like)!r}")
    writer.write_label(path, labels, like, colours=colours)
