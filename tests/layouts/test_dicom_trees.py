"""DICOM trees in any nesting: which series are cases, and which label belongs to which."""

from pathlib import Path

import numpy as np
import pydicom
import pytest

from autoseg import layouts
from autoseg.errors import LayoutError, UsageError
from autoseg.layouts import Found, find_inputs
from tests import dicom_made as made
from tests import made as files_made
from tests.real_data import real

ONE, OTHER = made.box(), made.box(z=slice(2, 5), y=slice(4, 8))
ELSEWHERE = {"FrameOfReferenceUID": made.uid("somewhere else")}


def labels(found: Found) -> dict[str, str | None]:
    return {case.case: case.label for case in found.cases}


def patient(root: Path, name: str, **values: str) -> list[Path]:
    """A CT and its segmentation, in folders of their own."""
    files = made.series(root / name / "ct", who=made.identity(name), **values)
    made.segmentation(root / name / "seg" / "label.seg", {"liver": ONE}, files)
    return files


def test_folder_per_patient(tmp_path: Path) -> None:
    for name in ("A", "B"):
        patient(tmp_path, name)
    (tmp_path / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    found = layouts.find(tmp_path)
    assert found.layout == "dicom" and found.channels == ("CT",)
    assert labels(found) == {"A_ct": "A/seg/label.seg", "B_ct": "B/seg/label.seg"}
    assert [case.images for case in found.cases] == [("A/ct/IM0001.dcm",), ("B/ct/IM0001.dcm",)]
    assert found.labels is not None and [(each.name, each.value) for each in found.labels.labels] == [("liver", 1)]
    assert found.left_over == ()


def test_everything_in_one_folder_without_suffixes(tmp_path: Path) -> None:
    for number, name in enumerate("AB"):
        files = made.series(tmp_path, name=name + "{}", who=made.identity(name, SeriesNumber=number))
        made.segmentation(tmp_path / f"{name}seg", {"liver": ONE}, files)
    found = layouts.find(tmp_path)
    assert list(labels(found).values()) == ["Aseg", "Bseg"]
    first, second = (case.case for case in found.cases)
    assert first.removesuffix("_0") == second.removesuffix("_1")


@pytest.mark.fault(63, "names of patients in headers and long folder names", "only a key made from PatientID is kept")
def test_no_identity_is_kept(tmp_path: Path) -> None:
    patient(tmp_path / "1.2.840.113619.2.55.3.604688.1234", "Miller")
    found = layouts.find(tmp_path)
    assert "1.2.840.113619" not in found.cases[0].case
    assert "Doe" not in str(found) and not any(case.subject.endswith("Miller") for case in found.cases)


@pytest.mark.fault(55, "two studies of one patient under two names", "one subject, by PatientID")
def test_one_patient_is_one_subject(tmp_path: Path) -> None:
    for folder, who, study in (("x", "P", "s1"), ("y", "P", "s2"), ("z", "Q", "s3")):
        files = made.series(tmp_path / folder, who=made.identity(who, study))
        made.segmentation(tmp_path / f"{folder}.seg", {"liver": ONE}, files)
    found = layouts.find(tmp_path)
    subjects = [case.subject for case in found.cases]
    assert subjects[0] == subjects[1] != subjects[2]
    assert found.grouping == "2 subjects by PatientID"


@pytest.mark.parametrize("stand_in", ["", "ANONYMOUS", None])
def test_patients_without_an_id_are_told_by_study(tmp_path: Path, stand_in: str | None) -> None:
    for folder in "xy":
        for file in made.series(tmp_path / folder, who=made.identity("ignored", folder)):
            made.edit(file, PatientID=stand_in)
    assert len({case.subject for case in layouts.find(tmp_path).cases}) == 2


def test_a_label_belongs_to_the_series_that_it_refers_to(tmp_path: Path) -> None:
    near = made.series(tmp_path / "a" / "near", who=made.identity(series="near"))
    far = made.series(tmp_path / "b" / "far", who=made.identity(series="far"))
    made.segmentation(tmp_path / "a" / "near" / "s.seg", {"liver": ONE}, far)
    found = layouts.find(tmp_path)
    assert labels(found) == {"b_far": "a/near/s.seg"}
    assert found.left_over == (f"a/near/ ({len(near)} files)",)
    assert "another series of the same study" in found.reasons[found.left_over[0]]


def test_without_references_the_nearest_series_of_the_space_is_taken(tmp_path: Path) -> None:
    for name in ("ct", "pt"):
        made.series(tmp_path / name / "image", who=made.identity(series=name), modality=name.upper())
        made.rtstruct(tmp_path / name / "mask" / "RS.dcm", {f"gtv_{name}": [made.rectangle(3, (1, 5), (2, 7))]})
    found = layouts.find(tmp_path)
    assert labels(found) == {"ct_image": "ct/mask/RS.dcm", "pt_image": "pt/mask/RS.dcm"}
    assert "refers to no series that is here" in found.notes[0]
    assert "several modalities (1 CT, 1 PT)" in found.notes[-1] and found.channels is None


def test_where_nothing_tells_contours_belong_to_ct(tmp_path: Path) -> None:
    made.series(tmp_path / "a_pet", who=made.identity(series="pt"), modality="PT")
    made.series(tmp_path / "b_ct", who=made.identity(series="ct"), modality="CT")
    made.rtstruct(tmp_path / "RS.dcm", {"gtv": [made.rectangle(3, (1, 5), (2, 7))]})
    assert labels(layouts.find(tmp_path)) == {"b_ct": "RS.dcm"}


def test_a_label_of_nobody_here(tmp_path: Path) -> None:
    for name in "AB":
        patient(tmp_path, name)
    stranger = {"PatientID": "X", "StudyInstanceUID": made.uid("X"), **ELSEWHERE}
    made.rtstruct(tmp_path / "RS.dcm", {"gtv": [made.rectangle(3, (1, 5), (2, 7))]}, **stranger)
    found = layouts.find(tmp_path)
    assert found.left_over == ("RS.dcm",) and "no series of the folder" in found.reasons["RS.dcm"]


def test_labels_that_complement_each_other(tmp_path: Path) -> None:
    files = made.series(tmp_path / "ct")
    made.segmentation(tmp_path / "liver.dcm", {"liver": ONE}, files)
    made.segmentation(tmp_path / "lesions.dcm", {"tumour": OTHER, "cyst": OTHER}, files)
    [case] = layouts.find(tmp_path).cases
    assert case.label is None
    assert {each.name: each.file for each in case.structures} == {
        "tumour": "lesions.dcm",
        "cyst": "lesions.dcm",
        "liver": "liver.dcm",
    }


@pytest.mark.fault(62, "several labels of the same structures", "the one whose references are there, then the newest")
def test_labels_that_compete(tmp_path: Path) -> None:
    files = made.series(tmp_path / "ct")
    old, new, broken = (tmp_path / name for name in ("old.dcm", "new.dcm", "broken.dcm"))
    for path, date in ((old, "20200101"), (new, "20210101")):
        made.edit(made.segmentation(path, {"liver": ONE}, files), ContentDate=date)
    lost = made.series(tmp_path.parent / f"{tmp_path.name}_lost", who=made.identity(series="lost"))
    made.edit(made.segmentation(broken, {"liver": ONE}, lost), ContentDate="20220101")
    found = layouts.find(tmp_path)
    assert labels(found) == {"ct": "new.dcm"}
    assert found.left_over == ("broken.dcm", "old.dcm")
    assert found.reasons["old.dcm"] == "names liver as new.dcm does, which is used"


def test_series_without_label_are_to_be_predicted(tmp_path: Path) -> None:
    patient(tmp_path, "A")
    made.series(tmp_path / "B" / "ct", who=made.identity("B"))
    made.series(tmp_path / "C" / "mr", who=made.identity("C"), modality="MR")
    found = layouts.find(tmp_path)
    assert labels(found) == {"A_ct": "A/seg/label.seg", "B_ct": None}
    assert found.reasons == {"C/mr/ (6 files)": "is MR; labels were drawn on CT"}


@pytest.mark.fault(62, "localisers, screen captures and reports among the series", "left over, saying what they are")
def test_what_is_no_volume(tmp_path: Path) -> None:
    files = patient(tmp_path, "A")
    scout = made.series(tmp_path / "A" / "scout", who=made.identity("A", series="scout"))[0]
    for file in scout.parent.iterdir():
        made.edit(file, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    made.picture(tmp_path / "A" / "shot", np.zeros((4, 4, 3), np.uint8), PatientID="A")
    made.edit(tmp_path / "A" / "shot", StudyInstanceUID=made.uid("A", "study"))
    report = pydicom.dcmread(files[0])
    del report.Rows
    report.Modality = "SR"
    report.save_as(tmp_path / "report.dcm")
    found = layouts.find(tmp_path)
    assert list(labels(found)) == ["A_ct"]
    assert found.reasons["A/scout/IM0001.dcm"] == "a localiser"
    assert "screen capture" in found.reasons["A/shot"]
    assert found.reasons["report.dcm"] == "no image (SR)"


@pytest.mark.fault(53, "an RTSTRUCT without its images", "exit 3, saying that the image series is missing")
def test_labels_without_images(tmp_path: Path) -> None:
    made.rtstruct(tmp_path / "RS.dcm", {"gtv": [made.rectangle(3, (1, 5), (2, 7))]})
    with pytest.raises(LayoutError, match="there is 1 RTSTRUCT but no image series") as caught:
        layouts.find(tmp_path)
    assert caught.value.exit_code == 3


def test_other_images_are_not_taken_for_dicom(tmp_path: Path) -> None:
    files_made.folder_of_pairs(tmp_path)
    made.series(tmp_path / "source", made.voxels((3, 4, 4)))
    assert layouts.find(tmp_path).layout == "pairs"


def test_a_damaged_file_is_left_over(tmp_path: Path) -> None:
    patient(tmp_path, "A")
    (tmp_path / "A" / "bad.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\x02\x00" * 3)
    found = layouts.find(tmp_path)
    assert "A/bad.dcm" in found.left_over


# ------------------------------------------------------------------------------------------------------ to predict


def test_series_as_inputs(tmp_path: Path) -> None:
    files = made.series(tmp_path / "ct one", name="{}")
    [case] = find_inputs(files[0], channels=["CT"])
    assert (case.case, case.images) == ("ct-one", (files[0].name,))
    [case] = find_inputs(tmp_path / "ct one", channels=["CT"])
    assert (case.case, case.images) == ("ct-one", ("1",))
    made.series(tmp_path / "p2" / "ct", who=made.identity("P2"))
    assert [case.case for case in find_inputs(tmp_path, channels=["CT"])] == ["ct-one", "p2_ct"]


def test_a_label_is_no_input(tmp_path: Path) -> None:
    files = made.series(tmp_path / "ct")
    seg = made.segmentation(tmp_path / "s.seg", {"liver": ONE}, files)
    with pytest.raises(UsageError, match="holds no image"):
        find_inputs(seg, channels=["CT"])


# ------------------------------------------------------------------------------------------------------- real data


@pytest.mark.data
def test_real_trees() -> None:
    found = layouts.find(real("dicom") / "sts_rtstruct")
    assert len(found.cases) == 4 and len({case.subject for case in found.cases}) == 2
    assert all(case.label and Path(case.label).parts[:3] == Path(case.images[0]).parts[:3] for case in found.cases)
    found = layouts.find(real("dicom") / "dcmqi_seg")
    assert labels(found) == {
        "23x38x3_image": "23x38x3/seg/label.seg",
        "24x38x3_image": "24x38x3/seg/label.seg",
        "ct-3slice": None,
    }
    assert len(found.cases[2].structures) == 6
    found = layouts.find(real("dicom") / "highdicom_seg")
    assert [case.labelled for case in found.cases] == [True, True]


@pytest.mark.data
def test_a_real_structure_set_with_broken_references() -> None:
    folder = real("negatives") / "rtstruct_broken"
    assert labels(layouts.find(folder)) == {"ct_series": "rt.dcm"}
    with pytest.raises(LayoutError, match="there is 1 RTSTRUCT but no image series"):
        layouts.find(folder / "no_image_series")
