"""DICOM through the row: a tree becomes a data set, and a series gets its mask as a DICOM segmentation."""

from pathlib import Path

import numpy as np
import pydicom
import pytest

from autoseg import formats
from autoseg.contracts import Settings
from autoseg.errors import DataError
from autoseg.inspection import inspect
from autoseg.layouts import find_inputs
from autoseg.predicted_files import Options
from autoseg.stages.dataset import dataset
from autoseg.stages.predict import predict
from autoseg.workspace import DatasetFolder, ModelFolder
from tests import dicom_made as made
from tests.model import tiny
from tests.real_data import real

ONE, OTHER = made.box(), made.box(z=slice(2, 5), y=slice(6, 8))


def tree(root: Path, patients: str = "ABCDEF") -> Path:
    """A CT per patient, with a segmentation of two organs or contours of one of them."""
    for number, patient in enumerate(patients):
        files = made.series(root / patient / "ct", made.voxels(seed=number), who=made.identity(patient))
        if number % 2:
            made.segmentation(root / patient / "label.seg", {"liver": ONE, "tumour": OTHER}, files)
        else:
            contours = [made.rectangle(z, (1.6, 5.4), (2.6, 7.4)) for z in (1, 2, 3)]
            made.rtstruct(root / patient / "RS", {"liver": contours}, files, PatientID=patient)
    return root


def test_a_tree_becomes_a_data_set(tmp_path: Path) -> None:
    record = dataset(tree(tmp_path / "raw"), DatasetFolder(tmp_path / "out"), Settings())
    assert record.layout == "dicom" and record.dimension == 3
    assert [channel.name for channel in record.channels] == ["CT"]
    assert {label.name for label in record.labels.labels} >= {"liver", "tumour"}
    assert {entry.verdict for entry in record.audit.entries} == {"ok"}
    assert [case.case for case in record.cases] == [f"{patient}_ct" for patient in "ABCDEF"]


def test_contours_and_masks_of_one_structure_are_one_label(tmp_path: Path) -> None:
    out = DatasetFolder(tmp_path / "out")
    record = dataset(tree(tmp_path / "raw"), out, Settings())
    liver = [label.name for label in record.labels.labels].index("liver") + 1
    assert np.array_equal(np.load(out.label("A_ct")) == liver, ONE)
    assert np.array_equal(np.load(out.label("B_ct")) == liver, ONE)


def test_one_bad_series_costs_one_case(tmp_path: Path) -> None:
    root = tree(tmp_path / "raw")
    (root / "C" / "ct" / "IM0003.dcm").unlink()
    record = inspect(root)
    [bad] = [entry for entry in record.audit if entry.verdict == "quarantined"]
    assert bad.case == "C_ct" and "slices are missing" in bad.reason
    assert record.cases == 5


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    folder = tmp_path_factory.mktemp("model") / "model"
    tiny.make(folder)
    return ModelFolder(folder)


def test_a_series_gets_a_dicom_segmentation(model: ModelFolder, tmp_path: Path) -> None:
    coarse = np.random.default_rng(0).integers(0, 500, (5, 4, 5))
    voxels = np.kron(coarse, np.ones((4, 4, 4), int)).astype(np.uint16)
    files = made.series(tmp_path / "in" / "ct", voxels, name="{}", directions=(0, 1, 0, 0, 0, -1))
    cases = find_inputs(tmp_path / "in", channels=["CT"])
    done = predict(model, cases, tmp_path / "in", tmp_path / "out", Options(device="cpu"))
    assert [(case.status, case.output) for case in done.cases] == [("done", "ct.seg.dcm")], done.cases
    image = formats.read(files[0])
    structures = formats.read_structures(tmp_path / "out" / "ct.seg.dcm", image)
    assert structures.names == ("organ", "lesion") and any(structures.drawn)
    volumes = np.array([mask.sum() for mask in structures.masks]) * np.prod(image.grid.spacing_mm)
    assert np.allclose(volumes, done.cases[0].volumes_mm3)


def test_contours_are_written_where_they_are_asked_for(model: ModelFolder, tmp_path: Path) -> None:
    files = made.series(tmp_path / "in" / "ct", made.voxels((16, 16, 16)))
    cases = find_inputs(tmp_path / "in", channels=["CT"])
    [done] = predict(model, cases, tmp_path / "in", tmp_path / "a", Options(device="cpu", contours=True)).cases
    predict(model, cases, tmp_path / "in", tmp_path / "b", Options(device="cpu"))
    assert done.output == "ct.rtstruct.dcm"
    names = {label.value: label.name for label in tiny.EXCLUSIVE.labels}
    contours = formats.read_label(tmp_path / "a" / "ct.rtstruct.dcm", files[0], names)
    masks = formats.read_label(tmp_path / "b" / "ct.seg.dcm", files[0], names)
    assert set(np.unique(masks.array)) <= {0, 3, 7} and masks.array.any()
    assert np.array_equal(contours.array, masks.array)


def test_a_change_of_any_slice_predicts_again(model: ModelFolder, tmp_path: Path) -> None:
    files = made.series(tmp_path / "in" / "ct", made.voxels((16, 16, 16)))
    cases = find_inputs(tmp_path / "in", channels=["CT"])

    def written() -> str:
        predict(model, cases, tmp_path / "in", tmp_path / "out", Options(device="cpu"))
        return str(pydicom.dcmread(tmp_path / "out" / "ct.seg.dcm").SOPInstanceUID)

    first = written()
    assert written() == first
    made.edit(files[9], PixelData=bytes(16 * 16 * 2))
    assert written() != first


@pytest.mark.data
@pytest.mark.parametrize(
    ("folder", "cases", "labelled"),
    [("dicom/sts_rtstruct/dicom", 4, 4), ("dicom/dcmqi_seg", 3, 3), ("dicom/highdicom_seg", 2, 2)],
)
def test_real_trees_are_read(folder: str, cases: int, labelled: int) -> None:
    root = real("dicom").parent
    record = inspect(root / folder)
    assert (record.layout, record.cases, record.labelled) == ("dicom", cases, labelled)
    assert not [entry for entry in record.audit if entry.verdict == "quarantined"]


@pytest.mark.data
def test_real_contours_without_images_are_exit_3() -> None:
    with pytest.raises(DataError, match="no image series") as caught:
        inspect(real("negatives") / "rtstruct_broken" / "no_image_series")
    assert caught.value.exit_code == 3
