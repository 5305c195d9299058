"""NRRD and MetaImage in and out."""

import numpy as np
import pytest
import SimpleITK
from scipy.spatial.transform import Rotation

from autoseg import formats
from autoseg.errors import GeometryError, RefusedError, UnreadableFile

SUFFIXES = [".nrrd", ".nhdr", ".mha", ".mhd"]


def write(path, array=None, *, oblique=True, vector=False):
    array = np.random.default_rng(0).integers(-500, 900, (4, 5, 6)).astype(np.int16) if array is None else array
    image = SimpleITK.GetImageFromArray(array, isVector=vector)
    axes = image.GetDimension()
    image.SetSpacing((0.7, 1.3, 4.1)[:axes])
    image.SetOrigin((-12.25, 7.1, 31.9)[:axes])
    if oblique and axes == 3:
        turn = Rotation.from_euler("xyz", (9, -14, 100), degrees=True).as_matrix()
        image.SetDirection(turn.ravel().tolist())
    SimpleITK.WriteImage(image, str(path), useCompression=True)
    return array


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_labels_return_on_the_exact_grid(tmp_path, suffix):
    like, out = tmp_path / f"image{suffix}", tmp_path / "out" / f"label{suffix}"
    array = write(like)
    volume = formats.read(like)
    assert volume.array.dtype == np.int16
    assert np.array_equal(volume.array[0], array)
    labels = (array > 0) * 300
    formats.write_label(out, labels, like)
    before, after = SimpleITK.ReadImage(str(like)), SimpleITK.ReadImage(str(out))
    assert after.GetSpacing() == before.GetSpacing()
    assert after.GetOrigin() == before.GetOrigin()
    assert after.GetDirection() == before.GetDirection()
    assert np.array_equal(SimpleITK.GetArrayFromImage(after), labels)
    assert np.array_equal(formats.read(out).grid.affine, volume.grid.affine)
    assert not [path for path in out.parent.iterdir() if path.name.startswith(".")]


def test_world_positions_are_those_of_itk(tmp_path):
    path = tmp_path / "image.mha"
    write(path)
    grid = formats.read(path).grid
    world = SimpleITK.ReadImage(str(path)).TransformIndexToPhysicalPoint((4, 3, 2))
    assert np.allclose(grid.affine @ [2, 3, 4, 1], [*world, 1])


def test_a_plane_is_a_volume_of_one_slice_and_returns_as_a_plane(tmp_path):
    like, out = tmp_path / "image.mha", tmp_path / "label.mha"
    array = write(like, np.arange(30, dtype=np.uint8).reshape(5, 6))
    volume = formats.read(like)
    assert volume.array.shape == (1, 1, 5, 6)
    assert volume.grid.spacing_mm == (1.0, 1.3, 0.7)
    formats.write_label(out, (array > 3)[None].astype(np.uint8), like)
    assert SimpleITK.ReadImage(str(out)).GetSize() == (6, 5)


def test_vector_pixels_become_channels(tmp_path):
    path = tmp_path / "image.nrrd"
    array = write(path, np.random.default_rng(1).random((4, 5, 6, 2)).astype(np.float32), vector=True)
    volume = formats.read(path)
    assert volume.array.shape == (2, 4, 5, 6)
    assert np.array_equal(volume.array[1], array[..., 1])


def test_the_hash_covers_voxels_that_lie_in_a_second_file(tmp_path):
    path = tmp_path / "image.mhd"
    array = write(path)
    first = formats.read(path).sha256
    write(path, array + 1)
    assert formats.read(path).sha256 != first


def test_broken_files_say_what_is_wrong(tmp_path):
    path = tmp_path / "image.nrrd"
    write(path)
    raw = path.read_bytes()
    for content, said in (
        (raw[:-20], "gzip stream ends early"),
        (raw[: len(raw) - 4] + b"oops", "gzip stream is damaged"),
        (b"not an image at all, really", "not an NRRD"),
        (raw[:20], "damaged at 'sizes"),
    ):
        path.write_bytes(content)
        with pytest.raises(UnreadableFile, match=said):
            formats.read(path)
    (tmp_path / "lone.mhd").write_text("ObjectType = Image\nNDims = 3\nDimSize = 2 2 2\nElementDataFile = gone.raw\n")
    with pytest.raises(UnreadableFile):
        formats.read(tmp_path / "lone.mhd")


def test_absurd_sizes_are_refused_from_the_header(tmp_path):
    path = tmp_path / "huge.mha"
    path.write_text(
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nDimSize = 90000 90000 90000\n"
        "ElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
    )
    with pytest.raises(RefusedError, match="voxels"):
        formats.read(path)


def test_labels_of_another_shape_are_refused(tmp_path):
    write(tmp_path / "image.nrrd")
    with pytest.raises(GeometryError, match="do not fit"):
        formats.write_label(tmp_path / "label.nrrd", np.ones((6, 5, 4), np.uint8), tmp_path / "image.nrrd")
