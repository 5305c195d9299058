"""DICOM-SEG and RTSTRUCT to masks on the image's grid, and back."""

import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pydicom
import pytest

from autoseg import formats
from autoseg.errors import GeometryError, LabelError, UnreadableFile, UsageError
from autoseg.formats import Structures, Volume
from autoseg.volumes import geometry
from autoseg.volumes.polygons import filled
from tests import dicom_made as made
from tests.real_data import real

ONE, OTHER = made.box(), made.box(z=slice(2, 5), y=slice(4, 8))


def first(structures: Structures) -> np.ndarray:
    return next(structures.masks)


def series(folder: Path) -> tuple[list[Path], Volume]:
    files = made.series(folder / "ct")
    return files, formats.read(files[0])


# --------------------------------------------------------------------------------------------------- segmentations


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL"])
def test_segments_that_overlap(tmp_path: Path, kind: str) -> None:
    files, image = series(tmp_path)
    seg = made.segmentation(tmp_path / "any.seg", {"liver": ONE, "tumour": OTHER}, files, kind)
    assert formats.holds_structures(seg) and not formats.holds_structures(files[0])
    structures = formats.read_structures(seg, image)
    assert structures.names == ("liver", "tumour") and structures.notes == ()
    assert np.array_equal(list(structures.masks), [ONE, OTHER])
    assert np.array_equal(structures.grid.affine, image.grid.affine)


def test_a_label_map_of_few_frames(tmp_path: Path) -> None:
    files, image = series(tmp_path)
    seg = made.segmentation(tmp_path / "map.dcm", {"a": ONE & ~OTHER, "b": OTHER}, files, "LABELMAP")
    structures = formats.read_structures(seg, image)
    assert structures.names == ("a", "b")
    assert np.array_equal(list(structures.masks), [ONE & ~OTHER, OTHER])


def test_a_label_map_with_values_that_nobody_described(tmp_path: Path) -> None:
    files, image = series(tmp_path)
    seg = made.segmentation(tmp_path / "map.dcm", {"a": ONE & ~OTHER, "b": OTHER}, files, "LABELMAP")
    made.edit(seg, SegmentSequence=list(pydicom.dcmread(seg).SegmentSequence)[:1])
    structures = formats.read_structures(seg, image)
    assert structures.names == ("a",) and "values [2] are not described" in structures.notes[0]


@pytest.mark.fault(42, "true fractions in a DICOM-SEG", "cut at one half, and told")
def test_fractions_are_cut_at_one_half(tmp_path: Path) -> None:
    files, image = series(tmp_path)
    mask = np.zeros(made.voxels().shape, bool)
    mask[2, 0, :4] = True
    fractions = np.zeros((1, 10, 12), np.uint8)
    fractions[0, 0, :4] = 99, 100, 150, 200
    seg = made.segmentation(tmp_path / "f.dcm", {"a": mask}, files, "FRACTIONAL", fractions)
    structures = formats.read_structures(seg, image)
    assert first(structures)[2, 0, :4].tolist() == [False, True, True, True]
    assert "fractional" in structures.notes[0]


def test_equal_names_get_their_number(tmp_path: Path) -> None:
    files, image = series(tmp_path)
    seg = made.segmentation(tmp_path / "s.dcm", {"a": ONE, "b": OTHER}, files)
    segments = pydicom.dcmread(seg).SegmentSequence
    segments[1].SegmentLabel = "a"
    made.edit(seg, SegmentSequence=list(segments))
    assert formats.read_structures(seg, image).names == ("a_1", "a_2")


@pytest.mark.fault(16, "a DICOM-SEG a fraction of a voxel beside the image", "taken by index, and told")
def test_a_segmentation_slightly_beside(tmp_path: Path) -> None:
    files, image = series(tmp_path)
    shifted = made.series(tmp_path / "shifted", origin=(-10.0 + 0.2 * 0.7, -20.0, 30.0))
    seg = made.segmentation(tmp_path / "s.dcm", {"a": ONE}, shifted)
    structures = formats.read_structures(seg, image)
    assert np.array_equal(first(structures), ONE)
    assert "0.2 voxel beside" in structures.notes[0]


@pytest.mark.fault(14, "a DICOM-SEG on another grid", "resampled onto the image's grid, and told")
def test_a_segmentation_on_another_grid(tmp_path: Path) -> None:
    files, image = series(tmp_path)
    finer = made.series(
        tmp_path / "finer",
        made.voxels((6, 20, 24)),
        spacing=(2.5, 0.4, 0.35),
        origin=(-10.175, -20.2, 30.0),
    )
    fine = ONE.repeat(2, axis=1).repeat(2, axis=2)
    seg = made.segmentation(tmp_path / "s.dcm", {"a": fine}, finer)
    structures = formats.read_structures(seg, image)
    assert np.array_equal(first(structures), ONE)
    assert "another grid" in structures.notes[0]


@pytest.mark.fault(17, "a DICOM-SEG of another place", "quarantined; parts outside the image are told")
def test_a_segmentation_outside_the_image(tmp_path: Path) -> None:
    files, image = series(tmp_path)
    longer = made.series(tmp_path / "longer", made.voxels((9, 10, 12)))
    inside_and_out = made.box((9, 10, 12), z=slice(4, 9))
    structures = formats.read_structures(made.segmentation(tmp_path / "s.dcm", {"a": inside_and_out}, longer), image)
    assert np.array_equal(first(structures), inside_and_out[:6])
    assert "3 frames lie outside the image" in structures.notes[0]
    far = made.series(tmp_path / "far", origin=(500.0, -20.0, 30.0))
    with pytest.raises(GeometryError, match="outside the image"):
        formats.read_structures(made.segmentation(tmp_path / "t.dcm", {"a": ONE}, far), image)


def test_a_segmentation_without_segments(tmp_path: Path) -> None:
    files, image = series(tmp_path)
    seg = made.segmentation(tmp_path / "s.dcm", {"a": ONE}, files)
    made.edit(seg, SegmentSequence=None)
    with pytest.raises(LabelError, match="describes no segments"):
        formats.read_structures(seg, image)


@pytest.mark.fault(1, "a DICOM-SEG cut short", "quarantined, naming the file")
def test_a_segmentation_cut_short(tmp_path: Path) -> None:
    files, image = series(tmp_path)
    seg = made.segmentation(tmp_path / "s.dcm", {"a": ONE}, files)
    seg.write_bytes(seg.read_bytes()[:-20])
    with pytest.raises(UnreadableFile, match=r"s\.dcm"):
        formats.read_structures(seg, image)


@pytest.mark.fault(45, "a DICOM-SEG given as an image, or an image as a label", "quarantined, saying which it is")
def test_images_are_no_structures(tmp_path: Path) -> None:
    files, image = series(tmp_path)
    with pytest.raises(UnreadableFile, match="holds no structures"):
        formats.read_structures(files[0], image)
    with pytest.raises(UnreadableFile, match=r"structures \(SEG\)"):
        formats.read(made.segmentation(tmp_path / "s.dcm", {"a": ONE}, files))


@pytest.mark.parametrize("kind", ["SEG", "RTSTRUCT"])
def test_many_structures_are_never_all_in_memory(tmp_path: Path, kind: str) -> None:
    shape = (40, 160, 160)
    files = made.series(tmp_path / "ct", np.zeros(shape, np.uint16))
    image = formats.read(files[0])
    names = [f"structure {number}" for number in range(30)]
    if kind == "SEG":
        path = made.segmentation(tmp_path / "s.seg", dict.fromkeys(names, made.box(shape)), files)
    else:
        drawn = [made.rectangle(z, (0.6, 150.4), (1.6, 90.4)) for z in range(1, 4)]
        path = made.rtstruct(tmp_path / "rs", dict.fromkeys(names, drawn), files)
    tracemalloc.start()
    counts = {int(mask.sum()) for mask in formats.read_structures(path, image).masks}
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(counts) == 1 and counts.pop() > 0
    assert peak < 3 * image.array.nbytes < len(names) * image.array.size / 2


# -------------------------------------------------------------------------------------------------------- contours


def test_contours_and_holes(tmp_path: Path) -> None:
    files, image = series(tmp_path)
    ring = [made.rectangle(z, (0.6, 7.4), (1.6, 9.4)) for z in (1, 2)] + [made.rectangle(2, (2.6, 4.4), (3.6, 6.4))]
    rt = made.rtstruct(tmp_path / "rs", {"ring": ring, "box": [made.rectangle(4, (-0.4, 0.4), (-0.4, 0.4))]}, files)
    assert formats.holds_structures(rt)
    structures = formats.read_structures(rt, image)
    expected = np.zeros((2, 6, 10, 12), bool)
    expected[0, 1:3, 1:8, 2:10] = True
    expected[0, 2, 3:5, 4:7] = False
    expected[1, 4, 0, 0] = True
    assert structures.names == ("ring", "box") and structures.notes == ()
    assert np.array_equal(list(structures.masks), expected)


def test_a_hole_joined_to_its_outline(tmp_path: Path) -> None:
    """A keyhole: one contour that runs in along a line, around the hole, and back out."""
    files, image = series(tmp_path)
    outer, inner = made.rectangle(2, (0.6, 7.4), (1.6, 9.4)), made.rectangle(2, (2.6, 4.4), (3.6, 6.4))
    rt = made.rtstruct(tmp_path / "rs", {"ring": [[*outer, outer[0], *inner[::-1], inner[-1]]]}, files)
    mask = first(formats.read_structures(rt, image))[2]
    assert mask.sum() == 7 * 8 - 2 * 3 and not mask[3:5, 4:7].any()


def test_contours_on_a_tilted_series(tmp_path: Path) -> None:
    files = made.series(tmp_path / "ct", step=(0.0, 1.0, 2.5))
    image = formats.read(files[0])
    rt = made.rtstruct(tmp_path / "rs", {"a": [made.rectangle(3, (1.6, 5.4), (2.6, 7.4), image.grid.affine)]}, files)
    expected = np.zeros(image.grid.shape, bool)
    expected[3, 2:6, 3:8] = True
    assert np.array_equal(first(formats.read_structures(rt, image)), expected)


@pytest.mark.fault(62, "an RTSTRUCT whose images are not there", "contours placed by position, and told")
def test_references_that_are_not_there(tmp_path: Path) -> None:
    files, image = series(tmp_path)
    elsewhere = made.series(tmp_path / "other", who=made.identity(series="lost"))
    rt = made.rtstruct(tmp_path / "rs", {"a": [made.rectangle(3, (1.6, 5.4), (2.6, 7.4))]}, elsewhere)
    structures = formats.read_structures(rt, image)
    assert first(structures).sum() == 4 * 5
    assert "none of the images that the file refers to is in the series" in structures.notes[0]


@pytest.mark.fault(17, "contours outside the image", "left out and told; quarantined if there are no others")
def test_contours_outside(tmp_path: Path) -> None:
    files, image = series(tmp_path)
    inside, outside = made.rectangle(3, (1.6, 5.4), (2.6, 7.4)), made.rectangle(9, (1.6, 5.4), (2.6, 7.4))
    structures = formats.read_structures(made.rtstruct(tmp_path / "a", {"a": [inside, outside]}, files), image)
    assert first(structures).sum() == 20
    assert structures.notes == ("1 contours lie outside the image (at z = 52.5 mm) and are left out",)
    with pytest.raises(GeometryError, match="none of its 1 closed contours"):
        formats.read_structures(made.rtstruct(tmp_path / "b", {"a": [outside]}, files), image)


def test_a_contour_around_the_whole_image(tmp_path: Path) -> None:
    files, image = series(tmp_path)
    rt = made.rtstruct(tmp_path / "rs", {"body": [made.rectangle(2, (-30, 40), (-30, 40))]}, files)
    structures = formats.read_structures(rt, image)
    assert first(structures)[2].all() and first(structures).sum() == 120
    assert "cut there" in structures.notes[0]


def test_contours_between_and_across_slices(tmp_path: Path) -> None:
    files, image = series(tmp_path)
    between = [[x, y, z + 0.3 * 2.5] for x, y, z in made.rectangle(3, (1.6, 5.4), (2.6, 7.4))]
    across = [[0.0, -15.0, 30.0], [0.0, -12.0, 40.0], [0.0, -18.0, 40.0]]
    structures = formats.read_structures(made.rtstruct(tmp_path / "rs", {"a": [between, across]}, files), image)
    assert first(structures)[3].sum() == first(structures).sum() == 20
    assert "1 contours lie between slices" in structures.notes[0]
    assert "1 contours are not drawn on slices" in structures.notes[1]


def test_points_are_no_masks(tmp_path: Path) -> None:
    files, image = series(tmp_path)
    rt = made.rtstruct(tmp_path / "rs", {"isocentre": [[[0.0, -15.0, 30.0]]]}, files, kind="POINT")
    structures = formats.read_structures(rt, image)
    assert not any(structures.drawn) and "open lines or points" in structures.notes[0]


def test_broken_contours(tmp_path: Path) -> None:
    files, image = series(tmp_path)
    with pytest.raises(LabelError, match="holds no structures"):
        formats.read_structures(made.rtstruct(tmp_path / "a", {}, files), image)
    rt = made.rtstruct(tmp_path / "b", {"a": [made.rectangle(3, (1.6, 5.4), (2.6, 7.4))]}, files)
    rois = pydicom.dcmread(rt).ROIContourSequence
    rois[0].ContourSequence[0].ContourData = [1.0, 2.0, 3.0, 4.0]
    made.edit(rt, ROIContourSequence=list(rois))
    with pytest.raises(LabelError, match="are no coordinates"):
        formats.read_structures(rt, image)


def test_polygons_fill_pixels_whose_centre_is_inside() -> None:
    circle = np.array([(20 + 9 * np.sin(t), 15 + 9 * np.cos(t)) for t in np.linspace(0, 2 * np.pi, 200)[:-1]])
    rows, columns = np.mgrid[:40, :30]
    distance = np.hypot(rows - 20, columns - 15)
    mask = filled([circle], (40, 30))
    assert np.array_equal(mask[np.abs(distance - 9) > 0.05], (distance < 9)[np.abs(distance - 9) > 0.05])


# ------------------------------------------------------------------------------------------------------ writing


@pytest.mark.parametrize("suffix", [formats.DICOM_SEG, formats.DICOM_CONTOURS])
@pytest.mark.parametrize("step", [None, (0.0, 1.0, 2.5)])
def test_written_masks_come_back_identical(
    tmp_path: Path, suffix: str, step: tuple[float, float, float] | None
) -> None:
    files = made.series(tmp_path / "ct", made.voxels((6, 30, 40)), step=step)
    image = formats.read(files[0])
    labels = np.random.default_rng(1).choice(np.array([0, 0, 0, 4, 7], np.uint8), image.grid.shape)
    labels[0] = 0
    out = tmp_path / f"case{suffix}"
    formats.write_label(out, labels, files[2], names={4: "liver", 7: "Läsion", 9: "absent"})
    structures = formats.read_structures(out, image)
    assert structures.names == ("liver", "Läsion", "absent")
    assert np.array_equal(list(structures.masks), [labels == 4, labels == 7, labels == 9])
    written, source = pydicom.dcmread(out), pydicom.dcmread(files[0])
    for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert written[keyword].value == source[keyword].value
    assert written.SeriesInstanceUID != source.SeriesInstanceUID


def test_the_suffix_for_masks_of_a_series(tmp_path: Path) -> None:
    files = made.series(tmp_path, name="{}")
    assert formats.mask_suffix(files[0]) == ".seg.dcm"


def test_an_empty_prediction_is_written(tmp_path: Path) -> None:
    files, image = series(tmp_path)
    out = tmp_path / "empty.seg.dcm"
    formats.write_label(out, np.zeros(image.grid.shape, np.uint8), files[0], names={1: "liver"})
    assert not any(formats.read_structures(out, image).drawn)


def test_masks_of_pictures_and_multi_frame_files(tmp_path: Path) -> None:
    file = made.enhanced(tmp_path / "mf.dcm", made.voxels(), order=(3, 0, 5, 1, 4, 2))
    formats.write_label(tmp_path / "a.seg.dcm", ONE.astype(np.uint8), file, names={1: "a"})
    assert np.array_equal(first(formats.read_structures(tmp_path / "a.seg.dcm", formats.read(file))), ONE)


def test_labels_of_another_shape_are_not_written(tmp_path: Path) -> None:
    files, _ = series(tmp_path)
    with pytest.raises(GeometryError, match="do not fit"):
        formats.write_label(tmp_path / "a.seg.dcm", np.zeros((2, 2, 2), np.uint8), files[0], names={1: "a"})


def test_without_highdicom_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, image = series(tmp_path)
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(UsageError, match=r"autoseg\[dicom\]"):
        formats.write_label(tmp_path / "a.seg.dcm", np.zeros(image.grid.shape, np.uint8), files[0], names={1: "a"})


# ------------------------------------------------------------------------------------------------------ real data


@pytest.mark.data
@pytest.mark.parametrize("patient", ["STS_019", "STS_025"])
@pytest.mark.parametrize("modality", ["CT", "PET"])
def test_real_contours_equal_their_nifti_masks(patient: str, modality: str) -> None:
    root = real("dicom") / "sts_rtstruct"
    image = formats.read(next((root / "dicom" / patient / modality / "image").iterdir()))
    structures = formats.read_structures(root / "dicom" / patient / modality / "mask" / "RS.dcm", image)
    copy = formats.read(root / "nifti" / patient / f"{modality}_mask.nii.gz")
    ours = geometry.canonicalize(first(structures)[None], structures.grid)[0][0]
    theirs = geometry.canonicalize(copy.array, copy.grid)[0][0] > 0
    assert 2 * (ours & theirs).sum() / (ours.sum() + theirs.sum()) > 0.999
    assert "15 of 15 contours refer to images that are not in the series" in structures.notes[0]


@pytest.mark.data
def test_real_segmentations_equal_their_truth() -> None:
    root = real("dicom") / "dcmqi_seg"
    image = formats.read(root / "ct-3slice" / "01.dcm")
    for seg, truths in {
        "liver.dcm": ["liver_seg"],
        "partial_overlaps.dcm": [f"partial_overlaps-{n}" for n in "123"],
    }.items():
        structures = formats.read_structures(root / seg, image)
        expected = [
            formats.read(root / f"{truth}.nrrd").array[0] == value
            for truth in truths
            for value in np.unique(formats.read(root / f"{truth}.nrrd").array)
            if value
        ]
        assert sorted(mask.tobytes() for mask in structures.masks) == sorted(mask.tobytes() for mask in expected)
    for shape in ("23x38x3", "24x38x3"):
        image = formats.read(root / shape / "image" / "IMG0001.dcm")
        mask = first(formats.read_structures(root / shape / "seg" / "label.seg", image))
        truth = formats.read(root / shape / "nrrd" / "label.nrrd")
        assert np.array_equal(mask, geometry.canonicalize(truth.array, truth.grid)[0][0] > 0)


@pytest.mark.data
def test_real_label_maps_equal_their_truth() -> None:
    root = real("dicom") / "dcmqi_seg"
    image = formats.read(root / "24x38x3" / "image" / "IMG0001.dcm")
    for kind in ("ppv5", "noppv"):
        structures = formats.read_structures(root / f"sparse-labelmap-{kind}.dcm", image)
        truth = formats.read(root / f"sparse_labelmap_{kind}_seg.nrrd").array[0]
        assert structures.names == ("Liver",)
        assert np.array_equal(first(structures), truth == 1)
