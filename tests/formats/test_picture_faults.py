"""Pictures of odd modes, and the voxel sizes that TIFF tags tell."""

import numpy as np
import pytest
import SimpleITK
import tifffile
from PIL import Image

from autoseg import formats
from autoseg.contracts import Settings
from autoseg.stages import dataset
from tests.real_data import real

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8)
COLOUR = np.stack([GREY, GREY + 50, GREY + 100], -1)
STACK = np.arange(3 * 48, dtype=np.uint16).reshape(3, 6, 8)


@pytest.mark.fault(37, "grey with alpha, or colour that is not opaque", "alpha is dropped, and told")
def test_alpha_is_dropped_and_told(tmp_path):
    for name, bands, told in (
        ("la.png", [GREY, np.full_like(GREY, 255)], True),
        ("rgba.png", [*np.moveaxis(COLOUR, -1, 0), GREY], True),
        ("opaque.png", [*np.moveaxis(COLOUR, -1, 0), np.full_like(GREY, 255)], False),
    ):
        Image.fromarray(np.stack(bands, -1)).save(tmp_path / name)
        volume = formats.read(tmp_path / name)
        assert np.array_equal(volume.array[:, 0], bands[:-1])
        assert bool(volume.repairs) is told
    tifffile.imwrite(tmp_path / "a.tif", np.stack([GREY, GREY], -1), photometric="minisblack", planarconfig="contig",
                     extrasamples=["unassalpha"])  # fmt: skip
    assert "not opaque" in formats.read(tmp_path / "a.tif").repairs[0].reason


def test_real_alpha_is_repaired_and_opaque_colour_is_none_of_our_business():
    made, _ = dataset.inspect(real("negatives/alpha_channel"), Settings())
    [entry] = [entry for entry in made.audit.entries if entry.case != "(all)"]
    assert entry.verdict == "repaired"
    made, _ = dataset.inspect(real("nuclei_png"), Settings())
    assert {entry.verdict for entry in made.audit.entries} == {"ok"}


@pytest.mark.fault(37, "colour of 16 bits", "read in 16 bits")
@pytest.mark.parametrize("bands", [3, 4])
def test_deep_colour_is_not_narrowed(tmp_path, bands):
    deep = np.random.default_rng(0).integers(0, 65535, (6, 8, bands)).astype(np.uint16)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(deep, isVector=True), str(tmp_path / "a.png"))
    volume = formats.read(tmp_path / "a.png")
    assert volume.array.dtype == np.uint16
    assert np.array_equal(volume.array[:, 0], np.moveaxis(deep[..., :3], -1, 0))
    assert len(volume.repairs) == bands - 3


@pytest.mark.fault(37, "inks (CMYK)", "converted to red, green and blue, and told")
def test_inks_become_light(tmp_path):
    Image.fromarray(COLOUR).convert("CMYK").save(tmp_path / "a.jpg", quality=100)
    volume = formats.read(tmp_path / "a.jpg")
    assert volume.channels == ("R", "G", "B")
    assert "CMYK" in volume.repairs[0].reason


@pytest.mark.fault(37, "one bit per pixel; palette", "0 and 1; colours for images and indices for masks")
def test_bits_and_palettes(tmp_path):
    Image.fromarray(GREY % 2 * 255).convert("1").save(tmp_path / "a.png")
    assert np.array_equal(formats.read(tmp_path / "a.png", mask=True).array[0, 0], GREY % 2)
    picture = Image.fromarray(GREY % 3)
    picture.putpalette([10, 20, 30, 90, 80, 70, 5, 5, 250])
    for suffix in (".png", ".tif", ".bmp"):
        picture.save(tmp_path / f"p{suffix}")
        assert formats.read(tmp_path / f"p{suffix}").array[:, 0, 0, 1].tolist() == [90, 80, 70]
        assert np.array_equal(formats.read(tmp_path / f"p{suffix}", mask=True).array[0, 0], GREY % 3)


@pytest.mark.fault(37, "EXIF says that the picture is turned", "turned upright; masks are written so")
def test_turned_pictures(tmp_path):
    tags = Image.Exif()
    tags[0x0112] = 6
    Image.fromarray(GREY).save(tmp_path / "a.jpg", exif=tags, quality=100)
    volume = formats.read(tmp_path / "a.jpg")
    assert volume.array.shape == (1, 1, 8, 6)
    assert volume.notes == ("turned upright, as its EXIF orientation 6 says",)
    Image.fromarray(GREY).save(tmp_path / "b.jpg", quality=100)
    assert formats.read(tmp_path / "b.jpg").notes == ()


IMAGEJ = {"imagej": True, "resolution": (2.0, 4.0), "metadata": {"axes": "ZYX", "spacing": 5.0, "unit": "um"}}
OME = {
    "ome": True,
    "metadata": {"axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25, "PhysicalSizeZ": 5.0},
}
OME_MM = {
    "ome": True,
    "metadata": {"axes": "ZYX"}
    | {f"PhysicalSize{axis}": size for axis, size in zip("XYZ", (0.5, 0.25, 5.0), strict=True)}
    | {f"PhysicalSize{axis}Unit": "mm" for axis in "XYZ"},
}


@pytest.mark.fault(22, "voxel size in the tags of ImageJ or OME", "used; masks get it too")
@pytest.mark.parametrize(
    ("options", "expected"),
    [(IMAGEJ, (0.005, 0.00025, 0.0005)), (OME, (0.005, 0.00025, 0.0005)), (OME_MM, (5.0, 0.25, 0.5))],
)
@pytest.mark.parametrize("extra", [{}, {"bigtiff": True}])
def test_voxel_sizes_of_stacks(tmp_path, options, expected, extra):
    if extra and "imagej" in options:
        pytest.skip("ImageJ has no BigTIFF")
    tifffile.imwrite(tmp_path / "a.tif", STACK, **options, **extra)
    volume = formats.read(tmp_path / "a.tif")
    assert volume.spacing_known
    assert volume.grid.spacing_mm == pytest.approx(expected)
    assert np.array_equal(volume.array[0], STACK)
    formats.write_label(tmp_path / "m.tif", (STACK > 5).astype(np.uint8), tmp_path / "a.tif")
    back = formats.read(tmp_path / "m.tif", mask=True)
    assert np.array_equal(back.grid.affine, volume.grid.affine)
    assert np.array_equal(back.array[0], STACK > 5)


@pytest.mark.fault(
    22, "resolution tags of a plain TIFF", "dots per centimetre are used, dots per inch are for printers"
)
def test_resolution_of_plain_files(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GREY, resolution=(40.0, 20.0), resolutionunit="CENTIMETER")
    volume = formats.read(tmp_path / "a.tif")
    assert volume.grid.spacing_mm == (1.0, 0.5, 0.25)
    assert volume.spacing_known
    tifffile.imwrite(tmp_path / "b.tif", GREY, resolution=(72.0, 72.0), resolutionunit="INCH")
    assert not formats.read(tmp_path / "b.tif").spacing_known
    tifffile.imwrite(
        tmp_path / "c.tif", STACK, photometric="minisblack", resolution=(40.0, 20.0), resolutionunit="CENTIMETER"
    )
    stack = formats.read(tmp_path / "c.tif")
    assert not stack.spacing_known
    assert "no distance between slices" in stack.notes[0]


@pytest.mark.parametrize(
    "options",
    [
        {"tile": (16, 16)},
        {"compression": "zlib"},
        {"planarconfig": "separate", "photometric": "rgb"},
        {"byteorder": ">"},
    ],
)
@pytest.mark.parametrize("kind", ["u1", "u2", "f4"])
def test_ways_to_store_a_tiff(tmp_path, options, kind):
    array = np.random.default_rng(0).integers(0, 200, (3, 40, 48)).astype(kind)
    shown = {"photometric": "minisblack"} | options
    tifffile.imwrite(tmp_path / "a.tif", array, **shown)
    volume = formats.read(tmp_path / "a.tif")
    found = volume.array[:, 0] if "planarconfig" in options else volume.array[0]
    assert np.array_equal(found, array)
    assert found.dtype == np.dtype(kind)
