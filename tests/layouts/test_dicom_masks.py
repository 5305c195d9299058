"""DICOM series whose masks are files of other formats: which mask belongs to which series, told by looking."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from PIL import Image

from autoseg import layouts
from autoseg.inspection import inspect
from autoseg.layouts import Found
from tests import dicom_made as made
from tests import real_data

MASK = made.box().astype(np.uint8)
_SPACING, _ORIGIN = (0.7, 0.8, 2.5), (-10.0, -20.0, 30.0)


def mask(path: Path, array: np.ndarray = MASK, origin: tuple[float, float, float] = _ORIGIN) -> Path:
    """A file on the grid of ``made.series``, as SimpleITK writes it."""
    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing(_SPACING)
    image.SetOrigin(origin)
    path.parent.mkdir(parents=True, exist_ok=True)
    SimpleITK.WriteImage(image, str(path))
    return path


def patients(root: Path, folder: str = "{}/ct", count: int = 3) -> None:
    for number in range(1, count + 1):
        made.series(root / folder.format(f"P{number}"), made.voxels(seed=number), who=made.identity(f"ID{number}"))


def labels(found: Found) -> dict[str, tuple[str, ...]]:
    return {case.case: case.label_files for case in found.cases}


@pytest.mark.parametrize(
    "place",
    [
        "P{}/ct/mask.nii.gz",
        "P{}/seg.nrrd",
        "P{}/P{}.mha",
        "P{}/labels/drawn.nii.gz",
        "labels/P{}.nii.gz",
        "labels/P{}/ct/any.nrrd",
        "P{}_label.nii.gz",
        "masks/ID{}.nii.gz",
        "masks/CASE_{}.nii.gz",
    ],
)
def test_masks_are_found_by_name_and_place(tmp_path: Path, place: str) -> None:
    patients(tmp_path)
    for number in (1, 2, 3):
        mask(tmp_path / place.replace("{}", str(number)))
    found = layouts.find(tmp_path)
    assert found.layout == "dicom" and found.channels == ("CT",) and found.left_over == ()
    assert labels(found) == {f"P{n}_ct": (place.replace("{}", str(n)),) for n in (1, 2, 3)}


def test_a_parallel_tree_beside_the_images(tmp_path: Path) -> None:
    patients(tmp_path, "images/{}")
    for number in (1, 2):
        mask(tmp_path / "labelsTr" / f"P{number}.nii.gz")
    assert labels(layouts.find(tmp_path)) == {
        "images_P1": ("labelsTr/P1.nii.gz",),
        "images_P2": ("labelsTr/P2.nii.gz",),
        "images_P3": (),
    }


def test_masks_called_after_the_series_uid(tmp_path: Path) -> None:
    patients(tmp_path)
    for number in (1, 2, 3):
        mask(tmp_path / "out" / f"{made.identity(f'ID{number}')['SeriesInstanceUID']}.mhd")
    found = layouts.find(tmp_path)
    assert all(case.labelled for case in found.cases)


def test_what_is_found_is_read_and_shown(tmp_path: Path) -> None:
    patients(tmp_path)
    for number in (1, 2, 3):
        mask(tmp_path / "labels" / f"P{number}.nii.gz")
    shown = inspect(tmp_path)
    assert (shown.cases, shown.labelled) == (3, 3)
    assert [label.name for label in shown.labels] == ["foreground"]
    assert {entry.verdict for entry in shown.audit} == {"ok"}


def test_a_file_per_structure(tmp_path: Path) -> None:
    patients(tmp_path)
    for number in (1, 2, 3):
        mask(tmp_path / f"P{number}" / "segmentations" / "liver.nii.gz")
    for number in (1, 2):
        mask(tmp_path / f"P{number}" / "segmentations" / "spleen_mask.nii.gz")
    cases = layouts.find(tmp_path).cases
    assert [[each.name for each in case.structures] for case in cases] == [["liver", "spleen"]] * 2 + [["liver"]]


def test_a_structure_per_file_of_a_multi_frame_image(tmp_path: Path) -> None:
    made.enhanced(tmp_path / "P1" / "mf.dcm", made.voxels())
    for structure in ("liver", "spleen", "aorta"):
        mask(tmp_path / "P1" / "masks" / f"{structure}.nii.gz")
    [case] = layouts.find(tmp_path).cases
    assert [each.name for each in case.structures] == ["aorta", "liver", "spleen"]


def test_one_of_two_series_of_a_patient_by_its_name(tmp_path: Path) -> None:
    for number in (1, 2):
        for kind in ("ct", "pet"):
            folder, who = tmp_path / f"P{number}" / kind, made.identity(f"ID{number}", series=kind)
            made.series(folder, who=who, modality=kind.upper())
        mask(tmp_path / f"P{number}" / "pet_seg.nii.gz")
    found = layouts.find(tmp_path)
    assert labels(found) == {"P1_pet": ("P1/pet_seg.nii.gz",), "P2_pet": ("P2/pet_seg.nii.gz",)}


def test_one_of_two_series_of_a_patient_by_its_grid(tmp_path: Path) -> None:
    for kind, z in (("a", 30.0), ("b", 130.0)):
        made.series(tmp_path / "P1" / kind, who=made.identity(series=kind), origin=(-10.0, -20.0, z))
    mask(tmp_path / "P1" / "seg.nii.gz", origin=(-10.0, -20.0, 130.0))
    assert labels(layouts.find(tmp_path)) == {"P1_b": ("P1/seg.nii.gz",)}


def test_a_mask_that_fits_two_series_is_left_over(tmp_path: Path) -> None:
    for kind in ("a", "b"):
        made.series(tmp_path / "P1" / kind, who=made.identity(series=kind))
    mask(tmp_path / "P1" / "seg.nii.gz")
    found = layouts.find(tmp_path)
    assert labels(found) == {"P1_a": (), "P1_b": ()}
    assert "fit several series" in found.left_over_because[0]


def test_a_number_is_not_found_in_a_longer_one(tmp_path: Path) -> None:
    patients(tmp_path, count=1)
    made.series(tmp_path / "P10" / "ct", who=made.identity("ID10"))
    mask(tmp_path / "P10_seg.nii.gz")
    assert labels(layouts.find(tmp_path)) == {"P1_ct": (), "P10_ct": ("P10_seg.nii.gz",)}


def test_a_copy_of_the_image_is_no_mask(tmp_path: Path) -> None:
    patients(tmp_path)
    for number in (1, 2, 3):
        mask(tmp_path / f"P{number}" / "volume.nii.gz", made.voxels(seed=number))
        mask(tmp_path / f"P{number}" / "drawn.nii.gz")
    found = layouts.find(tmp_path)
    assert labels(found) == {f"P{n}_ct": (f"P{n}/drawn.nii.gz",) for n in (1, 2, 3)}
    assert found.left_over == tuple(f"P{n}/volume.nii.gz" for n in (1, 2, 3))


def test_a_segmentation_in_dicom_is_preferred(tmp_path: Path) -> None:
    files = made.series(tmp_path / "P1" / "ct")
    made.segmentation(tmp_path / "P1" / "s.dcm", {"liver": made.box()}, files)
    mask(tmp_path / "P1" / "seg.nii.gz")
    found = layouts.find(tmp_path)
    assert labels(found) == {"P1_ct": ("P1/s.dcm",)} and found.left_over == ("P1/seg.nii.gz",)


@pytest.mark.fault(62, "pictures as masks of a DICOM volume", "left over: nothing tells which slice each shows")
def test_pictures_are_no_masks_of_a_volume(tmp_path: Path) -> None:
    patients(tmp_path, count=1)
    (tmp_path / "masks").mkdir()
    for number in range(6):
        Image.fromarray(MASK[number] * 255).save(tmp_path / "masks" / f"IM{number}.png")
    found = layouts.find(tmp_path)
    assert labels(found) == {"P1_ct": ()}
    assert "without positions" in found.left_over_because[0] and ".nii.gz" in found.left_over_because[0]


def test_pictures_are_masks_of_single_images(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    for name in ("a", "b"):
        made.picture(tmp_path / "images" / f"{name}.dcm", made.voxels()[0], PatientID=name)
        Image.fromarray(MASK[2] * 255).save(tmp_path / "masks" / f"{name}.png")
    found = layouts.find(tmp_path)
    assert {case.images: case.label for case in found.cases} == {
        ("images/a.dcm",): "masks/a.png",
        ("images/b.dcm",): "masks/b.png",
    }


@pytest.mark.data
def test_real_series_and_the_masks_that_were_made_from_their_contours(tmp_path: Path) -> None:
    folder = real_data.copy("dicom/sts_rtstruct", tmp_path)
    for contours in folder.rglob("RS.dcm"):
        contours.unlink()
    assert labels(layouts.find(folder)) == {
        f"dicom_STS_0{patient}_{kind}_image": (f"nifti/STS_0{patient}/{kind}_mask.nii.gz",)
        for patient in (19, 25)
        for kind in ("CT", "PET")
    }
