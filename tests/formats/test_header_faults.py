"""What headers may say about place, size and scale, and what is made of it."""

import nibabel
import numpy as np
import pytest
import SimpleITK
import tifffile

from autoseg import formats
from autoseg.contracts import Case, Settings
from autoseg.errors import GeometryError, UnreadableFile
from autoseg.intake import auditing
from autoseg.stages import dataset
from autoseg.volumes.geometry import shear_deg
from tests.made import ball, folder_of_pairs, nifti, noise

STRAIGHT = np.diag([-1.0, -2.0, 3.0, 1.0])


def written(path, change, array=None, affine=STRAIGHT):
    """A NIfTI file whose header nibabel would not write: the fields are changed in the bytes."""
    nifti(path, noise() if array is None else array, affine)
    raw = bytearray(path.read_bytes())
    header = nibabel.Nifti1Header(bytes(raw[:348]), check=False)
    change(header)
    raw[:348] = header.binaryblock
    path.write_bytes(raw)
    return path


def fields(**values):
    def change(header):
        for name, value in values.items():
            header[name] = value

    return change


def sizes(*zooms, **more):
    def change(header):
        header["pixdim"][1:4] = zooms
        fields(**more)(header)

    return change


def both_forms(sform, qform):
    def change(header):
        header.set_qform(qform, code=1)
        header.set_sform(sform, code=2)

    return change


@pytest.mark.fault(19, "sform and qform differ", "the sform is used; how far the corners lie apart is told in mm")
def test_forms_that_differ_are_told_in_millimetres(tmp_path):
    moved = STRAIGHT.copy()
    moved[0, 3] = 4.0
    volume = formats.read(written(tmp_path / "a.nii", both_forms(STRAIGHT, moved)))
    assert volume.grid.origin_mm == (0.0, 0.0, 0.0)
    assert "up to 4 mm apart; the sform is used" in volume.notes[0]
    assert formats.read(written(tmp_path / "a.nii", both_forms(STRAIGHT, STRAIGHT))).notes == ()


@pytest.mark.fault(
    19, "only one form is set, or none", "the one that is set; none: the voxel size alone, and it is told"
)
def test_the_form_that_is_set_is_used(tmp_path):
    def only_qform(header):
        both_forms(np.diag([9.0, 9.0, 9.0, 1.0]), STRAIGHT)(header)
        header["sform_code"] = 0

    volume = formats.read(written(tmp_path / "a.nii", only_qform))
    assert volume.grid.spacing_mm == (3.0, 2.0, 1.0)
    none = formats.read(written(tmp_path / "a.nii", sizes(0.5, 2, 3, sform_code=0, qform_code=0)))
    assert none.grid.spacing_mm == (3.0, 2.0, 0.5)
    assert none.grid.orientation == "LAS"
    assert any("no orientation" in note for note in none.notes)


@pytest.mark.fault(20, "voxel size 0, negative, NaN or absurd beside a good affine", "taken from the affine, and told")
@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, 1e6])
def test_sizes_are_recovered_from_the_affine(tmp_path, bad):
    volume = formats.read(written(tmp_path / "a.nii", sizes(bad, bad, bad)))
    assert volume.grid.spacing_mm == (3.0, 2.0, 1.0)
    assert "taken from the sform" in volume.repairs[0].repair


@pytest.mark.fault(20, "voxel size 0, NaN or absurd and no affine", "quarantined with the value")
@pytest.mark.parametrize(("bad", "said"), [(0.0, "0.0"), (np.nan, "nan"), (1e6, "1000000.0")])
def test_sizes_that_cannot_be_recovered(tmp_path, bad, said):
    source = folder_of_pairs(tmp_path)
    change = sizes(bad, 1, 1, sform_code=0, qform_code=0)
    (source / "images" / "case_0.nii.gz").unlink()
    written(source / "images" / "case_0.nii", change)
    made, _ = dataset.inspect(source, Settings())
    [found] = [entry for entry in made.audit.entries if entry.case == "case_0"]
    assert found.verdict == "quarantined"
    assert said in found.reason


def test_a_negative_size_without_an_affine_is_taken_without_its_sign(tmp_path):
    volume = formats.read(written(tmp_path / "a.nii", sizes(-1, 2, 3, sform_code=0, qform_code=0)))
    assert volume.grid.spacing_mm == (3.0, 2.0, 1.0)
    assert "sign" in volume.repairs[0].repair


@pytest.mark.fault(21, "lengths in micrometres or metres", "converted to mm, and told; kept where that cannot be meant")
@pytest.mark.parametrize(
    ("unit", "size", "expected"), [("micron", 0.5, 0.0005), ("meter", 0.001, 1.0), ("meter", 1.0, 1.0)]
)
def test_units_are_converted(tmp_path, unit, size, expected):
    affine = np.diag([-size, -size, size, 1.0])
    volume = formats.read(written(tmp_path / "a.nii", lambda h: h.set_xyzt_units(unit), affine=affine))
    assert volume.grid.spacing_mm == pytest.approx((expected,) * 3)
    assert "metres" in volume.notes[0]


def sheared(degrees):
    affine = np.diag([-1.0, -1.0, 3.0, 1.0])
    affine[1, 2] = 3.0 * np.tan(np.radians(degrees))
    return affine


def look(folder, degrees):
    shape = (20, 24, 16)
    image = noise(shape=shape)
    image[6:14, 8:16, 4:12] += 500
    label = np.zeros(shape, np.uint8)
    label[6:14, 8:16, 4:12] = 1
    nifti(folder / "image.nii.gz", image, sheared(degrees))
    nifti(folder / "label.nii.gz", label, sheared(degrees))
    return (
        auditing.load(folder, Case(case="a", subject="a", images=("image.nii.gz",), label="label.nii.gz")),
        image,
        label,
    )


@pytest.mark.fault(23, "axes a little off right angles", "taken as upright below half a degree, and told")
def test_a_small_shear_is_taken_as_upright(tmp_path):
    loaded, image, label = look(tmp_path, 0.3)
    assert loaded.tilted is None
    assert np.array_equal(loaded.image[0], image.T)
    assert np.array_equal(loaded.label, label.T)
    assert any("0.3 degrees" in finding.reason and finding.repair == "taken as upright" for finding in loaded.findings)


@pytest.mark.fault(24, "tilted gantry", "resampled upright for the network; predictions return to the tilted grid")
def test_a_tilted_scan_is_resampled_upright(tmp_path):
    loaded, _, label = look(tmp_path, 15.0)
    assert shear_deg(loaded.grid) < 1e-9
    assert loaded.grid.spacing_mm == pytest.approx((3.0, 1.0, 1.0))
    assert loaded.tilted.shape == (16, 24, 20)
    assert loaded.image.shape[1:] == loaded.label.shape == loaded.grid.shape
    assert loaded.image.dtype == np.float32
    assert loaded.label.sum() == label.sum()  # slices are only shifted against each other
    inside = loaded.image[0][loaded.label > 0]
    assert inside.mean() > 500
    assert any("tilted gantry" in finding.reason for finding in loaded.findings)


@pytest.mark.fault(24, "axes that almost coincide", "quarantined, with the angle")
def test_axes_that_almost_coincide_are_refused(tmp_path):
    with pytest.raises(GeometryError, match="degrees off right angles"):
        look(tmp_path, 88.5)


@pytest.mark.fault(25, "singular affine, or NaN in it, and no other", "quarantined, with the values")
@pytest.mark.parametrize("bad", [np.nan, 0.0])
def test_affines_that_place_nothing(tmp_path, bad):
    def change(header):
        header["srow_x"][:3] = bad
        header["qform_code"] = 0
        header["pixdim"][1:4] = bad

    with pytest.raises(GeometryError, match="places the voxels"):
        formats.read(written(tmp_path / "a.nii", change))


@pytest.mark.fault(26, "axis without voxels", "quarantined")
def test_an_axis_of_size_zero(tmp_path):
    def change(header):
        header["dim"][2] = 0

    with pytest.raises(UnreadableFile, match="holds no voxel"):
        formats.read(written(tmp_path / "a.nii", change))


@pytest.mark.fault(26, "single slice whose third axis has no size", "read as one slice of 1 mm")
def test_a_slice_without_thickness(tmp_path):
    plane = noise(shape=(12, 10, 1))
    affine = np.diag([-1.0, -2.0, 0.0, 1.0])
    path = nifti(tmp_path / "a.nii", plane, np.diag([-1.0, -2.0, 1.0, 1.0]))
    raw = bytearray(path.read_bytes())
    header = nibabel.Nifti1Header(bytes(raw[:348]), check=False)
    for row, name in enumerate(("srow_x", "srow_y", "srow_z")):
        header[name] = affine[row]
    header["qform_code"] = 0
    header["pixdim"][3] = 0
    raw[:348] = header.binaryblock
    path.write_bytes(raw)
    volume = formats.read(path)
    assert volume.array.shape == (1, 1, 10, 12)
    assert volume.grid.spacing_mm == (1.0, 2.0, 1.0)


@pytest.mark.fault(27, "fourth axis of one volume, of vectors, or of time", "squeezed; channels; told, and asked for")
def test_fourth_axes(tmp_path):
    one = formats.read(nifti(tmp_path / "one.nii", noise(shape=(6, 5, 4, 1))))
    assert one.array.shape == (1, 4, 5, 6)
    assert not one.open_axis4

    def timed(header):
        header.set_xyzt_units("mm", "sec")
        header["pixdim"][4] = 2.5

    several = formats.read(written(tmp_path / "t.nii", timed, noise(shape=(6, 5, 4, 7)), np.diag([-1, -1, 1, 1.0])))
    assert several.array.shape == (7, 4, 5, 6)
    assert "7 volumes are 2.5 apart in time" in several.notes[0]
    assert several.open_axis4
    assert np.array_equal(several.at(3).array, several.array[3:4])
    vector = formats.read(nifti(tmp_path / "v.nii", noise(shape=(6, 5, 4, 1, 3))))
    assert vector.array.shape == (3, 4, 5, 6)
    assert not vector.open_axis4
    assert vector.at(1) is vector
    with pytest.raises(UnreadableFile, match="more than one axis"):
        formats.read(nifti(tmp_path / "tv.nii", noise(shape=(6, 5, 4, 2, 3))))


@pytest.mark.parametrize(
    ("suffix", "vectors", "is_open"),
    [
        (".nii", True, False),
        (".nii", False, True),
        (".nrrd", True, False),
        (".mha", True, False),
        (".mha", False, True),
    ],
)
def test_axes_that_files_tell(tmp_path, suffix, vectors, is_open):
    array = np.random.default_rng(0).random((4, 5, 6, 2) if vectors else (2, 4, 5, 6)).astype(np.float32)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(array, isVector=vectors), str(tmp_path / f"a{suffix}"))
    volume = formats.read(tmp_path / f"a{suffix}")
    assert np.array_equal(volume.array, np.moveaxis(array, -1, 0) if vectors else array)
    assert volume.open_axis4 == is_open


@pytest.mark.parametrize(("kind", "is_open"), [("vector", False), ("RGB-color", False), ("time", True), ("???", True)])
def test_kinds_of_nrrd_axes(tmp_path, kind, is_open):
    words = "type: uchar\ndimension: 4\nsizes: 3 6 5 4\nspace: LPS\nspace directions: none (1,0,0) (0,1,0) (0,0,1)"
    head = f"NRRD0004\n{words}\nkinds: {kind} space space space\nencoding: raw\n\n"
    (tmp_path / "a.nrrd").write_bytes(head.encode() + bytes(360))
    assert formats.read(tmp_path / "a.nrrd").open_axis4 == is_open


@pytest.mark.parametrize(("axes", "is_open"), [("TZYX", True), ("ZCYX", False)])
def test_axes_of_tiff(tmp_path, axes, is_open):
    array = np.random.default_rng(0).random((3, 4, 6, 8)).astype(np.float32)
    tifffile.imwrite(tmp_path / "a.tif", array, imagej=True, metadata={"axes": axes})
    volume = formats.read(tmp_path / "a.tif")
    assert (volume.array.shape, volume.open_axis4) == (((3, 4, 6, 8), True) if is_open else ((4, 3, 6, 8), False))


@pytest.mark.fault(27, "complex voxels", "quarantined, asking for magnitude or phase")
def test_complex_voxels(tmp_path):
    nibabel.Nifti1Image(np.ones((4, 4, 4), np.complex64), STRAIGHT).to_filename(tmp_path / "a.nii")
    with pytest.raises(UnreadableFile, match="complex"):
        formats.read(tmp_path / "a.nii")


@pytest.mark.parametrize("kind", [np.int64, np.uint64])
def test_wide_voxels(tmp_path, kind):
    array = np.arange(60).reshape(5, 4, 3).astype(kind)
    nibabel.Nifti1Image(array, STRAIGHT, dtype=kind).to_filename(tmp_path / "a.nii")
    volume = formats.read(tmp_path / "a.nii")
    assert np.array_equal(volume.array[0], array.T)
    assert volume.array.dtype.itemsize == 8


@pytest.mark.parametrize("code", [0, 1, 1536, 9999])
def test_types_that_are_not_read(tmp_path, code):
    with pytest.raises(UnreadableFile, match="type"):
        formats.read(written(tmp_path / "a.nii", fields(datatype=code)))


@pytest.mark.fault(34, "scl_slope 0", "not scaled, as the standard says")
def test_a_slope_of_zero_is_none(tmp_path):
    volume = formats.read(written(tmp_path / "a.nii", fields(scl_slope=0.0, scl_inter=7.0), ball(dtype=np.int16)))
    assert volume.array.dtype == np.int16
    assert volume.array.max() == 1


@pytest.mark.fault(
    34, "scl_slope or scl_inter NaN, infinite, or so large that values overflow", "quarantined, with both"
)
@pytest.mark.parametrize(("slope", "inter"), [(np.nan, 0), (np.inf, 0), (2.0, np.nan), (3e38, 0.0)])
def test_slopes_that_are_no_numbers(tmp_path, slope, inter):
    array = ball(100, dtype=np.int16)
    with pytest.raises(UnreadableFile, match="scl_slope"):
        formats.read(written(tmp_path / "a.nii", fields(scl_slope=slope, scl_inter=inter), array))


@pytest.mark.fault(35, "one voxel of 1e30", "clipped to the largest sane value; statistics are those of the rest")
def test_a_hot_voxel_does_not_spoil_the_statistics(tmp_path):
    source = folder_of_pairs(tmp_path)
    image = noise()
    image[0, 0, 0] = 1e30
    nifti(source / "images" / "case_0.nii.gz", image)
    made, scans = dataset.inspect(source, Settings())
    [found] = [scan for scan in scans if scan.case == "case_0"]
    assert 140 < found.overall[0].quantiles[254] < 200
    assert found.overall[0].quantiles[256] < 1e3
    assert np.isfinite([found.overall[0].mean, found.overall[0].std]).all()


def nrrd(path, *lines):
    head = ["NRRD0005", "type: uint8", "dimension: 3", "sizes: 2 2 2", "encoding: raw", *lines]
    path.write_bytes("\n".join([*head, "", ""]).encode() + bytes(range(8)))
    return path


def test_spaces_of_nrrd_become_lps(tmp_path):
    steps, origin = "space directions: (1,0,0) (0,1,0) (0,0,2)", "space origin: (5,6,7)"
    for space, expected in (("left-posterior-superior", (5, 6, 7)), ("RAS", (-5, -6, 7)), ("LAS", (5, -6, 7))):
        volume = formats.read(nrrd(tmp_path / "a.nrrd", f"space: {space}", steps, origin))
        assert volume.grid.origin_mm == expected
        assert volume.notes == ()
    unnamed = formats.read(nrrd(tmp_path / "a.nrrd", "space dimension: 3", steps, origin))
    assert "taken as left-posterior-superior" in unnamed.notes[0]
    micro = formats.read(nrrd(tmp_path / "a.nrrd", "space: RAS", 'space units: "um" "um" "um"', steps, origin))
    assert micro.grid.spacing_mm == (0.002, 0.001, 0.001)


@pytest.mark.parametrize("line", ["spacings: 0 1 1", "spacings: 1e9 1 1"])
def test_sizes_of_nrrd_that_cannot_be(tmp_path, line):
    with pytest.raises((GeometryError, UnreadableFile), match=r"a\.nrrd"):
        formats.read(nrrd(tmp_path / "a.nrrd", line))


def test_unknown_sizes_of_nrrd_and_metaimage(tmp_path):
    assert not formats.read(nrrd(tmp_path / "a.nrrd")).spacing_known
    (tmp_path / "a.mha").write_bytes(
        b"NDims = 3\nDimSize = 2 2 2\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n" + bytes(8)
    )
    assert not formats.read(tmp_path / "a.mha").spacing_known
