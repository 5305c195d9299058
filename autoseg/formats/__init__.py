"""Files to arrays with geometry, and labels back to files. One reader per family of formats.

volume = formats.read(path)                           # (C, z, y, x) in file order, with its grid
formats.write_label(out, labels, like=path)           # on the very same grid, under the same header
structures = formats.read_structures(seg, volume)     # DICOM-SEG or RTSTRUCT: named masks on the volume's grid

By its suffix a file is known to be an image; what it is is decided by its first bytes, since names lie. DICOM is known
by content alone, as its files often have no suffix; a series is addressed by the path of any of its files.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np

from autoseg.errors import UnreadableFile, UsageError
from autoseg.formats import content, label_names, metaimage, nifti, nrrd, raster, tiff
from autoseg.formats.dicom import sniff
from autoseg.formats.volume import Repair, Structures, Volume

__all__ = [
    "DICOM_CONTOURS",
    "DICOM_SEG",
    "Repair",
    "Structures",
    "Volume",
    "files",
    "holds_segments",
    "holds_structures",
    "is_dicom",
    "is_image",
    "label_names",
    "mask_suffix",
    "may_be_dicom",
    "read",
    "read_label",
    "read_structures",
    "stem",
    "suffix",
    "write_label",
]

READERS: dict[str, ModuleType] = {
    ".nii.gz": nifti,
    ".nii": nifti,
    ".hdr": nifti,
    ".hdr.gz": nifti,
    ".nrrd": nrrd,
    ".nhdr": nrrd,
    ".mha": metaimage,
    ".mhd": metaimage,
    ".png": raster,
    ".jpg": raster,
    ".jpeg": raster,
    ".bmp": raster,
    ".tif": tiff,
    ".tiff": tiff,
}
"""Every suffix that is read, and by what."""

_FAMILIES = {nifti: "NIfTI", nrrd: "NRRD", metaimage: "MetaImage", tiff: "TIFF", raster: "PNG, JPEG or BMP"}
_LOSSY = (".jpg", ".jpeg")
DICOM_SEG = ".seg.dcm"
"""Suffix of the masks that we write for DICOM series."""
DICOM_CONTOURS = ".rtstruct.dcm"
"""Suffix of contours, which are written instead if this is the suffix asked for."""
_MAGIC_BYTES = 512


def suffix(path: Path) -> str:
    """The suffix that tells the format, in lower case, ``.nii.gz`` in one piece; empty if it is no image.

    >>> suffix(Path("a/case.v1.nii.gz")), suffix(Path("b.PNG")), suffix(Path("c.txt"))
    ('.nii.gz', '.png', '')
    """
    name = path.name.lower()
    return next((known for known in READERS if name.endswith(known)), "")


def stem(path: Path) -> str:
    """The file's name without its image suffix; never empty or made of dots alone, which would name a folder.

    >>> stem(Path("a/case.v1.nii.gz")), stem(Path("b.PNG")), stem(Path("..nii.gz"))
    ('case.v1', 'b', '__nii_gz')
    """
    name = path.name[: len(path.name) - len(suffix(path))]
    return name if name.strip(".") else path.name.replace(".", "_")


def is_dicom(path: Path) -> bool:
    """Is this a DICOM file, by its content? Files of other formats are not opened."""
    return may_be_dicom(path) and sniff.is_dicom(path)


def may_be_dicom(path: Path) -> bool:
    """Could this be a DICOM file, by its name? Nothing is opened."""
    return not suffix(path) and sniff.may_be_dicom(path)


def is_image(path: Path) -> bool:
    """Is this, by its name, an image we read? Hidden files (also macOS's ``._x.nii.gz``) are not."""
    return bool(suffix(path)) and not path.name.startswith(".")


def mask_suffix(path: Path) -> str:
    """The suffix for labels of this image: its own, or ``.png`` where its format would blur them; for DICOM that of
    a segmentation.
    """
    if is_dicom(path):
        return DICOM_SEG
    return ".png" if suffix(path) in _LOSSY else suffix(path)


def read(path: Path, *, mask: bool = False) -> Volume:
    """Read an image or label file, once.

    Args:
        path: The file.
            Of a DICOM series, any file.
        mask: The file holds labels: a palette's indices are read instead of its colours, and grey stored as colour
            becomes one channel. Makes no difference to medical formats.

    Raises:
        UnreadableFile: Missing, cut short, damaged, of an unknown format.
        GeometryError: The header gives no usable affine.
        RefusedError: Its header declares an absurd size, it is a decompression bomb, or it points out of its folder.
        DoesNotFit: Larger than the memory.
    """
    if is_dicom(path):
        from autoseg.formats.dicom import series

        return series.read(path)
    named = READERS.get(suffix(path))
    if named is None:
        raise UnreadableFile(path, "of no known image format", f"convert it to DICOM or one of {', '.join(READERS)}")
    raw = content.load(path)
    reader = _family(path, raw) or named
    volume: Volume = reader.read(path, raw, mask=mask) if reader in (raster, tiff) else reader.read(path, raw)
    odd = _odd_name(path, raw, reader, named)
    return replace(volume, repairs=(*odd, *volume.repairs)) if odd else volume


def files(path: Path) -> tuple[Path, ...]:
    """The files that hold this image: itself, or all slices of its DICOM series.

    Raises:
        DataError: The series cannot be put together.
    """
    if not is_dicom(path) or holds_structures(path):
        return (path,)
    from autoseg.formats.dicom import series

    return series.files(path)


def holds_structures(path: Path) -> bool:
    """Whether a file holds named structures drawn on an image (DICOM-SEG, RTSTRUCT) rather than voxel values."""
    if not is_dicom(path):
        return False
    from autoseg.formats.dicom import structures

    return structures.holds(path)


def holds_segments(path: Path) -> bool:
    """Whether a file holds structures as voxels (DICOM-SEG)."""
    if not is_dicom(path):
        return False
    from autoseg.formats.dicom import headers

    return headers.modality(path) == "SEG"


def read_structures(path: Path, like: Volume) -> Structures:
    """Read a file that ``holds_structures``, once.

    Args:
        path: DICOM-SEG or RTSTRUCT.
        like: The image it was drawn on, as it was read (file order).

    Returns:
        Masks on the grid of ``like``; they may overlap.

    Raises:
        UnreadableFile: Damaged, or without structures.
        GeometryError: Nothing of it lies in the image.
        LabelError: It contradicts itself.
    """
    from autoseg.formats.dicom import structures

    return structures.read(path, like)


def read_label(path: Path, like: Path, names: Mapping[int, str]) -> Volume:
    """Read back what ``write_label`` wrote: file values on the grid of ``like``.

    Args:
        path: The label file.
        like: The image that it was written for; opened only if the label depends on it, as DICOM's do.
        names: What the values mean.

    Raises:
        UnreadableFile: A file is damaged.
        GeometryError: The label does not lie in the image.
        LabelError: It holds a structure that ``names`` has not.
    """
    if not holds_structures(path):
        return read(path)
    from autoseg.formats.dicom import structures

    return structures.as_label(path, read(like), names)


def write_label(
    path: Path, labels: np.ndarray, like: Path, *, names: Mapping[int, str] | None = None, colours: bool = False
) -> None:
    """Write a label volume on the exact grid of another file, atomically.

    Args:
        path: Where to; of the same family of formats as ``like``. See ``mask_suffix`` for images from JPEG. For a
            DICOM series ``.seg.dcm``, or ``.rtstruct.dcm`` for contours.
        labels: (z, y, x) integer file values in the axis order of ``like``. Stored in the narrowest of uint8, int16,
            uint16, int32, int64 that holds them.
        like: The image the labels belong to; its header is taken over.
        names: What the values mean, for formats that keep names (DICOM).
        colours: The values are 0xRRGGBB and are written as colours of 8 bits per channel.

    Raises:
        GeometryError: The shapes differ.
        LabelError: The format cannot hold the values.
        UsageError: The suffix is of another family, or would blur the labels; or the extra ``dicom`` is not installed.
    """
    if path.name.endswith((DICOM_SEG, DICOM_CONTOURS)) and is_dicom(like):
        from autoseg.formats.dicom import outlining, writing

        write = outlining.contours if path.name.endswith(DICOM_CONTOURS) else writing.segmentation
        return write(path, labels, like, names or {})
    writer = READERS.get(suffix(path))
    if writer is None or suffix(path) in _LOSSY or writer is not READERS.get(suffix(like)):
        raise UsageError(f"{path}: cannot store labels of {like.name} so; use the suffix {mask_suffix(like)!r}")
    writer.write_label(path, labels, like, colours=colours)
    return None


def _family(path: Path, raw: memoryview) -> ModuleType | None:
    """The reader for what the bytes are; None if they do not tell, as with Analyze."""
    packed = content.is_gzip(raw)
    start = content.beginning(path, raw, _MAGIC_BYTES) if packed else bytes(raw[:_MAGIC_BYTES])
    return next((reader for reader in ((nifti,) if packed else _FAMILIES) if reader.is_mine(start)), None)


def _odd_name(path: Path, raw: memoryview, reader: ModuleType, named: ModuleType) -> tuple[Repair, ...]:
    """What to say of a file whose name promises something else than its bytes are."""
    if reader is not named:
        return (Repair(f"by its content this is {_FAMILIES[reader]}, whatever its name says", "read as such"),)
    packed, ending = content.is_gzip(raw), path.name.lower().endswith(".gz")
    if reader is nifti and packed != ending:
        return (Repair(f"the file is {'' if packed else 'not '}compressed, against its name", "read as it is"),)
    return ()
