"""NRRD and MetaImage (MHA, MHD), by SimpleITK, with their geometry. ITK's world is LPS, as ours is."""

import hashlib
import shutil
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK

from autoseg.errors import GeometryError, UnreadableFile
from autoseg.formats import content as bytes_of
from autoseg.formats.volume import Volume, channel_names, check_size, native, smallest_dtype, unpacked
from autoseg.records import publish
from autoseg.volumes.geometry import Grid

_DETACHED = (".mhd", ".nhdr")  # the voxels lie in a second file


def read(path: Path) -> Volume:
    """Read an NRRD or MetaImage file; vector pixels, or a fourth axis, become channels.

    Raises:
        UnreadableFile: Cut short, damaged, or of another format.
        GeometryError: No usable affine.
        RefusedError: Absurd size.
    """
    raw = bytes_of.load(path)
    image = _open(path)
    array = _channels_first(path, image)
    digest = hashlib.sha256(raw)
    if path.suffix.lower() in _DETACHED:
        digest.update(array.tobytes())
    return Volume(
        array=array,
        grid=Grid((array.shape[1], array.shape[2], array.shape[3]), _affine(path, image)),
        spacing_known=True,
        sha256=digest.hexdigest(),
        channels=channel_names(len(array)),
    )


def _open(path: Path) -> SimpleITK.Image:
    """The header first, so that an absurd size is refused before anything is allocated."""
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        check_size(path, reader.GetSize())
        return reader.Execute()
    except RuntimeError as error:  # what SimpleITK raises for everything
        raise UnreadableFile(path, f"cannot be read ({str(error).strip().splitlines()[-1].strip()})") from error


def _channels_first(path: Path, image: SimpleITK.Image) -> np.ndarray:
    array = SimpleITK.GetArrayFromImage(image)
    if image.GetNumberOfComponentsPerPixel() > 1:
        array = np.moveaxis(array, -1, 0)
    elif image.GetDimension() < 4:
        array = array[None]
    if image.GetDimension() == 2:
        array = array[:, None]
    if array.ndim != 4:
        raise UnreadableFile(path, f"its shape {image.GetSize()} has too many axes", "split the file")
    if array.dtype.kind == "c":
        raise UnreadableFile(path, "its voxels are complex numbers", "store magnitude (or phase) as real numbers")
    return native(array)


def _affine(path: Path, image: SimpleITK.Image) -> np.ndarray:
    """Array index (z, y, x) to world LPS; a plane gets a third axis of 1 mm."""
    dimension = image.GetDimension()
    axes = min(dimension, 3)
    direction = np.array(image.GetDirection()).reshape(dimension, dimension)[:axes, :axes]
    affine = np.eye(4)
    affine[:axes, :axes] = direction * np.array(image.GetSpacing()[:axes])
    affine[:axes, 3] = image.GetOrigin()[:axes]
    if not np.all(np.isfinite(affine)) or abs(np.linalg.det(affine)) < 1e-12:
        raise GeometryError(f"{path}: spacing {image.GetSpacing()} and direction place no voxels; repair the header")
    return affine[:, [2, 1, 0, 3]]


def write_label(path: Path, labels: np.ndarray, like: Path, *, colours: bool = False) -> None:
    """Write labels with the geometry of another ITK image. See ``formats.write_label``."""
    reference = _open(like)
    if reference.GetDimension() == 4:
        reference = reference[:, :, :, 0]
    values = np.moveaxis(unpacked(labels), 0, -1) if colours else labels.astype(smallest_dtype(labels))
    image = SimpleITK.GetImageFromArray(values[0] if reference.GetDimension() == 2 else values, isVector=colours)
    if image.GetSize() != reference.GetSize():
        raise GeometryError(f"{path}: labels of size {image.GetSize()} do not fit {like}: {reference.GetSize()}")
    image.CopyInformation(reference)
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
    try:  # under its final name, since a detached header names its data file
        SimpleITK.WriteImage(image, str(folder / path.name), useCompression=True)
        for file in sorted(folder.iterdir(), key=lambda file: file.name == path.name):  # the header comes last
            publish(file, path.parent / file.name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
