"""NIfTI in and out: every header that matters survives bit for bit, every broken file says what is wrong."""

import gzip
import io

import nibabel
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from autoseg import formats
from autoseg.errors import GeometryError, LabelError, RefusedError, UnreadableFile
from autoseg.volumes.geometry import canonicalize, compare, restore

SHAPE = (5, 6, 7)  # x, y, z
KEPT = (
    *("pixdim", "xyzt_units", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d"),
    *("qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z", "dim", "descrip"),
)


def affine_of(codes, *, oblique=False, spacing=(0.7, 1.1, 3.3)):
    affine = np.zeros((4, 4))
    for axis, code in enumerate(codes):
        world = next(index for index, pair in enumerate(("LR", "PA", "IS")) if code in pair)
        affine[world, axis] = spacing[axis] * (1 if code in "RAS" else -1)
    if oblique:
        affine[:3, :3] = Rotation.from_euler("xyz", (11, -7, 19), degrees=True).as_matrix() @ affine[:3, :3]
    affine[:, 3] = (-31.7, 12.3, 5.9, 1.0)
    return affine


def write(path, array=None, affine=None, *, kind=nibabel.Nifti1Image, change=None):
    array = np.random.default_rng(0).integers(0, 900, SHAPE).astype(np.int16) if array is None else array
    image = kind(array, affine_of("RAS") if affine is None else affine, dtype=array.dtype)
    if change is not None:
        change(image.header)
    image.to_filename(path)
    return array


@pytest.mark.parametrize("oblique", [False, True])
@pytest.mark.parametrize("codes", ["RAS", "LAS", "LPS", "PSR", "IRP", "LIP"])
def test_labels_return_on_the_exact_grid_and_header(tmp_path, codes, oblique):
    like, out = tmp_path / "image.nii.gz", tmp_path / "label.nii.gz"

    def odd(header):
        header.set_qform(affine_of(codes, oblique=oblique), code=1)
        header.set_sform(affine_of(codes, oblique=oblique) * 1.0000001, code=3)
        header.set_xyzt_units("mm", "sec")
        header["descrip"] = b"from the scanner"

    array = write(like, affine=affine_of(codes, oblique=oblique), change=odd)
    volume = formats.read(like)
    assert volume.grid.orientation == codes
    turned, _, way = canonicalize(volume.array, volume.grid)
    labels = (turned[0] > 450).astype(np.int64) * 3
    formats.write_label(out, restore(labels, way), like)
    before, after = nibabel.load(like), nibabel.load(out)
    assert np.array_equal(before.affine, after.affine)
    for field in KEPT:
        assert before.header[field].tobytes() == after.header[field].tobytes(), field
    assert after.get_data_dtype() == np.uint8
    assert np.array_equal(np.asarray(after.dataobj), (array > 450) * 3)
    assert compare(volume.grid, formats.read(out).grid).kind == "same"


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64, np.int64])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_voxels_and_affine_are_those_of_nibabel(tmp_path, kind, dtype, suffix):
    path = tmp_path / f"image{suffix}"
    array = np.random.default_rng(1).integers(0, 200, SHAPE).astype(dtype)
    write(path, array, affine_of("PIL", oblique=True), kind=kind)
    volume = formats.read(path)
    assert volume.array.dtype == dtype
    assert np.array_equal(volume.array[0], array.T)
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ nibabel.load(path).affine[:, [2, 1, 0, 3]]
    assert np.array_equal(volume.grid.affine, lps)
    assert volume.grid.shape == (7, 6, 5)
    assert volume.spacing_known
    assert volume.notes == ()


def test_big_endian_files_are_read_and_written_in_kind(tmp_path):
    like, out = tmp_path / "big.nii", tmp_path / "label.nii"
    array = np.arange(210, dtype=np.int16).reshape(SHAPE)
    image = nibabel.Nifti1Image(array, affine_of("LAS"), nibabel.Nifti1Header(endianness=">"))
    image.to_filename(like)
    assert nibabel.load(like).header.endianness == ">"
    volume = formats.read(like)
    assert volume.array.dtype.isnative
    assert np.array_equal(volume.array[0], array.T)
    formats.write_label(out, np.full((7, 6, 5), 300), like)
    assert np.array_equal(np.asarray(nibabel.load(out).dataobj), np.full(SHAPE, 300))


def test_scaled_values_and_labels_without_the_scale(tmp_path):
    like, out = tmp_path / "ct.nii.gz", tmp_path / "label.nii.gz"
    header = nibabel.Nifti1Header()
    header.set_data_shape(SHAPE)
    header.set_data_dtype(np.int16)
    header.set_sform(affine_of("RAS"), code=1)
    header["scl_slope"], header["scl_inter"], header["vox_offset"], header["cal_max"] = 2.0, -1024.0, 352, 99
    stored = np.arange(210, dtype=np.int16)
    like.write_bytes(gzip.compress(header.binaryblock + b"\0\0\0\0" + stored.tobytes()))
    volume = formats.read(like)
    assert volume.array.dtype == np.float32
    assert volume.array.ravel()[:3].tolist() == [-1024.0, -1022.0, -1020.0]
    formats.write_label(out, np.ones((7, 6, 5), np.uint8), like)
    assert np.all(nibabel.load(out).get_fdata() == 1)
    assert float(nibabel.load(out).header["cal_max"]) == 0


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ((0, 255), np.uint8),
        ((-1, 300), np.int16),
        ((0, 65535), np.uint16),
        ((0, 70000), np.int32),
        ((-1, 2**40), np.int64),
    ],
)
def test_label_dtype_is_wide_enough(tmp_path, values, dtype):
    like, out = tmp_path / "image.nii.gz", tmp_path / "label.nii.gz"
    write(like)
    labels = np.zeros((7, 6, 5), np.int64)
    labels[0, 0, :2] = values
    formats.write_label(out, labels, like)
    written = nibabel.load(out)
    assert written.get_data_dtype() == dtype
    assert np.array_equal(np.asarray(written.dataobj).T, labels)
    with pytest.raises(LabelError, match="64 bits"):
        formats.write_label(out, np.full((7, 6, 5), 2**63, np.uint64), like)


def test_the_same_labels_give_the_same_bytes(tmp_path):
    like = tmp_path / "image.nii.gz"
    write(like)
    for name in ("a.nii.gz", "b.nii.gz"):
        formats.write_label(tmp_path / name, np.ones((7, 6, 5), np.uint8), like)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.nii.gz", "b.nii.gz", "image.nii.gz"]


def test_a_fourth_axis_becomes_channels_and_labels_drop_it(tmp_path):
    like, out = tmp_path / "image.nii.gz", tmp_path / "label.nii.gz"
    array = write(like, np.random.default_rng(0).normal(size=(*SHAPE, 3)).astype(np.float32))
    volume = formats.read(like)
    assert volume.channels == ("image_0", "image_1", "image_2")
    assert np.array_equal(volume.array[1], array[..., 1].T)
    formats.write_label(out, np.ones((7, 6, 5), np.uint8), like)
    assert nibabel.load(out).shape == SHAPE
    assert np.array_equal(nibabel.load(out).affine, nibabel.load(like).affine)


@pytest.mark.parametrize("shape", [(5, 6), (5, 6, 7, 1), (5, 6, 7, 1, 2)])
def test_axes_of_one_voxel_do_not_matter(tmp_path, shape):
    path = tmp_path / "image.nii.gz"
    array = write(path, np.arange(np.prod(shape), dtype=np.int16).reshape(shape))
    volume = formats.read(path)
    expected = (2 if shape[-1] == 2 else 1, 1 if len(shape) == 2 else 7, 6, 5)
    assert volume.array.shape == expected
    assert np.array_equal(volume.array.ravel(), array.ravel(order="F"))
    if len(shape) == 2:
        formats.write_label(tmp_path / "label.nii.gz", np.ones((1, 6, 5), np.uint8), path)
        assert nibabel.load(tmp_path / "label.nii.gz").shape == (5, 6)


def test_colour_voxels_become_three_channels(tmp_path):
    path = tmp_path / "rgb.nii.gz"
    voxels = np.zeros(SHAPE, np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    voxels["G"] = 7
    write(path, voxels)
    volume = formats.read(path)
    assert volume.channels == ("R", "G", "B")
    assert volume.array.shape == (3, 7, 6, 5)
    assert [int(channel.max()) for channel in volume.array] == [0, 7, 0]


def test_the_name_does_not_decide_about_compression(tmp_path):
    plain, packed = tmp_path / "a.nii", tmp_path / "b.nii.gz"
    array = write(plain)
    packed.write_bytes(plain.read_bytes())
    plain.write_bytes(gzip.compress(plain.read_bytes()))
    assert np.array_equal(formats.read(plain).array[0], array.T)
    assert np.array_equal(formats.read(packed).array[0], array.T)


def test_gzip_in_several_members(tmp_path):
    path = tmp_path / "image.nii.gz"
    array = write(path)
    raw = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(raw[:400]) + gzip.compress(raw[400:]))
    assert np.array_equal(formats.read(path).array[0], array.T)


def damaged(tmp_path, how):
    path = tmp_path / "case_7.nii.gz"
    write(path)
    raw = path.read_bytes()
    plain = gzip.decompress(raw)
    content = {
        "cut": raw[: len(raw) // 2],
        "cut in the header": raw[:60],
        "checksum": raw[:-6] + bytes([raw[-6] ^ 255]) + raw[-5:],
        "short": gzip.compress(plain[:-9]),
        "empty": b"",
        "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
        "annex": b"../../.git/annex/objects/xx/SHA256E-s1.nii.gz",
        "page": b"\n<!DOCTYPE html><html>not found</html>",
        "text": b"hello" * 100,
        "dims": gzip.compress(plain[:40] + b"\x09\x00" + plain[42:]),
        "zero axis": gzip.compress(plain[:42] + b"\x00\x00" + plain[44:]),
    }[how]
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("cut", "gzip stream ends early"),
        ("cut in the header", "gzip stream ends early"),
        ("checksum", "gzip stream is damaged"),
        ("short", "the data end after"),
        ("empty", "0 bytes"),
        ("lfs", "git lfs pull"),
        ("annex", "git-annex"),
        ("page", "web page"),
        ("text", "not a NIfTI image"),
        ("dims", "axes"),
        ("zero axis", "holds no voxel"),
    ],
)
def test_broken_files_say_what_is_wrong(tmp_path, how, said):
    path = damaged(tmp_path, how)
    with pytest.raises(UnreadableFile, match=said) as caught:
        formats.read(path)
    assert "case_7.nii.gz" in str(caught.value)


def test_files_that_are_no_files(tmp_path):
    with pytest.raises(UnreadableFile, match="no such file"):
        formats.read(tmp_path / "absent.nii.gz")
    (tmp_path / "folder.nii.gz").mkdir()
    with pytest.raises(UnreadableFile, match="not a regular file"):
        formats.read(tmp_path / "folder.nii.gz")
    (tmp_path / "link.nii.gz").symlink_to(tmp_path / "gone.nii.gz")
    with pytest.raises(UnreadableFile, match="points nowhere"):
        formats.read(tmp_path / "link.nii.gz")


def test_bombs_are_refused_before_they_unfold(tmp_path):
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.uint8)
    header.set_sform(np.eye(4), code=1)
    header["vox_offset"] = 352
    header.set_data_shape((30000, 30000, 30000))
    path = tmp_path / "bomb.nii.gz"
    path.write_bytes(gzip.compress(header.binaryblock + bytes(1000)))
    with pytest.raises(RefusedError, match="27,000,000,000,000"):
        formats.read(path)
    header.set_data_shape((2, 2, 2))
    stream = io.BytesIO()
    with gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=1) as file:
        file.write(header.binaryblock + b"\0\0\0\0")
        for _ in range(40):
            file.write(bytes(1 << 20))
    path.write_bytes(stream.getvalue())
    with pytest.raises(RefusedError, match="bomb"):
        formats.read(path)


def forms(sform=None, qform=None, zooms=(1.0, 1.0, 1.0)):
    def change(header):
        header["sform_code"] = header["qform_code"] = 0
        header["pixdim"][1:4] = zooms
        if sform is not None:
            header.set_sform(sform, code=2)
        if qform is not None:
            header.set_qform(qform, code=1)

    return change


def written_with(path, change):
    """Written by hand: nibabel would repair the header."""
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.uint8)
    header.set_data_shape((2, 2, 2))
    header["vox_offset"] = 352
    change(header)
    path.write_bytes(header.binaryblock + bytes(4 + 8))
    return path


def test_sform_comes_first_and_a_useless_one_falls_back_to_qform(tmp_path):
    path = tmp_path / "image.nii"
    both = formats.read(written_with(path, forms(affine_of("LAS"), affine_of("RAS"))))
    assert both.grid.orientation == "LAS"
    singular = np.diag([1.0, 0.0, 1.0, 1.0])
    repaired = formats.read(written_with(path, forms(singular, affine_of("RAS"))))
    assert repaired.grid.orientation == "RAS"
    assert any("sform" in repair.reason for repair in repaired.repairs)


def test_without_orientation_or_size_the_volume_says_so(tmp_path):
    unknown = formats.read(written_with(tmp_path / "image.nii", forms()))
    assert not unknown.spacing_known
    assert any("orientation" in note for note in unknown.notes)
    sized = formats.read(written_with(tmp_path / "image.nii", forms(zooms=(1.0, 2.0, 3.0))))
    assert sized.spacing_known
    assert sized.grid.spacing_mm == (3.0, 2.0, 1.0)


@pytest.mark.parametrize("zooms", [(0.0, 1.0, 1.0), (np.nan, 1.0, 1.0)])
def test_no_usable_affine_is_an_error_with_the_values(tmp_path, zooms):
    with pytest.raises(GeometryError, match="pixdim"):
        formats.read(written_with(tmp_path / "image.nii", forms(zooms=zooms)))


def test_units_other_than_millimetres_are_noted(tmp_path):
    path = tmp_path / "image.nii.gz"
    write(path, change=lambda header: header.set_xyzt_units("micron"))
    assert "micrometres" in formats.read(path).notes[0]


def test_labels_of_another_shape_are_refused(tmp_path):
    like = tmp_path / "image.nii.gz"
    write(like)
    with pytest.raises(GeometryError, match="do not fit"):
        formats.write_label(tmp_path / "label.nii.gz", np.ones((5, 6, 7), np.uint8), like)
    assert not (tmp_path / "label.nii.gz").exists()
