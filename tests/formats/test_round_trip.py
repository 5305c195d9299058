"""Any volume in any orientation: read, made canonical, turned back and written, it lies on the very same grid.

The files are written by other libraries, or by hand where those refuse a shear; HYPOTHESIS_PROFILE=nightly makes 2000.
"""

import os
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.spatial.transform import Rotation

from autoseg import formats
from autoseg.contracts import Case
from autoseg.intake import auditing
from autoseg.volumes.geometry import TOLERATED_SHEAR_DEG, canonicalize, resample_onto, restore, shear_deg

WORLD = (".nii", ".nii.gz", ".hdr", ".nrrd", ".nhdr", ".mha", ".mhd")
PLANAR = (".png", ".tif")
TYPES = {".png": ("u1", "u2"), ".tif": ("u1", "i2", "u2", "f4"), ".hdr": ("u1", "i2", "f4")}
ANY_TYPE = ("u1", "i2", "u2", "i4", "f4", "f8")
TEXT_TYPES = {"u1": "UCHAR", "i2": "SHORT", "u2": "USHORT", "i4": "INT", "f4": "FLOAT", "f8": "DOUBLE"}
NRRD_TYPES = {"u1": "uint8", "i2": "int16", "u2": "uint16", "i4": "int32", "f4": "float", "f8": "double"}


@pytest.fixture(autouse=True, scope="module")
def no_waiting_for_the_disk():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@dataclass(frozen=True)
class Made:
    """A volume to be written: shape (C, z, y, x), index (x, y, z) to world LPS in ``affine``."""

    suffix: str
    shape: tuple[int, int, int, int]
    kind: str
    seed: int
    affine: np.ndarray
    plane: bool
    sheared: bool

    @cached_property
    def array(self) -> np.ndarray:
        return np.random.default_rng(self.seed).integers(0, 250, self.shape).astype(self.kind)


@st.composite
def volumes(draw) -> Made:
    suffix = draw(st.sampled_from(WORLD + PLANAR))
    plane = suffix == ".png" or draw(st.integers(0, 5)) == 0
    sheared = suffix in WORLD and not plane and draw(st.booleans())
    edges = st.integers(10, 16) if sheared else st.integers(2, 9)
    shape = (1 if plane else draw(edges), draw(edges), draw(edges))
    channels = draw(st.sampled_from((1, 1, 1, 3) if suffix in PLANAR else (1, 1, 1, 2, 3)))
    kind = draw(st.sampled_from(TYPES.get(suffix, ANY_TYPE)))
    kind = "u1" if channels == 3 and suffix == ".png" else kind
    seed = draw(st.integers(0, 2**32 - 1))
    return Made(suffix, (channels, *shape), kind, seed, draw(affines(sheared, plane)), plane, sheared)


@st.composite
def affines(draw, sheared: bool, plane: bool) -> np.ndarray:
    """One of 48 orientations, turned by any small angle, with any spacing, and perhaps a shear."""
    sizes = st.floats(0.5, 2.0) if sheared else st.floats(0.05, 12.0)
    spacing = [draw(st.sampled_from((1.0, 0.5, 2.0)) | sizes) for _ in range(3)]
    turn = Rotation.from_euler("xyz", [draw(st.just(0.0) | st.floats(-25, 25)) for _ in range(3)], degrees=True)
    permuted = np.eye(3)[:, draw(st.permutations(range(3)))] * [draw(st.sampled_from((1, -1))) for _ in range(3)]
    shear = np.eye(3)
    if sheared:
        shear[draw(st.sampled_from((0, 1))), 2] = draw(st.floats(-0.5, 0.5))
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3) * spacing if plane else turn.as_matrix() @ permuted @ (shear * spacing)
    affine[:3, 3] = [draw(st.just(0.0) | st.floats(-500, 500)) for _ in range(3)]
    return affine


def write(folder: Path, made: Made) -> Path:
    path = folder / f"image{made.suffix}"
    if made.suffix in (".nii", ".nii.gz", ".hdr"):
        _write_nifti(path, made)
    elif made.suffix in (".nrrd", ".nhdr"):
        _write_nrrd(path, made)
    elif made.suffix in (".mha", ".mhd"):
        _write_metaimage(path, made)
    elif made.suffix == ".png":
        pixels = made.array[:, 0]
        Image.fromarray(pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1)).save(path)
    else:
        sizes = {f"PhysicalSize{axis}": made.affine[i, i] for i, axis in enumerate("XYZ")}
        units = {f"PhysicalSize{axis}Unit": "mm" for axis in "XYZ"}
        metadata = {"axes": "ZCYX"} | (sizes | units if min(sizes.values()) > 0 else {})
        pages = made.array.swapaxes(0, 1)
        tifffile.imwrite(path, pages, ome=True, photometric="minisblack", metadata=metadata)
    return path


def _write_nifti(path: Path, made: Made) -> None:
    array = made.array.T.copy()  # (x, y, z, C)
    array = array[..., 0] if array.shape[-1] == 1 else array
    array = array[:, :, 0] if made.plane and array.ndim == 3 else array
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ made.affine
    kind = nibabel.Nifti1Pair if path.suffix == ".hdr" else nibabel.Nifti1Image
    kind(array, affine, dtype=array.dtype).to_filename(path)


def _write_nrrd(path: Path, made: Made) -> None:
    count, axes = len(made.array), 2 if made.plane else 3
    steps = [f"({','.join(repr(float(v)) for v in made.affine[:axes, axis])})" for axis in range(axes)]
    sizes = [str(extent) for extent in made.array.shape[:0:-1][:axes]]
    kinds = ["domain"] * axes
    if count > 1:
        steps, sizes, kinds = ["none", *steps], [str(count), *sizes], ["vector", *kinds]
    space = "space: left-posterior-superior" if axes == 3 else "space dimension: 2"
    lines = [
        "NRRD0005", "# made by hand", f"type: {NRRD_TYPES[made.array.dtype.str[1:]]}", f"dimension: {len(sizes)}",
        space, f"sizes: {' '.join(sizes)}", f"space directions: {' '.join(steps)}", f"kinds: {' '.join(kinds)}",
        f"space origin: ({','.join(repr(float(v)) for v in made.affine[:axes, 3])})", "encoding: raw", "endian: little",
    ]  # fmt: skip
    voxels = np.moveaxis(made.array, 0, -1).tobytes()
    if path.suffix == ".nhdr":
        (path.parent / "image.raw").write_bytes(voxels)
        path.write_text("\n".join([*lines, "data file: image.raw", ""]))
    else:
        path.write_bytes("\n".join([*lines, "", ""]).encode() + voxels)


def _write_metaimage(path: Path, made: Made) -> None:
    axes = 2 if made.plane else 3
    spacing = np.linalg.norm(made.affine[:axes, :axes], axis=0)
    directions = (made.affine[:axes, :axes] / spacing).T

    def words(values):
        return " ".join(repr(float(value)) for value in np.ravel(values))

    head = (
        f"ObjectType = Image\nNDims = {axes}\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
        f"CompressedData = False\nTransformMatrix = {words(directions)}\nOffset = {words(made.affine[:axes, 3])}\n"
        f"ElementSpacing = {words(spacing)}\nDimSize = {' '.join(map(str, made.array.shape[:0:-1][:axes]))}\n"
        f"ElementNumberOfChannels = {len(made.array)}\nElementType = MET_{TEXT_TYPES[made.array.dtype.str[1:]]}\n"
    )
    voxels = np.moveaxis(made.array, 0, -1).tobytes()
    if path.suffix == ".mhd":
        (path.parent / "image.raw").write_bytes(voxels)
        path.write_text(f"{head}ElementDataFile = image.raw\n")
    else:
        path.write_bytes(f"{head}ElementDataFile = LOCAL\n".encode() + voxels)


@pytest.mark.fault(
    18,
    "any orientation, spacing and format",
    "read, made canonical, turned back and written: the identical grid and labels",
)
@given(volumes())
def test_labels_return_to_the_very_same_grid(made):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = write(folder, made)
        volume = formats.read(path)
        assert volume.array.dtype == made.array.dtype
        assert np.array_equal(volume.array, made.array)
        if made.suffix in WORLD:
            assert np.allclose(volume.grid.affine, expected(made), rtol=1e-5, atol=1e-4)
        turned, grid, way = canonicalize(volume.array, volume.grid)
        assert grid.orientation == "LPS"
        labels = (turned[0] > 120).astype(np.uint8)
        out = folder / f"label{made.suffix}"
        formats.write_label(out, restore(labels, way), path)
        back = formats.read(out, mask=True)
        assert back.grid.shape == volume.grid.shape
        assert np.array_equal(back.grid.affine, volume.grid.affine)
        assert np.array_equal(back.array[0], made.array[0] > 120)


def expected(made: Made) -> np.ndarray:
    """Array index (z, y, x) to world LPS; the third axis of a plane has 1 mm unless its format can say more."""
    affine = made.affine.copy()
    if made.plane and made.suffix in (".nrrd", ".nhdr", ".mha", ".mhd"):
        affine[:3, 2], affine[2, 3] = (0, 0, 1), 0
    return affine[:, [2, 1, 0, 3]]


@given(volumes().filter(lambda made: made.sheared), st.floats(2.0, 3.5), st.integers(0, 2**32 - 1))
def test_labels_of_tilted_scans_come_back_from_the_upright_grid(made, radius, seed):
    label = ball(made.array.shape[1:], radius, seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        image = write(folder, made)
        formats.write_label(folder / f"label{made.suffix}", label, image)
        case = Case(case="a", subject="a", images=(image.name,), label=f"label{made.suffix}")
        loaded = auditing.load(folder, case, auditing.Reading(axis4="channel"))
        own = canonicalize(made.array, formats.read(image).grid)[1]
    if shear_deg(own) <= TOLERATED_SHEAR_DEG:
        assert loaded.tilted is None
        return
    assert loaded.tilted is not None
    assert shear_deg(loaded.grid) < 1e-6
    assert np.allclose(loaded.tilted.affine, own.affine)
    assert loaded.label.shape == loaded.image.shape[1:] == loaded.grid.shape
    back = resample_onto(loaded.label[None], loaded.grid, loaded.tilted, nearest=True)[0]
    truth = canonicalize(label[None], formats_grid(made))[0][0]
    assert 2 * (back & truth).sum() >= 0.98 * (back.sum() + truth.sum())


def formats_grid(made: Made):
    from autoseg.volumes.geometry import Grid

    return Grid(made.array.shape[1:], made.affine[:, [2, 1, 0, 3]])


def ball(shape, radius: float, seed: int) -> np.ndarray:
    """A ball of more than three voxels across, somewhere inside."""
    generator = np.random.default_rng(seed)
    center = [generator.uniform(radius, extent - 1 - radius) for extent in shape]
    z, y, x = np.ogrid[tuple(slice(0, extent) for extent in shape)]
    return ((z - center[0]) ** 2 + (y - center[1]) ** 2 + (x - center[2]) ** 2 <= radius**2).astype(np.uint8)
