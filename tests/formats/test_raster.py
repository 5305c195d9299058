"""Pictures in every mode, and masks beside them."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from autoseg import formats
from autoseg.errors import GeometryError, LabelError, RefusedError, UnreadableFile, UsageError

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8)
COLOUR = np.stack([GREY, GREY + 50, GREY + 100], -1)
ALPHA = np.full((6, 8, 1), 200, np.uint8)


def saved(path, array, mode=None, **options):
    picture = Image.fromarray(array)
    (picture if mode is None else picture.convert(mode)).save(path, **options)
    return formats.read(path)


@pytest.mark.fault(
    22, "no voxel size at all, as in PNG, JPEG and BMP", "an isotropic grid of pixels; recorded as not known"
)
def test_grey_is_one_channel_without_a_voxel_size(tmp_path):
    volume = saved(tmp_path / "a.png", GREY)
    assert volume.array.shape == (1, 1, 6, 8)
    assert np.array_equal(volume.array[0, 0], GREY)
    assert not volume.spacing_known
    assert volume.grid.spacing_mm == (1.0, 1.0, 1.0)
    assert volume.grid.orientation == "LPS"


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_colour_is_three_channels(tmp_path, suffix):
    volume = saved(tmp_path / f"a{suffix}", COLOUR)
    assert volume.channels == ("R", "G", "B")
    assert np.array_equal(volume.array[:, 0], np.moveaxis(COLOUR, -1, 0))


def test_alpha_is_dropped(tmp_path):
    rgba = saved(tmp_path / "rgba.png", np.concatenate([COLOUR, ALPHA], -1))
    assert np.array_equal(rgba.array[:, 0], np.moveaxis(COLOUR, -1, 0))
    la = saved(tmp_path / "la.png", np.concatenate([GREY[..., None], ALPHA], -1))
    assert np.array_equal(la.array[:, 0], GREY[None])


def test_palette_is_colour_for_images_and_indices_for_masks(tmp_path):
    picture = Image.fromarray(GREY % 3)
    picture.putpalette([10, 20, 30, 90, 80, 70, 5, 5, 250])
    picture.save(tmp_path / "p.png")
    colours = formats.read(tmp_path / "p.png")
    assert colours.array[:, 0, 0, :3].T.tolist() == [[10, 20, 30], [90, 80, 70], [5, 5, 250]]
    indices = formats.read(tmp_path / "p.png", mask=True)
    assert np.array_equal(indices.array[0, 0], GREY % 3)


def test_grey_stored_as_colour_is_one_channel_as_a_mask_only(tmp_path):
    volume = saved(tmp_path / "a.png", np.stack([GREY] * 3, -1))
    assert len(volume.array) == 3
    assert np.array_equal(formats.read(tmp_path / "a.png", mask=True).array[0, 0], GREY)


def test_one_bit_and_sixteen_bit(tmp_path):
    bits = saved(tmp_path / "bits.png", (GREY % 2 * 255).astype(np.uint8), "1")
    assert bits.array.dtype == np.uint8
    assert np.array_equal(bits.array[0, 0], GREY % 2)
    deep = saved(tmp_path / "deep.png", GREY.astype(np.uint16) * 1000)
    assert deep.array.dtype == np.uint16
    assert int(deep.array.max()) == 47000


def test_pictures_stand_upright_as_their_tag_says(tmp_path):
    tags = Image.Exif()
    tags[0x0112] = 6  # turn by 90 degrees
    volume = saved(tmp_path / "a.png", GREY, exif=tags)
    assert volume.array.shape == (1, 1, 8, 6)
    assert np.array_equal(volume.array[0, 0], np.rot90(GREY, -1))
    formats.write_label(tmp_path / "m.png", np.ones((1, 8, 6), np.uint8), tmp_path / "a.png")
    assert Image.open(tmp_path / "m.png").size == (6, 8)


def test_tiff_pages_are_slices_and_colour_is_channels(tmp_path):
    stack = np.random.default_rng(0).integers(0, 60000, (3, 6, 8)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "stack.tif", stack, photometric="minisblack")
    assert np.array_equal(formats.read(tmp_path / "stack.tif").array[0], stack)
    rgba = np.concatenate([COLOUR, ALPHA], -1)
    tifffile.imwrite(tmp_path / "rgba.tif", rgba, photometric="rgb", extrasamples=["unassalpha"])
    assert formats.read(tmp_path / "rgba.tif").array.shape == (3, 1, 6, 8)
    channels = np.random.default_rng(0).random((2, 4, 6, 8)).astype(np.float32)
    tifffile.imwrite(tmp_path / "zc.tif", channels.swapaxes(0, 1), imagej=True, metadata={"axes": "ZCYX"})
    assert np.array_equal(formats.read(tmp_path / "zc.tif").array, channels)


def test_compression_that_needs_pillow(tmp_path):
    volume = saved(tmp_path / "lzw.tif", GREY, compression="tiff_lzw")
    assert np.array_equal(volume.array[0, 0], GREY)
    pages = [Image.fromarray(GREY + i) for i in range(3)]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:], compression="tiff_lzw")
    assert formats.read(tmp_path / "pages.tif").array[0, :, 0, 0].tolist() == [0, 1, 2]


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".tiff"])
def test_masks_return_at_the_same_size_with_their_values(tmp_path, suffix):
    like, out = tmp_path / f"a{suffix}", tmp_path / f"m{suffix}"
    saved(like, COLOUR)
    labels = (GREY[None] % 2) * np.int64(255)
    formats.write_label(out, labels, like)
    assert np.array_equal(np.asarray(Image.open(out)), labels[0])
    assert np.array_equal(formats.read(out, mask=True).array[0], labels)


def test_wide_values_and_stacks(tmp_path):
    saved(tmp_path / "a.png", GREY)
    labels = GREY[None].astype(np.int32) * 1000
    formats.write_label(tmp_path / "m.png", labels, tmp_path / "a.png")
    assert np.array_equal(formats.read(tmp_path / "m.png").array[0], labels)
    with pytest.raises(LabelError, match="0 to 65535"):
        formats.write_label(tmp_path / "m.png", labels - 1, tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "s.tif", np.zeros((3, 6, 8), np.uint8), photometric="minisblack")
    formats.write_label(tmp_path / "ms.tif", np.ones((3, 6, 8), np.uint8), tmp_path / "s.tif")
    assert formats.read(tmp_path / "ms.tif").array.shape == (1, 3, 6, 8)


def test_masks_of_jpeg_are_png(tmp_path):
    like = tmp_path / "a.JPG"
    saved(like, COLOUR)
    assert formats.mask_suffix(like) == ".png"
    formats.write_label(tmp_path / "m.png", GREY[None], like)
    with pytest.raises(UsageError, match=r"\.png"):
        formats.write_label(tmp_path / "m.jpg", GREY[None], like)
    with pytest.raises(GeometryError, match="do not fit"):
        formats.write_label(tmp_path / "m.png", GREY[None, :3], like)


def test_broken_pictures_say_what_is_wrong(tmp_path):
    path = tmp_path / "a.png"
    saved(path, np.random.default_rng(0).integers(0, 255, (60, 80, 3)).astype(np.uint8))
    raw = path.read_bytes()
    for content in (raw[: len(raw) // 2], raw[:30], b"no picture", raw[:60] + b"\xff" + raw[61:]):
        path.write_bytes(content)
        with pytest.raises(UnreadableFile, match="a.png"):
            formats.read(path)
    tif = tmp_path / "a.tif"
    tifffile.imwrite(tif, COLOUR)
    tif.write_bytes(tif.read_bytes()[:100])
    with pytest.raises(UnreadableFile, match="a.tif"):
        formats.read(tif)


def test_pictures_of_absurd_size_are_refused(tmp_path):
    path = tmp_path / "a.bmp"
    saved(path, COLOUR)
    raw = bytearray(path.read_bytes())
    raw[18:26] = (200_000).to_bytes(4, "little") * 2
    path.write_bytes(raw)
    with pytest.raises(RefusedError, match=r"a\.bmp"):
        formats.read(path)


def test_names():
    from pathlib import Path

    assert formats.is_image(Path("x/CASE.NII.GZ"))
    assert not formats.is_image(Path("x/._case.nii.gz"))
    assert not formats.is_image(Path("x/notes.txt"))
    with pytest.raises(UnreadableFile, match="no known image format"):
        formats.read(Path("x/notes.txt"))
