"""Values of a frame: decompressed, in the right colours, bright where much is, and rescaled as the header says."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import SimpleITK
from pydicom import Dataset
from pydicom.pixels import apply_color_lut, apply_modality_lut, pixel_array
from pydicom.uid import ExplicitVRLittleEndian

from autoseg.errors import UnreadableFile
from autoseg.formats.dicom import headers
from autoseg.formats.dicom.frames import Frame
from autoseg.formats.volume import native

_UNDECODABLE = (RuntimeError, NotImplementedError, ValueError, KeyError, AttributeError, TypeError, OSError, IndexError)


def volume(frames: Sequence[Frame]) -> tuple[np.ndarray, str, tuple[str, ...]]:
    """The values of frames, read file by file.

    Returns:
        (C, z, y, x); the stored type where nothing is rescaled, int16 or wider where whole numbers are shifted, else
        float32. Then the joint SHA-256 of the files, and notes.

    Raises:
        UnreadableFile: A file is cut short, or compressed in a way that cannot be undone here.
    """
    whole = all(frame.slope == 1.0 and frame.intercept.is_integer() for frame in frames)
    array = np.empty((0, 0, 0, 0))
    digests: list[str] = []
    notes: set[str] = set()
    for number, (frame, dataset, stored) in enumerate(_stored(frames, digests, notes)):
        values = _rescaled(frame, dataset, stored, whole=whole)
        planes = np.moveaxis(values, -1, 0) if values.ndim == 3 else values[None]
        if number == 0:
            array = np.empty((len(planes), len(frames), *planes.shape[1:]), planes.dtype)
        array = _wide_enough(array, planes)
        array[:, number] = planes
    return native(array), headers.joint(digests), tuple(sorted(notes))


def equal(one: Frame, other: Frame) -> bool:
    """Whether two frames are copies: the same object, or the same pixels."""
    if (one.uid, one.index) == (other.uid, other.index) and one.uid:
        return True
    return all(
        np.array_equal(first, second)
        for (_, _, first), (_, _, second) in zip(_stored([one], [], set()), _stored([other], [], set()), strict=True)
    )


def stored(dataset: Dataset, index: int | None, path: Path) -> np.ndarray:
    """The stored values of a frame: (rows, columns), or (rows, columns, 3) in RGB.

    Raises:
        UnreadableFile: Cut short, without pixels, or compressed in a way that cannot be undone here.
    """
    if not any(keyword in dataset for keyword in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise UnreadableFile(path, "holds no pixels")
    if not dataset.file_meta.get("TransferSyntaxUID"):
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian  # without meta information it is uncompressed
    try:
        array = pixel_array(dataset, index=0 if index is None else index)
    except _UNDECODABLE as error:
        return _by_itk(dataset, index, path, error)
    if dataset.get("PhotometricInterpretation") == "PALETTE COLOR":
        return np.asarray(apply_color_lut(array, dataset))[..., :3]
    return np.asarray(array)


def _stored(
    frames: Sequence[Frame], digests: list[str], notes: set[str]
) -> Iterator[tuple[Frame, Dataset, np.ndarray]]:
    """Each frame with its file's data set and its stored values; each file is opened once, as long as it is needed."""
    for file, members in groupby(frames, key=lambda frame: frame.file):
        dataset, digest = headers.read_all(file)
        digests.append(digest)
        for frame in members:
            array = stored(dataset, frame.index, file)
            if dataset.get("PhotometricInterpretation") == "MONOCHROME1":
                array = _inverted(array, dataset)
                notes.add("stored inverted (MONOCHROME1); turned so that more is brighter")
            yield frame, dataset, array


def _by_itk(dataset: Dataset, index: int | None, path: Path, problem: Exception) -> np.ndarray:
    """ITK undoes compressions that need a plug-in elsewhere, above all lossless JPEG; its rescaling is taken back."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.is_transfer_syntax and not syntax.is_compressed:
        raise UnreadableFile(path, f"its pixels cannot be read ({problem})") from problem
    if index is None and int(dataset.get("SamplesPerPixel") or 1) == 1:
        try:
            array = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path), imageIO="GDCMImageIO"))[0]
        except RuntimeError:  # what SimpleITK raises for everything
            pass
        else:
            slope, intercept = float(dataset.get("RescaleSlope") or 1), float(dataset.get("RescaleIntercept") or 0)
            return np.rint((array - intercept) / slope).astype(np.int32)
    raise UnreadableFile(
        path,
        f"its transfer syntax {syntax.name} ({syntax}) cannot be decompressed here",
        "decompress the series first, e.g. with gdcmconv --raw or dcmdjpeg, or install pylibjpeg with its plug-ins",
    ) from problem


def _inverted(array: np.ndarray, dataset: Dataset) -> np.ndarray:
    top = -1 if dataset.get("PixelRepresentation") else (1 << int(dataset.get("BitsStored") or 8)) - 1
    return (top - array.astype(np.int64)).astype(array.dtype)


def _rescaled(frame: Frame, dataset: Dataset, array: np.ndarray, *, whole: bool) -> np.ndarray:
    if "ModalityLUTSequence" in dataset:
        return np.asarray(apply_modality_lut(array, dataset))
    if array.ndim == 3 or array.dtype.kind == "f":
        return array
    if not whole:
        return (array * np.float64(frame.slope) + frame.intercept).astype(np.float32)
    if frame.intercept == 0.0:
        return array
    values = array.astype(np.int64) + int(frame.intercept)
    return values.astype(_signed_type_for(values))


def _wide_enough(array: np.ndarray, planes: np.ndarray) -> np.ndarray:
    """The array so far, in a type that also holds the next planes."""
    if np.can_cast(planes.dtype, array.dtype):
        return array
    return array.astype(np.promote_types(array.dtype, planes.dtype))


def _signed_type_for(values: np.ndarray) -> np.dtype:
    """int16 if it holds all values, as it does for nearly all CT; else int32."""
    limits = np.iinfo(np.int16)
    fits = limits.min <= values.min() and values.max() <= limits.max
    return np.dtype(np.int16 if fits else np.int32)
