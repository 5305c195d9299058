"""Series that hold several volumes: echoes, time points, b-values. Each is a channel, or one of them is the image."""

from pathlib import Path

import numpy as np
import pytest

from autoseg import formats, layouts
from autoseg.errors import DataError
from autoseg.inspection import inspect
from autoseg.layouts import Found, find_inputs
from tests import dicom_made as made

MASK = made.box()


def volumes(folder: Path, patient: str, tag: str, values: list[object], **fixed: object) -> list[list[Path]]:
    """One series in one folder, with a volume for each value of a tag."""
    who = made.identity(patient, series="mr")
    return [
        made.series(
            folder,
            made.voxels(seed=number + 50 * (patient == "B")),
            name=f"v{number}_{{}}",
            who=who,
            modality="MR",
            first=1 + 100 * number,
            **{tag: value},
            **fixed,
        )
        for number, value in enumerate(values)
    ]


def images(found: Found) -> dict[str, tuple[str, ...]]:
    return {case.case: case.images for case in found.cases}


@pytest.mark.parametrize(
    ("tag", "values", "names"),
    [
        ("EchoNumbers", [1, 2], ["echo_1", "echo_2"]),
        ("TemporalPositionIdentifier", [1, 2, 10], ["time_1", "time_2", "time_10"]),
        ("DiffusionBValue", [0.0, 1000.0], ["b_0", "b_1000"]),
        ("EchoTime", [4.6, 2.3], ["echo-time_2.3", "echo-time_4.6"]),
        ("ImageType", [["DERIVED", "PRIMARY", "W"], ["DERIVED", "PRIMARY", "F"]], ["type_f", "type_w"]),
        ("AcquisitionNumber", [3, 4], ["acquisition_3", "acquisition_4"]),
    ],
)
def test_each_volume_is_read_for_itself(tmp_path: Path, tag: str, values: list[object], names: list[str]) -> None:
    files = volumes(tmp_path, "P1", tag, values)
    for number, members in enumerate(files):
        volume = formats.read(members[2])
        assert np.array_equal(volume.array[0], made.voxels(seed=number))
        assert volume.notes[0].endswith(f"of {len(values)} volumes in its series")
    assert [formats.read(members[0]).notes[0].split()[0] for members in files] == (
        names if tag not in ("EchoTime", "ImageType") else names[::-1]
    )


@pytest.mark.fault(62, "several volumes in one series that two tags together tell apart", "each is read for itself")
def test_two_tags_together(tmp_path: Path) -> None:
    for echo in (1, 2):
        for kind in "MP":
            made.series(
                tmp_path,
                made.voxels(seed=echo),
                name=f"{echo}{kind}{{}}",
                who=made.identity(series="mr"),
                first=100 * echo + 1000 * (kind == "M"),
                EchoNumbers=echo,
                ImageType=["ORIGINAL", "PRIMARY", kind],
            )
    assert formats.read(tmp_path / "2P201").notes == ("echo_2_type_p of 4 volumes in its series",)


@pytest.mark.fault(62, "several volumes in one series, one of them incomplete", "quarantined, with numbers")
def test_an_incomplete_volume(tmp_path: Path) -> None:
    files = volumes(tmp_path, "P1", "EchoNumbers", [1, 2])
    files[1][2].unlink()
    with pytest.raises(DataError, match="5 slices lie at the place of another.*no value of EchoNumbers"):
        formats.read(files[0][0])


@pytest.mark.fault(62, "the same volumes in the series of all cases (echoes, b-values)", "a channel each")
def test_volumes_that_all_cases_have_are_channels(tmp_path: Path) -> None:
    for patient in ("A", "B"):
        first, second = volumes(tmp_path / patient / "mr", patient, "EchoNumbers", [1, 2])
        made.segmentation(tmp_path / patient / "s.seg", {"liver": MASK}, second)
    found = layouts.find(tmp_path)
    assert found.channels == ("echo_1", "echo_2") and found.left_over == ()
    assert images(found) == {f"{p}_mr": (f"{p}/mr/v0_1", f"{p}/mr/v1_101") for p in "AB"}
    assert {case.reference for case in found.cases} == {1}
    shown = inspect(tmp_path)
    assert shown.channels == ("echo_1", "echo_2") and {entry.verdict for entry in shown.audit} == {"ok"}


@pytest.mark.fault(62, "other volumes in each series", "the one that the label refers to is the image")
def test_the_volume_that_the_label_was_drawn_on(tmp_path: Path) -> None:
    for patient, values, drawn_on in (("A", [1, 2], 0), ("B", [1, 2, 3], 2)):
        files = volumes(tmp_path / patient / "mr", patient, "TemporalPositionIdentifier", values)
        made.segmentation(tmp_path / patient / "s.seg", {"liver": MASK}, files[drawn_on])
    found = layouts.find(tmp_path)
    assert found.channels == ("MR",)
    assert images(found) == {"A_mr": ("A/mr/v0_1",), "B_mr": ("B/mr/v2_201",)}
    assert found.left_over == ("A/mr/v1_101", "B/mr/v0_1", "B/mr/v1_101")
    assert "time_1, another volume of a series whose label was drawn on time_3" in found.reasons["B/mr/v0_1"]


def test_labels_on_other_volumes_of_the_same_names_are_no_channels(tmp_path: Path) -> None:
    for patient, drawn_on in (("A", 0), ("B", 1)):
        files = volumes(tmp_path / patient / "mr", patient, "TemporalPositionIdentifier", [1, 2])
        made.segmentation(tmp_path / patient / "s.seg", {"liver": MASK}, files[drawn_on])
    assert images(layouts.find(tmp_path)) == {"A_mr": ("A/mr/v0_1",), "B_mr": ("B/mr/v1_101",)}


def test_two_volumes_with_a_label_each_are_two_cases(tmp_path: Path) -> None:
    files = volumes(tmp_path / "mr", "A", "TriggerTime", [0.0, 40.0, 300.0])
    for number in (0, 2):
        made.segmentation(tmp_path / f"s{number}.seg", {"cavity": MASK}, files[number])
    found = layouts.find(tmp_path)
    assert {case.case: case.label for case in found.cases} == {
        "mr_trigger-time_0": "s0.seg",
        "mr_trigger-time_300": "s2.seg",
    }
    assert len({case.subject for case in found.cases}) == 1


@pytest.mark.fault(62, "several volumes in a series, and nothing tells which the label is of", "quarantined, saying so")
def test_nothing_tells_which_volume_is_meant(tmp_path: Path) -> None:
    files = made.series(tmp_path / "A" / "mr", who=made.identity("A"), modality="MR")
    made.segmentation(tmp_path / "A" / "s.seg", {"liver": MASK}, files)
    both = volumes(tmp_path / "B" / "mr", "B", "EchoNumbers", [1, 2])
    made.segmentation(tmp_path / "B" / "s.seg", {"liver": MASK}, [*both[0], *both[1][:3]])
    shown = inspect(tmp_path)
    verdicts = {entry.case: entry for entry in shown.audit}
    assert verdicts["A_mr"].verdict == "ok" and verdicts["B_mr"].verdict == "quarantined"
    assert "2 channels in B/mr/v0_1, B/mr/v1_101; expected 1" in verdicts["B_mr"].reason
    assert any("holds 2 volumes: echo_1 (6 slices), echo_2 (6 slices)" in entry.reason for entry in shown.audit)


def test_volumes_to_predict(tmp_path: Path) -> None:
    volumes(tmp_path / "mr", "A", "EchoNumbers", [1, 2])
    [case] = find_inputs(tmp_path, channels=["echo_1", "echo_2"])
    assert (case.case, case.images) == ("mr", ("mr/v0_1", "mr/v1_101"))
    one, two = find_inputs(tmp_path, channels=["MR"])
    assert (one.case, one.images, two.case) == ("mr_echo_1", ("mr/v0_1",), "mr_echo_2")
