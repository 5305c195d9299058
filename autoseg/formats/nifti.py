"""NIfTI-1 and NIfTI-2, compressed or not, in one file or as a pair, and Analyze 7.5, whatever the suffix says.

nibabel parses the header; the bytes are read once, hashed, and decompressed with their checksum verified. Predictions
get the input's own header with nothing changed but data type, scaling and display range, so that affine, sform, qform,
codes, pixdim and units survive bit for bit.
"""

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError

from autoseg.errors import GeometryError, UnreadableFile
from autoseg.formats import content as bytes_of
from autoseg.formats import voxelfile
from autoseg.formats.affine import Affine
from autoseg.formats.volume import Volume, channel_names, check_size, native, smallest_dtype, unpacked
from autoseg.records import write_bytes
from autoseg.volumes.geometry import Grid

_LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_ARRAY_FROM_FILE = [2, 1, 0, 3]  # file indices are (x, y, z), array indices (z, y, x)
_HEADER_BYTES = 544  # of NIfTI-2 with its extension flag; NIfTI-1 needs less
_VECTOR_INTENTS = (*range(1001, 2000), 2003, 2004)  # the fourth axis is declared to be no time; 2003 and on: colours
_TIME_UNITS = 0b111000  # the bits of xyzt_units that tell them
_SINGLE, _PAIR = b"n+", b"ni"
_RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])


@dataclass(frozen=True)
class _Header:
    """A header as nibabel reads it, and whether the voxels lie in a second file."""

    fields: nib.AnalyzeHeader
    detached: bool

    @property
    def offset(self) -> int:
        """Where the voxels begin; -1 if the field is damaged."""
        given = float(self.fields["vox_offset"])
        if not np.isfinite(given) or given < 0:
            return -1
        return int(given) if self.detached or given else self.fields.sizeof_hdr + 4


def is_mine(start: bytes) -> bool:
    """Whether a file begins as NIfTI does. Analyze has no magic and is known by its suffix only."""
    return start[344:347] in (b"n+1", b"ni1") or start[4:7] in (b"n+2", b"ni2")


def read(path: Path, raw: memoryview) -> Volume:
    """Read a NIfTI or Analyze file.

    Raises:
        UnreadableFile: Cut short, damaged, or neither.
        GeometryError: No usable affine.
        RefusedError: Absurd size, or a decompression bomb.
        DoesNotFit: Larger than the memory.
    """
    header = _header(path, raw)
    shape = _shape(path, header.fields)
    source = _voxel_file(path) if header.detached else path
    packed = voxelfile.load(path, source) if header.detached else raw
    sha256 = bytes_of.digesting(raw, packed) if header.detached else bytes_of.digesting(raw)
    values, notes = _values(source, packed, header, shape)
    array = _scaled(path, header.fields, _channels_first(path, values, shape))
    open_axis4 = len(shape) > 3 and shape[3] > 1 and not _holds_vectors(header.fields)
    if open_axis4:
        notes += _named_time(header.fields, len(array))
    affine = Affine(path, header.fields, shape)
    return Volume(
        array=array,
        grid=Grid((array.shape[1], array.shape[2], array.shape[3]), _LPS_FROM_RAS @ affine.matrix[:, _ARRAY_FROM_FILE]),
        spacing_known=affine.spacing_known,
        sha256=sha256(),
        channels=("R", "G", "B") if values.dtype.names else channel_names(len(array)),
        notes=(*affine.notes, *notes),
        repairs=tuple(affine.repairs),
        open_axis4=open_axis4,
    )


# ---------------------------------------------------------------------------------------------------------- header


def _header(path: Path, raw: memoryview) -> _Header:
    """The header of bytes, compressed or not, of any version and byte order."""
    data = bytes_of.beginning(path, raw, _HEADER_BYTES) if bytes_of.is_gzip(raw) else bytes(raw[:_HEADER_BYTES])
    kinds = (nib.Nifti1Header, nib.Nifti2Header, *([nib.Spm2AnalyzeHeader] if _is_pair(path) else []))
    for kind in kinds:
        block = data[: kind.sizeof_hdr]
        if len(block) < kind.sizeof_hdr or not kind.may_contain_header(block):
            continue
        try:
            fields = kind(block, check=False)
            fields.get_data_dtype()
        except (HeaderDataError, KeyError, ValueError) as error:
            raise UnreadableFile(path, f"its header declares a data type that is not read ({error})") from error
        magic = fields["magic"].item() if "magic" in fields else _PAIR
        if magic.startswith((_SINGLE, _PAIR)):
            return _Header(fields, detached=magic.startswith(_PAIR))
    if len(data) < nib.Nifti1Header.sizeof_hdr:
        what = "gzip stream" if bytes_of.is_gzip(raw) else "header"
        raise UnreadableFile(path, f"its {what} ends early, after {len(data)} bytes of the 348 that a header has")
    if is_mine(data):
        raise UnreadableFile(path, "its NIfTI header is damaged: its size or number of axes is none")
    todo = "convert it to .nii.gz, or give it the suffix of its format"
    raise UnreadableFile(path, "this is not a NIfTI image", todo)


def _is_pair(path: Path) -> bool:
    return path.name.lower().endswith((".hdr", ".hdr.gz"))


def _voxel_file(path: Path) -> Path:
    """The other half of a pair, beside its header: ``x.img``, compressed or not."""
    stem = path.name[: path.name.lower().rfind(".hdr")] if _is_pair(path) else path.name.split(".")[0]
    candidates = [path.with_name(stem + ending) for ending in (".img", ".img.gz", ".IMG")]
    return next((candidate for candidate in candidates if candidate.exists()), candidates[0])


def _shape(path: Path, header: nib.AnalyzeHeader) -> tuple[int, ...]:
    """Extents along the file's axes x, y, z and beyond; at least three."""
    axes = int(header["dim"][0])
    if not 1 <= axes <= 7:
        raise UnreadableFile(path, f"its header declares {axes} axes, expected 1 to 7")
    shape = [int(extent) for extent in header["dim"][1 : axes + 1]]
    check_size(path, shape, max(1, header.get_data_dtype().itemsize))
    return tuple(shape + [1] * (3 - len(shape)))


def _holds_vectors(header: nib.AnalyzeHeader) -> bool:
    """Whether the axes beyond z are declared to be values of one voxel. By the book those lie along a fifth axis."""
    return "intent_code" in header and int(header["intent_code"]) in _VECTOR_INTENTS


def _named_time(header: nib.AnalyzeHeader, count: int) -> list[str]:
    """A remark where the header calls the fourth axis time."""
    if "xyzt_units" not in header:
        return []
    unit, step = int(header["xyzt_units"]) & _TIME_UNITS, float(header["pixdim"][4])
    if not unit or not np.isfinite(step) or step <= 0:
        return []
    return [f"its {count} volumes are {step:g} apart in time by the header"]


# ---------------------------------------------------------------------------------------------------------- voxels


def _values(path: Path, raw: memoryview, header: _Header, shape: tuple[int, ...]) -> tuple[np.ndarray, list[str]]:
    """All values in file order, and what is odd about their number."""
    kind = header.fields.get_data_dtype()
    if kind.itemsize == 0 or kind.kind not in "biufcV":
        raise UnreadableFile(path, f"its header declares values of type {kind}, which are no numbers")
    voxels, offset = int(np.prod(shape, dtype=np.int64)), header.offset
    promised = offset + voxels * kind.itemsize
    if offset < 0 or offset > promised:
        raise UnreadableFile(path, f"its header says that the voxels begin at byte {header.fields['vox_offset']}")
    data: memoryview | np.ndarray = raw
    longer = len(raw) > promised
    if bytes_of.is_gzip(raw):
        data, longer = bytes_of.unfold(path, raw, promised)
    elif len(raw) < promised:
        problem = f"the data end after {len(raw):,} bytes; the header promises {promised:,} ({voxels:,} voxels)"
        raise UnreadableFile(path, problem)
    notes = [f"{path.name} goes on after the {promised:,} bytes that its header promises"] if longer else []
    return np.frombuffer(data, kind, voxels, offset), notes


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


def _scaled(path: Path, header: nib.AnalyzeHeader, array: np.ndarray) -> np.ndarray:
    """Values times slope plus intercept. A slope of 0 means "not scaled" (NIfTI-1 standard, field scl_slope)."""
    slope = float(header["scl_slope"]) if "scl_slope" in header else 1.0
    intercept = float(header["scl_inter"]) if "scl_inter" in header else 0.0
    if slope == 0.0 or (slope == 1.0 and intercept == 0.0):
        return array
    if not np.isfinite([slope, intercept]).all():
        raise UnreadableFile(
            path, f"its values are to be scaled by {slope} and shifted by {intercept}", "correct scl_slope, scl_inter"
        )
    kind = np.float32 if array.dtype.itemsize <= 2 or array.dtype == np.float32 else np.float64
    with np.errstate(all="ignore"):
        scaled = (array * kind(slope) + kind(intercept)).astype(np.float32, copy=False)
    if array.dtype.kind in "iu" and not np.isfinite([scaled.min(), scaled.max()]).all():
        raise UnreadableFile(path, f"its values times {slope:g} plus {intercept:g} are no numbers", "correct scl_slope")
    return scaled


def write_label(path: Path, labels: np.ndarray, like: Path, *, colours: bool = False) -> None:
    """Write labels under the header of another NIfTI or Analyze file. See ``formats.write_label``."""
    parsed = _header(like, bytes_of.load(like))
    header = parsed.fields
    expected = _shape(like, header)[2::-1]
    if labels.shape != expected:
        raise GeometryError(f"{path}: labels of shape {labels.shape} do not fit {like}, which has {expected}")
    kind: np.dtype = _RGB if colours else smallest_dtype(labels)
    if colours:
        labels = np.ascontiguousarray(np.moveaxis(unpacked(labels), 0, -1)).view(_RGB).squeeze(-1)
    if isinstance(header, nib.Spm2AnalyzeHeader) and kind == np.uint16:
        kind = np.dtype(np.int32)  # Analyze 7.5 knows no unsigned 16 bits
    header.set_data_dtype(kind)
    if int(header["dim"][0]) > 3:  # channels of the image; the label has none
        header["dim"][0] = 3
        header["dim"][4:] = 1
        if "intent_code" in header:
            header["intent_code"] = 0
    for field, value in (("scl_slope", 1.0), ("scl_inter", 0.0), ("cal_min", 0.0), ("cal_max", 0.0)):
        if field in header:
            header[field] = value
    body = labels.astype(kind.newbyteorder(header.endianness)).tobytes()
    if parsed.detached:
        header["vox_offset"] = 0
        _write(_voxels_beside(path), body)
        _write(path, header.binaryblock)
    else:
        header["vox_offset"] = header.sizeof_hdr + 4  # extensions stay behind: they describe the image, or the patient
        _write(path, header.binaryblock + b"\0\0\0\0" + body)


def _voxels_beside(path: Path) -> Path:
    name = path.name
    start = name.lower().rfind(".hdr") if _is_pair(path) else len(name.split(".")[0])
    return path.with_name(f"{name[:start]}.img{'.gz' if name.lower().endswith('.gz') else ''}")


def _write(path: Path, data: bytes) -> None:
    write_bytes(path, bytes_of.gzip(data) if path.name.lower().endswith(".gz") else data)
