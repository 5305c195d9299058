"""NIfTI-1 and NIfTI-2, compressed or not, whatever the suffix says.

nibabel parses the header; the bytes are read once, hashed, and decompressed with their checksum verified. Predictions
get the input's own header with nothing changed but data type, scaling and display range, so that affine, sform, qform,
codes, pixdim and units survive bit for bit.

The affine is the sform where its code is set, else the qform where its code is set, else pixdim alone (orientation
unknown, assumed as nibabel does). A form that no grid can have (singular, NaN) is passed over, with a note.
"""

import hashlib
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError

from autoseg.errors import GeometryError, UnreadableFile
from autoseg.formats import content as bytes_of
from autoseg.formats.volume import Volume, channel_names, check_size, native, smallest_dtype, unpacked
from autoseg.records import write_bytes
from autoseg.volumes.geometry import Grid

_LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_ARRAY_FROM_FILE = [2, 1, 0, 3]  # file indices are (x, y, z), array indices (z, y, x)
_HEADER_BYTES = 544  # of NIfTI-2 with its extension flag; NIfTI-1 needs less
_RGB_CODES = (128, 2304)  # data types RGB24 and RGBA32 (alpha is dropped)
_RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
_UNIT_NAMES = {1: "metres", 3: "micrometres"}


def read(path: Path) -> Volume:
    """Read a NIfTI file.

    Raises:
        UnreadableFile: Cut short, damaged, or not NIfTI.
        GeometryError: No usable affine.
        RefusedError: Absurd size, or a decompression bomb.
    """
    raw = bytes_of.load(path)
    header = _header(path, raw)
    shape = _shape(path, header)
    kind = header.get_data_dtype()
    voxels = int(np.prod(shape, dtype=np.int64))
    offset = int(header["vox_offset"]) or header.sizeof_hdr + 4
    promised = offset + voxels * kind.itemsize
    data = bytes_of.gunzip_exactly(path, raw, promised) if raw.startswith(bytes_of.GZIP_MAGIC) else raw
    if len(data) < promised:
        raise UnreadableFile(path, f"the data end after {len(data):,} bytes; the header promises {promised:,}")
    array = _channels_first(path, np.frombuffer(data, kind, voxels, offset), shape)
    array, scaling_notes = _scaled(header, array)
    affine, notes = _affine(path, header)
    return Volume(
        array=array,
        grid=Grid((array.shape[1], array.shape[2], array.shape[3]), _LPS_FROM_RAS @ affine[:, _ARRAY_FROM_FILE]),
        spacing_known=_says_spacing(header),
        sha256=hashlib.sha256(raw).hexdigest(),
        channels=("R", "G", "B") if int(header["datatype"]) in _RGB_CODES else channel_names(len(array)),
        notes=(*notes, *scaling_notes),
    )


def _header(path: Path, raw: bytes) -> nib.Nifti1Header:
    """The header of NIfTI bytes, compressed or not, of either version and byte order."""
    data = bytes_of.gunzip(path, raw, _HEADER_BYTES)[0] if raw.startswith(bytes_of.GZIP_MAGIC) else raw
    for kind in (nib.Nifti1Header, nib.Nifti2Header):
        block = data[: kind.sizeof_hdr]
        if len(block) < kind.sizeof_hdr or not kind.may_contain_header(block):
            continue
        try:
            header = kind(block, check=False)
            header.get_data_dtype()
        except (HeaderDataError, KeyError) as error:
            raise UnreadableFile(path, f"its NIfTI header is damaged ({error})") from error
        if header["magic"].item().startswith(b"n+"):
            return header
    todo = "convert it to .nii.gz, or give it the suffix of its format"
    raise UnreadableFile(path, "this is not a single-file NIfTI image", todo)


def _shape(path: Path, header: nib.Nifti1Header) -> tuple[int, ...]:
    """Extents along the file's axes x, y, z and beyond; at least three."""
    axes = int(header["dim"][0])
    if not 1 <= axes <= 7:
        raise UnreadableFile(path, f"its header declares {axes} axes, expected 1 to 7")
    shape = [int(extent) for extent in header["dim"][1 : axes + 1]]
    check_size(path, shape)
    return tuple(shape + [1] * (3 - len(shape)))


def _channels_first(path: Path, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(C, z, y, x) of values with x fastest; a view where type and byte order allow."""
    extra = [extent for extent in shape[3:] if extent > 1]
    colours = values.dtype.names
    if len(extra) > 1 or (extra and colours):
        raise UnreadableFile(path, f"its shape {shape} has more than one axis beside x, y and z", "split the file")
    array = values.reshape((extra[0] if extra else 1, shape[2], shape[1], shape[0]))
    if colours:
        return np.stack([array[0][name] for name in colours[:3]])
    if array.dtype.kind == "c":
        raise UnreadableFile(path, "its voxels are complex numbers", "store magnitude (or phase) as real numbers")
    return native(array)


def _scaled(header: nib.Nifti1Header, array: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Values times slope plus intercept. Slope 0 or NaN means "not scaled" (NIfTI-1 standard, field scl_slope)."""
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0.0 or not np.isfinite(slope) or (slope == 1.0 and intercept == 0.0):
        return array, ()
    notes: tuple[str, ...] = ()
    if not np.isfinite(intercept):
        notes, intercept = (f"scl_inter is {intercept}; taken as 0",), 0.0
    kind = np.float32 if array.dtype.itemsize <= 2 or array.dtype == np.float32 else np.float64
    return (array * kind(slope) + kind(intercept)).astype(np.float32, copy=False), notes


def _affine(path: Path, header: nib.Nifti1Header) -> tuple[np.ndarray, tuple[str, ...]]:
    """Index (x, y, z) to world RAS mm, and what is odd about it."""
    unit = int(header["xyzt_units"]) % 8
    notes = []
    if unit in _UNIT_NAMES:
        notes.append(f"the header gives lengths in {_UNIT_NAMES[unit]}; they are taken as millimetres")
    forms = (("sform", int(header["sform_code"])), ("qform", int(header["qform_code"])))
    for name, code in forms:
        if code <= 0:
            continue
        affine = header.get_sform() if name == "sform" else _qform(header)
        if _usable(affine):
            return affine, tuple(notes)
        notes.append(f"the {name} is no usable affine and is passed over")
    affine = header.get_base_affine()
    if not _usable(affine):
        spacing = tuple(float(value) for value in header["pixdim"][1:4])
        raise GeometryError(
            f"{path}: neither sform nor qform nor pixdim {spacing} places the voxels; repair the header, "
            "e.g. copy it from the original image"
        )
    notes.append("the header gives no orientation; x is taken to run to the left, y to anterior, z to superior")
    return affine, tuple(notes)


def _qform(header: nib.Nifti1Header) -> np.ndarray:
    try:
        return header.get_qform()
    except (HeaderDataError, ValueError):  # pixdim of 0 or below, or a quaternion longer than 1
        return np.full((4, 4), np.nan)


def _usable(affine: np.ndarray) -> bool:
    if not np.all(np.isfinite(affine)):
        return False
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    return bool(np.all(spacing > 0)) and bool(abs(np.linalg.det(affine[:3, :3] / spacing)) > 1e-3)


def _says_spacing(header: nib.Nifti1Header) -> bool:
    """A header with neither form set and unit voxels is a placeholder."""
    coded = int(header["qform_code"]) > 0 or int(header["sform_code"]) > 0
    return coded or bool(np.any(np.abs(header["pixdim"][1:4] - 1.0) > 1e-6))


def write_label(path: Path, labels: np.ndarray, like: Path, *, colours: bool = False) -> None:
    """Write labels under the header of another NIfTI file. See ``formats.write_label``."""
    header = _header(like, bytes_of.load(like))
    expected = _shape(like, header)[2::-1]
    if labels.shape != expected:
        raise GeometryError(f"{path}: labels of shape {labels.shape} do not fit {like}, which has {expected}")
    if colours:
        labels, kind = np.ascontiguousarray(np.moveaxis(unpacked(labels), 0, -1)).view(_RGB).squeeze(-1), _RGB
    else:
        kind = smallest_dtype(labels)
    header.set_data_dtype(kind)
    if int(header["dim"][0]) > 3:  # channels of the image; the label has none
        header["dim"][0] = 3
        header["dim"][4:] = 1
        header["intent_code"] = 0
    header["scl_slope"], header["scl_inter"] = 1.0, 0.0
    header["cal_min"], header["cal_max"] = 0.0, 0.0
    header["vox_offset"] = header.sizeof_hdr + 4  # extensions are left behind: they describe the image, or the patient
    body = labels.astype(kind.newbyteorder(header.endianness)).tobytes()
    data = header.binaryblock + b"\0\0\0\0" + body
    write_bytes(path, bytes_of.gzip(data) if path.name.lower().endswith(".gz") else data)
