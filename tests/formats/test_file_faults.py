"""Faults of single files: what is said, and what happens to the data set that they are in."""

import gzip
import os
import struct
import zlib
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
import tifffile
from PIL import Image

from autoseg import formats, machine
from autoseg.contracts import Settings
from autoseg.errors import DoesNotFit, RefusedError, UnreadableFile
from autoseg.formats import content
from autoseg.stages import dataset
from tests.made import ball, folder_of_pairs, nifti, noise


@pytest.fixture
def source(tmp_path):
    return folder_of_pairs(tmp_path / "data")


def verdict(source, case="case_2"):
    """The audit's entry of the case with the fault; the other five must be untouched by it."""
    made, _ = dataset.inspect(source, Settings())
    entries = {entry.case: entry for entry in made.audit.entries}
    assert all(entries[f"case_{n}"].verdict == "ok" for n in range(6) if f"case_{n}" != case)
    return entries[case]


def image(source: Path) -> Path:
    return source / "images" / "case_2.nii.gz"


@pytest.mark.fault(1, "gzip stream cut short", "quarantined, with the byte where it ends and what the header promises")
def test_a_cut_file_says_where_it_ends(source):
    raw = image(source).read_bytes()
    image(source).write_bytes(raw[: len(raw) // 2])
    found = verdict(source)
    assert found.verdict == "quarantined"
    assert f"ends early, at byte {len(raw) // 2:,}" in found.reason
    assert f"header promises {352 + 960 * 4:,}" in found.reason


@pytest.mark.fault(2, "gzip checksum wrong", "quarantined; every file is read to its end")
def test_a_wrong_checksum_is_found(source):
    raw = bytearray(image(source).read_bytes())
    raw[-6] ^= 0xFF
    image(source).write_bytes(raw)
    found = verdict(source)
    assert (found.verdict, "damaged" in found.reason) == ("quarantined", True)


@pytest.mark.fault(3, "compressed or not, against the file's name", "read by its content, and told")
def test_names_do_not_decide(source):
    image(source).write_bytes(gzip.decompress(image(source).read_bytes()))
    found = verdict(source)
    assert (found.verdict, "not compressed" in found.reason) == ("repaired", True)


@pytest.mark.fault(3, "a format under the suffix of another", "read by its content, and told")
def test_another_format_under_a_suffix_is_read(tmp_path):
    nifti(tmp_path / "a.nii", noise())
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(6, 8)).save(tmp_path / "b.jpg", "PNG")
    for old, new, family in (("a.nii", "a.mha", "NIfTI"), ("b.jpg", "b.tif", "PNG")):
        expected = formats.read(tmp_path / old)
        (tmp_path / old).rename(tmp_path / new)
        found = formats.read(tmp_path / new)
        assert np.array_equal(found.array, expected.array)
        assert family in found.repairs[0].reason


@pytest.mark.fault(
    4, "empty file, folder or pipe in place of a file", "quarantined at once; a pipe is never waited for"
)
@pytest.mark.parametrize("kind", ["empty", "folder", "pipe"])
def test_what_is_no_file_is_quarantined(source, kind):
    path = source / "masks" / "case_2.nii.gz"
    path.unlink()
    {"empty": path.touch, "folder": path.mkdir, "pipe": lambda: os.mkfifo(path)}[kind]()
    with pytest.raises(UnreadableFile, match="0 bytes" if kind == "empty" else "not a regular file"):
        formats.read(path)


@pytest.mark.fault(
    6, "stand-in of Git LFS or git-annex, or a web page", "quarantined, with the command that gets the file"
)
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "git lfs pull"),
        ("/annex/objects/SHA256E-s1--4d7a.nii.gz\n", "git annex get"),
        ("<!DOCTYPE html><html>404</html>", "web page"),
    ],
)
def test_stand_ins_are_recognised(source, text, said):
    image(source).write_text(text)
    found = verdict(source)
    assert (found.verdict, said in found.reason) == ("quarantined", True)


def header_of(shape, kind=np.uint8) -> bytes:
    header = nibabel.Nifti1Header()
    header.set_data_dtype(kind)
    header.set_data_shape(shape)
    header.set_sform(np.eye(4), code=1)
    header["vox_offset"] = 352
    return header.binaryblock + b"\0\0\0\0"


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def huge_png() -> bytes:
    size = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


NRRD = b"NRRD0004\ntype: uint8\ndimension: 3\nsizes: %s\nencoding: gzip\n\n"
MHA = (
    b"ObjectType = Image\nNDims = 3\nBinaryData = True\nDimSize = %s\nElementType = MET_UCHAR\nCompressedData = True\n"
    b"ElementDataFile = LOCAL\n"
)
BOMBS = {
    "declares.nii.gz": lambda: gzip.compress(header_of((30_000, 30_000, 30_000)) + bytes(1000)),
    "goes_on.nii.gz": lambda: gzip.compress(header_of((2, 2, 2)) + bytes(1 << 26)),
    "all_zero.nii.gz": lambda: gzip.compress(header_of((2000, 2000, 500)), 1) + gzip.compress(bytes(1 << 20)),
    "declares.nrrd": lambda: NRRD % b"30000 30000 30000" + gzip.compress(bytes(1000)),
    "ratio.nrrd": lambda: NRRD % b"2000 2000 500" + gzip.compress(bytes(1000)),
    "goes_on.nrrd": lambda: NRRD % b"2 2 2" + gzip.compress(bytes(1 << 26)),
    "ratio.mha": lambda: MHA % b"2000 2000 500" + zlib.compress(bytes(1000)),
    "declares.mha": lambda: MHA % b"90000 90000 90000" + zlib.compress(bytes(1000)),
    "huge.png": huge_png,
}


@pytest.mark.fault(7, "decompression bomb, or a header of absurd size", "refused (exit 6) before anything is allocated")
@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_unread(tmp_path, name):
    (tmp_path / name).write_bytes(BOMBS[name]())
    with pytest.raises(RefusedError) as caught:
        formats.read(tmp_path / name)
    assert caught.value.exit_code == 6
    assert name in str(caught.value)


@pytest.mark.fault(7, "decompression bomb among good cases", "the whole folder is refused (exit 6), naming the file")
def test_a_bomb_refuses_the_folder(source):
    image(source).write_bytes(BOMBS["declares.nii.gz"]())
    with pytest.raises(RefusedError, match=r"case_2\.nii\.gz"):
        dataset.inspect(source, Settings())


@pytest.mark.parametrize("back_to", [0, 1])
def test_a_tiff_whose_pages_lead_round_in_a_circle(tmp_path, back_to):  # found by test_fuzz, in which it never ended
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((3, 8, 9), np.uint8), photometric="minisblack", metadata=None)
    with tifffile.TiffFile(path) as file:
        first, second, last = (page.offset for page in file.pages)
        end = last + 2 + 12 * len(file.pages[2].tags)
    content = bytearray(path.read_bytes())
    content[end : end + 4] = (first, second)[back_to].to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(UnreadableFile, match="in a circle"):
        formats.read(path)


@pytest.mark.fault(7, "TIFF whose tags declare more than it holds", "quarantined before anything is allocated")
def test_a_tiff_that_declares_more_than_it_holds(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((64, 64), np.uint8), compression="zlib")
    for name in ("ImageWidth", "ImageLength", "RowsPerStrip"):
        with tifffile.TiffFile(path, mode="r+") as file:
            file.pages[0].tags[name].overwrite(10_000, dtype="H")
    with pytest.raises(UnreadableFile, match=r"a\.tif: its adobe_deflate stream ends early"):
        formats.read(path)


@pytest.mark.fault(8, "voxels missing at the end", "quarantined, with both numbers of bytes")
def test_short_data_are_quarantined(source):
    plain = gzip.decompress(image(source).read_bytes())
    image(source).write_bytes(gzip.compress(plain[:-9]))
    found = verdict(source)
    assert found.verdict == "quarantined"
    assert f"{len(plain):,}" in found.reason


@pytest.mark.fault(8, "more data than the header promises", "the promised part is read, and that is told")
def test_long_data_are_read_as_far_as_promised(source):
    plain = gzip.decompress(image(source).read_bytes())
    expected = formats.read(image(source)).array
    image(source).write_bytes(gzip.compress(plain + b"more"))
    assert np.array_equal(formats.read(image(source)).array, expected)
    assert "goes on after" in verdict(source).reason


@pytest.mark.fault(9, "NIfTI pair, Analyze 7.5, big-endian", "read as they are")
@pytest.mark.parametrize("kind", [nibabel.Nifti1Pair, nibabel.Nifti2Pair, nibabel.Spm2AnalyzeImage])
@pytest.mark.parametrize("endian", ["<", ">"])
def test_pairs_are_read_and_written(tmp_path, kind, endian):
    array = np.arange(960, dtype=np.int16).reshape(12, 10, 8)
    affine = np.diag([-1.0, 2.0, 3.0, 1.0])
    kind(array, affine, kind.header_class(endianness=endian)).to_filename(tmp_path / "a.hdr")
    volume = formats.read(tmp_path / "a.hdr")
    assert np.array_equal(volume.array[0], array.T)
    assert volume.grid.spacing_mm == (3.0, 2.0, 1.0)
    formats.write_label(tmp_path / "m.hdr", (volume.array[0] > 500).astype(np.uint8), tmp_path / "a.hdr")
    assert np.array_equal(np.asarray(nibabel.load(tmp_path / "m.hdr").dataobj), array > 500)
    (tmp_path / "a.img").unlink()
    with pytest.raises(UnreadableFile, match=r"a\.hdr: its voxels should lie in a\.img"):
        formats.read(tmp_path / "a.hdr")


@pytest.mark.fault(9, "NRRD and MetaImage, detached or not, compressed or not", "read as SimpleITK reads them")
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr", ".mha", ".mhd"])
@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "f4", "f8"])
def test_text_headers_are_read_as_itk_does(tmp_path, suffix, compressed, kind):
    array = np.random.default_rng(0).integers(0, 100, (3, 4, 5)).astype(kind)
    written = SimpleITK.GetImageFromArray(array)
    written.SetSpacing((0.7, 1.3, 4.1))
    written.SetOrigin((-1.5, 2.5, 3.5))
    written.SetDirection((0, 1, 0, -1, 0, 0, 0, 0, 1))
    path = tmp_path / f"a{suffix}"
    SimpleITK.WriteImage(written, str(path), useCompression=compressed)
    volume = formats.read(path)
    assert volume.array.dtype == array.dtype
    assert np.array_equal(volume.array[0], array)
    world = written.TransformIndexToPhysicalPoint((4, 3, 2))
    assert np.allclose(volume.grid.affine @ [2, 3, 4, 1], [*world, 1])


def test_nrrd_by_bzip2_big_endian_and_with_skips(tmp_path):
    import bz2

    array = np.arange(60, dtype=">i2")
    head = "NRRD0004\ntype: short\ndimension: 3\nsizes: 5 4 3\nspacings: 1 2 3\nendian: big\n"
    (tmp_path / "b.nrrd").write_bytes(f"{head}encoding: bz2\n\n".encode() + bz2.compress(array.tobytes()))
    (tmp_path / "s.nhdr").write_text(f"{head}encoding: raw\nline skip: 1\nbyte skip: 3\ndata file: s.raw\n")
    (tmp_path / "s.raw").write_bytes(b"a line\nabc" + array.tobytes())
    (tmp_path / "e.nhdr").write_text(f"{head}encoding: raw\nbyte skip: -1\ndata file: s.raw\n")
    for name in ("b.nrrd", "s.nhdr", "e.nhdr"):
        volume = formats.read(tmp_path / name)
        assert volume.array.dtype == np.int16
        assert np.array_equal(volume.array.ravel(), array)
        assert volume.grid.spacing_mm == (3.0, 2.0, 1.0)


@pytest.mark.fault(57, "image header that names voxels outside of its folder", "refused (exit 6)")
@pytest.mark.parametrize(
    "name", ["../secret.raw", "/etc/hostname", "C:\\secret.raw", "..\\secret.raw", "LIST", "s%03d.raw"]
)
def test_headers_may_not_name_files_elsewhere(tmp_path, name):
    folder = tmp_path / "data"
    folder.mkdir()
    (tmp_path / "secret.raw").write_bytes(b"the secret!!")
    (folder / "a.nhdr").write_text(
        f"NRRD0004\ntype: uint8\ndimension: 3\nsizes: 2 2 2\nencoding: raw\ndata file: {name}\n"
    )
    (folder / "a.mhd").write_text(f"NDims = 3\nDimSize = 2 2 2\nElementType = MET_UCHAR\nElementDataFile = {name}\n")
    for header in ("a.nhdr", "a.mhd"):
        with pytest.raises(RefusedError) as caught:
            formats.read(folder / header)
        assert caught.value.exit_code == 6
        assert "the secret" not in str(caught.value)


@pytest.mark.fault(12, "link out of the folder", "read, and told; a link that leads nowhere is quarantined")
def test_links_out_of_the_folder_are_read_and_told(source, tmp_path):
    outside = nifti(tmp_path / "elsewhere" / "x.nii.gz", noise(2))
    image(source).unlink()
    image(source).symlink_to(outside)
    before = outside.read_bytes()
    found = verdict(source)
    assert (found.verdict, "leads out of the folder" in found.reason) == ("ok", True)
    formats.write_label(image(source), ball().T, image(source))  # replaces the link, not what it points to
    assert outside.read_bytes() == before


@pytest.mark.fault(29, "an image larger than the memory", "the case is left out (exit 4 alone), with both sizes")
def test_images_larger_than_memory_are_told_before_they_are_read(source, monkeypatch):
    image(source).write_bytes(gzip.compress(header_of((400, 400, 400)) + os.urandom(2**18)))
    monkeypatch.setattr(machine, "ram_bytes", lambda: 150 * 2**20)
    with pytest.raises(DoesNotFit, match=r"0\.179 GiB of memory .* 0\.146 GiB are free") as caught:
        formats.read(image(source))
    assert caught.value.exit_code == 4
    assert verdict(source).verdict == "quarantined"


def test_the_unfolded_size_is_known_beforehand(tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(bytes(100_000)))
    (tmp_path / "a.nii").write_bytes(bytes(500))
    assert content.unfolded_bytes(tmp_path / "a.nii.gz") == 100_000
    assert content.unfolded_bytes(tmp_path / "a.nii") == 500
    assert content.unfolded_bytes(tmp_path / "absent.nii.gz") == 0


def test_large_files_are_mapped_rather_than_read(tmp_path, monkeypatch):
    path = nifti(tmp_path / "a.nii", noise())
    expected = formats.read(path)
    monkeypatch.setattr(content, "_MAPPED_FROM_BYTES", 0)
    mapped = formats.read(path)
    assert np.array_equal(mapped.array, expected.array)
    assert mapped.sha256 == expected.sha256
    assert not mapped.array.flags.writeable
