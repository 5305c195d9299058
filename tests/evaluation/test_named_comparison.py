"""Masks that have names: DICOM-SEG and RTSTRUCT compared with each other and with files of voxels."""

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from autoseg import formats
from autoseg.contracts import Scores
from autoseg.errors import GeometryError, LabelError, UsageError
from autoseg.evaluation.comparison import evaluate
from autoseg.events import Event
from tests import dicom_made as made

LIVER, LESION = made.box(), made.box(z=slice(2, 5), y=slice(4, 8))
MOVED = made.box(z=slice(2, 5))  # Dice 2/3 with LIVER


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    return made.series(tmp_path / "image" / "ct", name="{}")


def voxels(path: Path, array: np.ndarray) -> Path:
    image = SimpleITK.GetImageFromArray(array.astype(np.uint8))
    image.SetSpacing((0.7, 0.8, 2.5))
    image.SetOrigin((-10.0, -20.0, 30.0))
    path.parent.mkdir(parents=True, exist_ok=True)
    SimpleITK.WriteImage(image, str(path))
    return path


def dice(scores: Scores) -> dict[str, float | None]:
    return {target.target: target.dice.value for target in scores.targets}


def box_contours(rows: tuple[float, float], slices: range) -> list[list[list[float]]]:
    return [made.rectangle(z, rows, (2.6, 7.4)) for z in slices]


def test_segmentations_of_few_frames_without_their_images(tmp_path: Path, images: list[Path]) -> None:
    made.segmentation(tmp_path / "p" / "ct.seg.dcm", {"liver": MOVED, "lesion": LESION}, images)
    made.segmentation(tmp_path / "r" / "ct.dcm", {"lesion": LESION, "Liver": LIVER}, images)
    scores = evaluate(tmp_path / "p", tmp_path / "r")
    assert dice(scores) == {"lesion": 1.0, "Liver": pytest.approx(2 / 3)}
    [case] = scores.cases
    assert case.targets[1].reference_mm3 == pytest.approx(LIVER.sum() * 2.5 * 0.8 * 0.7)
    assert case.targets[1].hd95_mm == pytest.approx(2.5)


def test_a_prediction_of_ours_against_voxels_with_names(tmp_path: Path, images: list[Path]) -> None:
    labels = np.where(LESION, 7, np.where(MOVED, 4, 0)).astype(np.uint8)
    (tmp_path / "p").mkdir()
    formats.write_label(tmp_path / "p" / "ct.seg.dcm", labels, images[0], names={4: "liver", 7: "lesion"})
    voxels(tmp_path / "raw" / "labelsTr" / "ct.nii.gz", np.where(LESION, 2, np.where(LIVER, 1, 0)))
    declared = {"labels": {"background": 0, "liver": 1, "lesion": 2}}
    (tmp_path / "raw" / "dataset.json").write_text(json.dumps(declared))
    found = dice(evaluate(tmp_path / "p", tmp_path / "raw" / "labelsTr"))
    inside, outside = LIVER & ~LESION, MOVED & ~LESION
    expected = 2 * (inside & outside).sum() / (inside.sum() + outside.sum())
    assert found == {"liver": pytest.approx(expected), "lesion": 1.0}
    turned = evaluate(tmp_path / "raw" / "labelsTr", tmp_path / "p")
    assert dice(turned) == pytest.approx(found)


def test_values_without_names_are_called_as_everywhere(tmp_path: Path, images: list[Path]) -> None:
    made.segmentation(tmp_path / "p.dcm", {"label_3": LIVER, "label_5": LESION & ~LIVER}, images)
    voxels(tmp_path / "r.nrrd", np.where(LIVER, 3, np.where(LESION, 5, 0)))
    assert dice(evaluate(tmp_path / "p.dcm", tmp_path / "r.nrrd")) == {"label_3": 1.0, "label_5": 1.0}


def test_contours_against_voxels(tmp_path: Path, images: list[Path]) -> None:
    made.rtstruct(tmp_path / "p.rtstruct.dcm", {"GTV": box_contours((1.6, 5.4), range(1, 4))}, images)
    voxels(tmp_path / "r.nii.gz", LIVER)
    said: list[Event] = []
    scores = evaluate(tmp_path / "p.rtstruct.dcm", tmp_path / "r.nii.gz", notify=said.append)
    assert dice(scores) == {"label_1": 1.0}
    assert "GTV is compared with label_1, as there is but one" in said[0].detail


def test_references_in_a_dicom_tree(tmp_path: Path) -> None:
    for patient in ("A", "B"):
        files = made.series(tmp_path / "tree" / patient / "ct", who=made.identity(patient))
        contours = {"gtv": box_contours((1.6, 5.4), range(1, 4)), "body": box_contours((0.6, 8.4), range(6))}
        made.rtstruct(tmp_path / "tree" / patient / "rs.dcm", contours, files, PatientID=patient)
        made.segmentation(tmp_path / "p" / f"{patient}_ct.seg.dcm", {"gtv": MOVED}, files)
    said: list[Event] = []
    scores = evaluate(tmp_path / "p", tmp_path / "tree", notify=said.append)
    assert dice(scores) == {"gtv": pytest.approx(2 / 3), "body": 0.0}
    assert "no prediction knows body; scored as missed" in said[0].detail
    assert {case.subject[:8] for case in scores.cases} == {"patient-"} and scores.mean_dice.n == 2


def test_contours_alone_have_no_grid(tmp_path: Path, images: list[Path]) -> None:
    for name in ("p", "r"):
        made.rtstruct(tmp_path / f"{name}.dcm", {"GTV": box_contours((1.6, 5.4), range(1, 4))}, images)
    with pytest.raises(GeometryError, match="contours have no voxels"):
        evaluate(tmp_path / "p.dcm", tmp_path / "r.dcm")


def test_contours_beyond_the_segmentation_are_not_lost(tmp_path: Path, images: list[Path]) -> None:
    made.rtstruct(tmp_path / "p.dcm", {"GTV": box_contours((1.6, 5.4), range(6))}, images)
    made.segmentation(tmp_path / "r.dcm", {"GTV": LIVER}, images)
    with pytest.raises(GeometryError, match=r"p\.dcm does not lie on the grid.*3 contours lie outside"):
        evaluate(tmp_path / "p.dcm", tmp_path / "r.dcm")


def test_masks_of_another_place(tmp_path: Path, images: list[Path]) -> None:
    shifted = made.series(tmp_path / "far", origin=(-10.0, -20.0, 31.25))
    made.segmentation(tmp_path / "p.dcm", {"liver": LIVER}, shifted)
    made.segmentation(tmp_path / "r.dcm", {"liver": LIVER}, images)
    with pytest.raises(GeometryError, match="between steps"):
        evaluate(tmp_path / "p.dcm", tmp_path / "r.dcm")
    voxels(tmp_path / "v.nrrd", LIVER)
    far = made.series(tmp_path / "farther", origin=(-10.0, -20.0, 131.0))
    with pytest.raises(GeometryError, match="outside the image"):
        evaluate(made.segmentation(tmp_path / "q.dcm", {"liver": LIVER}, far), tmp_path / "v.nrrd")
    finer = made.series(tmp_path / "finer", spacing=(2.5, 0.8, 0.6))
    with pytest.raises(GeometryError, match="does not lie on the grid"):
        evaluate(made.segmentation(tmp_path / "f.dcm", {"liver": LIVER}, finer), tmp_path / "v.nrrd")
    voxels(tmp_path / "w.nrrd", made.box((7, 10, 12)))
    made.segmentation(tmp_path / "tree" / "s.seg", {"liver": LIVER}, made.series(tmp_path / "tree" / "ct"))
    (tmp_path / "p").mkdir()
    (tmp_path / "w.nrrd").rename(tmp_path / "p" / "ct.nrrd")
    with pytest.raises(GeometryError, match=r"shape \(7, 10, 12\)"):
        evaluate(tmp_path / "p", tmp_path / "tree")


def test_names_that_nobody_shares(tmp_path: Path, images: list[Path]) -> None:
    made.segmentation(tmp_path / "p.dcm", {"liver": LIVER, "lesion": LESION}, images)
    voxels(tmp_path / "r.nrrd", np.where(LIVER, 1, np.where(LESION, 2, 0)))
    with pytest.raises(LabelError, match=r"show lesion, liver, the references label_1, label_2.*dataset\.json"):
        evaluate(tmp_path / "p.dcm", tmp_path / "r.nrrd")


def test_structures_beyond_those_of_the_references_are_told(tmp_path: Path, images: list[Path]) -> None:
    made.segmentation(tmp_path / "p.dcm", {"liver": LIVER, "spleen": LESION}, images)
    made.segmentation(tmp_path / "r.dcm", {"liver": LIVER}, images)
    said: list[Event] = []
    assert dice(evaluate(tmp_path / "p.dcm", tmp_path / "r.dcm", notify=said.append)) == {"liver": 1.0}
    assert "no reference knows spleen; left out" in said[0].detail


def test_an_image_is_no_mask(tmp_path: Path, images: list[Path]) -> None:
    made.segmentation(tmp_path / "p.dcm", {"liver": LIVER}, images)
    image = SimpleITK.GetImageFromArray(np.arange(LIVER.size).reshape(LIVER.shape).astype(np.int32))
    image.SetSpacing((0.7, 0.8, 2.5))
    image.SetOrigin((-10.0, -20.0, 30.0))
    SimpleITK.WriteImage(image, str(tmp_path / "r.nrrd"))
    with pytest.raises(LabelError, match="719 different values; is it a mask"):
        evaluate(tmp_path / "p.dcm", tmp_path / "r.nrrd")


def test_a_folder_of_images_without_masks(tmp_path: Path, images: list[Path]) -> None:
    made.segmentation(tmp_path / "p" / "ct.dcm", {"liver": LIVER}, images)
    with pytest.raises(UsageError, match="holds no masks"):
        evaluate(tmp_path / "p", images[0].parent.parent)
