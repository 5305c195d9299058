"""DICOM series to volumes, and every way in which a folder of slices can be wrong."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.uid import JPEGLosslessSV1

from autoseg import formats
from autoseg.errors import DataError, GeometryError, RefusedError, UnreadableFile
from autoseg.volumes import geometry
from tests import dicom_made as made
from tests.real_data import real

VOXELS = made.voxels()


def test_slices_are_sorted_by_position_and_spaced_by_it(tmp_path: Path) -> None:
    files = made.series(tmp_path, VOXELS)
    for file in (files[0], files[3]):
        volume = formats.read(file)
        assert np.array_equal(volume.array[0], VOXELS)
        assert np.allclose(volume.grid.affine, made.affine())
        assert volume.spacing_known and volume.notes == ()
    assert volume.uids == tuple(pydicom.dcmread(file).SOPInstanceUID for file in files)


def test_the_content_of_every_slice_counts(tmp_path: Path) -> None:
    files = made.series(tmp_path, VOXELS)
    before = formats.read(files[0]).sha256
    assert formats.read(files[5]).sha256 == before
    made.edit(files[2], PatientComments="changed")
    assert formats.read(files[0]).sha256 != before
    assert set(formats.files(files[0])) == set(files)


@pytest.mark.fault(62, "DICOM files without suffix", "known by their content")
def test_files_without_suffix(tmp_path: Path) -> None:
    files = made.series(tmp_path, VOXELS, name="{}")
    (tmp_path / "README").write_text("about these images")
    assert np.array_equal(formats.read(files[0]).array[0], VOXELS)


@pytest.mark.fault(62, "DICOM files without preamble", "read as the data set that they begin with")
def test_files_without_preamble(tmp_path: Path) -> None:
    files = made.series(tmp_path, VOXELS)
    for file in files:
        data = pydicom.dcmread(file)
        del data.file_meta, data.preamble
        data.save_as(file, implicit_vr=True, little_endian=True)
        assert b"DICM" not in file.read_bytes()
    assert np.array_equal(formats.read(files[0]).array[0], VOXELS)


def test_implicit_and_explicit_elements_without_preamble_are_dicom(tmp_path: Path) -> None:
    for number, implicit in enumerate((True, False)):
        file = made.series(tmp_path / str(number), VOXELS[:1])[0]
        data = pydicom.dcmread(file)
        del data.file_meta, data.preamble
        data.save_as(file, implicit_vr=implicit, little_endian=True)
        assert formats.is_dicom(file)


def test_what_is_not_dicom(tmp_path: Path) -> None:
    for name, content in {"a": b"", "b": b"text" * 50, "c.dcm": b"\0" * 200, "e.txt": b"\0" * 128 + b"DICM"}.items():
        (tmp_path / name).write_bytes(content)
        assert not formats.is_dicom(tmp_path / name)
    with pytest.raises(UnreadableFile, match="no known image format"):
        formats.read(tmp_path / "c.dcm")


@pytest.mark.fault(62, "several series in one folder", "each read for itself")
def test_several_series_in_one_folder(tmp_path: Path) -> None:
    one = made.series(tmp_path, VOXELS, name="a{}")
    other = made.series(tmp_path, VOXELS[:4] + 7, name="b{}", who=made.identity(series="other"))
    assert np.array_equal(formats.read(one[0]).array[0], VOXELS)
    assert np.array_equal(formats.read(other[0]).array[0], VOXELS[:4] + 7)


@pytest.mark.fault(62, "a localiser in the series", "left out, and named")
def test_a_localiser_of_the_series_is_left_out(tmp_path: Path) -> None:
    files = made.series(tmp_path, VOXELS)
    made.series(tmp_path, VOXELS[:1, :8], name="scout", directions=(0, 1, 0, 0, 0, -1), first=99)
    volume = formats.read(files[0])
    assert np.array_equal(volume.array[0], VOXELS)
    assert "1 of 7 images" in volume.notes[0] and "InstanceNumber 99 (scout)" in volume.notes[0]


@pytest.mark.fault(62, "a slice stored twice", "one copy is taken, and the other is named")
def test_copies_are_left_out(tmp_path: Path) -> None:
    files = made.series(tmp_path, VOXELS)
    (tmp_path / "copy.dcm").write_bytes(files[2].read_bytes())
    volume = formats.read(files[0])
    assert np.array_equal(volume.array[0], VOXELS)
    assert "1 slices are stored twice" in volume.notes[0] and "InstanceNumber 4" in volume.notes[0]


@pytest.mark.fault(62, "different slices at one position", "quarantined, with the instance numbers")
def test_different_slices_at_one_place(tmp_path: Path) -> None:
    files = made.series(tmp_path, VOXELS)
    made.series(tmp_path, VOXELS + 1, name="again{}", first=101)
    with pytest.raises(DataError, match=r"6 slices lie at the place of another.*InstanceNumber 6 .*InstanceNumber 106"):
        formats.read(files[0])


@pytest.mark.fault(62, "a slice missing in the midst", "quarantined, with the instance numbers around the gap")
def test_a_missing_slice(tmp_path: Path) -> None:
    files = made.series(tmp_path, made.voxels((9, 6, 6)))
    files[4].unlink()
    with pytest.raises(DataError, match=r"about 1 slices are missing.*5 mm.*InstanceNumber 6 .*InstanceNumber 4 "):
        formats.read(files[0])


@pytest.mark.fault(62, "a slice far from all others", "left out, and named with the distance")
def test_a_stray_slice(tmp_path: Path) -> None:
    files = made.series(tmp_path, VOXELS)
    made.series(tmp_path, VOXELS[:1], name="stray", origin=(-10.0, -20.0, 300.0), first=77)
    volume = formats.read(files[0])
    assert np.array_equal(volume.array[0], VOXELS)
    assert "InstanceNumber 77 (stray)" in volume.notes[0] and "257.5 mm" in volume.notes[0]


@pytest.mark.fault(62, "slices spaced unevenly", "taken as even below a quarter of a step, else quarantined")
def test_uneven_spacing(tmp_path: Path) -> None:
    files = made.series(tmp_path, VOXELS)
    made.edit(files[3], ImagePositionPatient=[-10.0, -20.0, 30.0 + 3.15 * 2.5])
    assert "spaced unevenly" in formats.read(files[0]).notes[0]
    made.edit(files[3], ImagePositionPatient=[-10.0, -20.0, 30.0 + 3.4 * 2.5])
    with pytest.raises(GeometryError, match="spaced unevenly, 1.5 to 3.5 mm"):
        formats.read(files[0])


@pytest.mark.fault(24, "CT with tilted gantry", "kept as the sheared grid that it is, with the angle")
def test_gantry_tilt_is_exact(tmp_path: Path) -> None:
    files = made.series(tmp_path, VOXELS, step=(0.0, 1.0, 2.5))
    volume = formats.read(files[0])
    assert np.allclose(volume.grid.affine[:3, 0], (0.0, 1.0, 2.5))
    assert "tilted by 21.8 degrees" in volume.notes[0]


def test_sagittal_slices(tmp_path: Path) -> None:
    files = made.series(tmp_path, VOXELS, directions=(0, 1, 0, 0, 0, -1))
    volume = formats.read(files[0])
    assert volume.grid.orientation == "PIR"
    assert np.array_equal(volume.array[0], VOXELS)


def test_rescaling_keeps_whole_numbers(tmp_path: Path) -> None:
    volume = formats.read(made.series(tmp_path, VOXELS, RescaleSlope=1, RescaleIntercept=-1024)[0])
    assert volume.array.dtype == np.int16
    assert np.array_equal(volume.array[0], VOXELS.astype(int) - 1024)


def test_shifted_values_beyond_16_bits(tmp_path: Path) -> None:
    values = VOXELS.copy()
    values[3, 0, 0] = 65535
    volume = formats.read(made.series(tmp_path, values, RescaleSlope=1, RescaleIntercept=-1024)[0])
    assert np.array_equal(volume.array[0], values.astype(int) - 1024)


def test_slopes_of_each_slice(tmp_path: Path) -> None:
    files = made.series(tmp_path, VOXELS, RescaleIntercept=0)
    for number, file in enumerate(files):
        made.edit(file, RescaleSlope=0.5 + number)
    volume = formats.read(files[0])
    assert volume.array.dtype == np.float32
    assert np.allclose(volume.array[0], VOXELS * (0.5 + np.arange(6))[:, None, None])


@pytest.mark.fault(36, "values stored inverted (MONOCHROME1)", "turned, and told")
def test_monochrome1_is_turned(tmp_path: Path) -> None:
    files = made.series(tmp_path, VOXELS, PhotometricInterpretation="MONOCHROME1", BitsStored=12, HighBit=11)
    volume = formats.read(files[0])
    assert np.array_equal(volume.array[0], 4095 - VOXELS)
    assert "MONOCHROME1" in volume.notes[0]


@pytest.mark.fault(62, "enhanced multi-frame file", "read, its frames sorted by position")
def test_enhanced_multi_frame(tmp_path: Path) -> None:
    volume = formats.read(made.enhanced(tmp_path / "mf.dcm", VOXELS, order=(3, 0, 5, 1, 4, 2)))
    assert np.array_equal(volume.array[0], VOXELS.astype(int) - 10)
    assert np.allclose(volume.grid.affine, made.affine())


def test_colour_pictures(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 255, (5, 7, 3)).astype(np.uint8)
    volume = formats.read(made.picture(tmp_path / "shot.dcm", colours))
    assert volume.channels == ("R", "G", "B") and not volume.spacing_known
    assert np.array_equal(volume.array[:, 0], np.moveaxis(colours, -1, 0))


def test_pictures_of_one_series_stay_apart(tmp_path: Path) -> None:
    files = [made.picture(tmp_path / name, VOXELS[0] + number, PatientID="P") for number, name in enumerate("ab")]
    for file in files:
        made.edit(file, SeriesInstanceUID=made.uid("one series"))
    assert np.array_equal(formats.read(files[1]).array[0, 0], VOXELS[0] + 1)


def test_lossless_jpeg(tmp_path: Path) -> None:
    """Written by ITK's GDCM, which also reads it where pydicom has no plug-in."""
    file = tmp_path / "jpeg.dcm"
    writer = SimpleITK.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.SetUseCompression(True)
    writer.SetCompressor("JPEG")
    writer.SetFileName(str(file))
    writer.Execute(SimpleITK.GetImageFromArray(VOXELS[0]))
    assert pydicom.dcmread(file).file_meta.TransferSyntaxUID == JPEGLosslessSV1
    made.edit(file, RescaleSlope=1, RescaleIntercept=-1024, ImagePositionPatient=[0, 0, 0])
    assert np.array_equal(formats.read(file).array[0, 0], VOXELS[0].astype(int) - 1024)


@pytest.mark.fault(62, "a compression that cannot be undone", "quarantined, naming the transfer syntax")
def test_unsupported_transfer_syntax(tmp_path: Path) -> None:
    file = made.series(tmp_path, VOXELS[:1])[0]
    data = pydicom.dcmread(file)
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"
    data.PixelData = pydicom.encaps.encapsulate([b"\0" * 64])
    data["PixelData"].VR = "OB"
    data.save_as(file, enforce_file_format=True)
    with pytest.raises(UnreadableFile, match=r"transfer syntax MPEG2.*1\.2\.840\.10008\.1\.2\.4\.100.*decompress"):
        formats.read(file)


@pytest.mark.fault(1, "a DICOM slice cut short", "quarantined, naming the file")
def test_a_slice_cut_short(tmp_path: Path) -> None:
    files = made.series(tmp_path, VOXELS)
    files[2].write_bytes(files[2].read_bytes()[:-60])
    with pytest.raises(UnreadableFile, match=files[2].name):
        formats.read(files[0])


@pytest.mark.fault(7, "a DICOM header that declares an absurd size", "refused before anything is allocated")
def test_absurd_size(tmp_path: Path) -> None:
    file = made.enhanced(tmp_path / "mf.dcm", VOXELS)
    data = pydicom.dcmread(file)
    data.Rows = data.Columns = 65535
    data.PerFrameFunctionalGroupsSequence = [made._at(-10.0, -20.0, 2.5 * number) for number in range(4)]
    data.save_as(file)
    with pytest.raises(RefusedError, match="declares"):
        formats.read(file)


def test_a_direction_that_spans_no_plane(tmp_path: Path) -> None:
    file = made.series(tmp_path, VOXELS[:1])[0]
    made.edit(file, ImageOrientationPatient=[1, 0, 0, 1, 0, 0])
    with pytest.raises(GeometryError, match="spans no plane"):
        formats.read(file)


def test_other_formats_do_not_wait_for_dicom() -> None:
    code = "import sys; from autoseg import formats, layouts; sys.exit('autoseg.formats.dicom.headers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.data
@pytest.mark.parametrize("patient", ["STS_019", "STS_025"])
@pytest.mark.parametrize("modality", ["CT", "PET"])
def test_real_series_equal_their_nifti_copies(patient: str, modality: str) -> None:
    root = real("dicom") / "sts_rtstruct"
    volume = formats.read(next((root / "dicom" / patient / modality / "image").iterdir()))
    copy = formats.read(root / "nifti" / patient / f"{modality}_image.nii.gz")
    assert geometry.compare(copy.grid, volume.grid).kind == "same"
    ours, theirs = (geometry.canonicalize(each.array, each.grid)[0] for each in (volume, copy))
    assert np.allclose(ours, theirs, rtol=0, atol=1e-6)


@pytest.mark.data
@pytest.mark.parametrize("shape", ["23x38x3", "24x38x3"])
def test_a_real_multi_frame_file_equals_its_slices(shape: str) -> None:
    root = real("dicom") / "dcmqi_seg" / shape
    slices = formats.read(next((root / "image").iterdir()))
    frames = formats.read(root / "multiframe" / "mf.dcm")
    assert np.array_equal(slices.array, frames.array)
    assert np.allclose(slices.grid.affine, frames.grid.affine)
