"""Faults of files and names: twins, links, pipes, strange names."""

import gzip
import os
import unicodedata

import pytest
from typer.testing import CliRunner

from autoseg import layouts
from autoseg.cli import app
from autoseg.contracts import Settings
from autoseg.errors import LayoutError
from autoseg.stages.dataset import inspect
from tests.made import ball, folder_of_pairs, nifti, noise


def verdicts(root):
    dataset, _ = inspect(root, Settings())
    return {entry.case: entry for entry in dataset.audit.entries if entry.case != "(all)"}


@pytest.mark.fault(5, "files that systems leave behind (._x, .DS_Store, Thumbs.db)", "not looked at")
def test_traces_of_systems_are_no_data(tmp_path):
    root = folder_of_pairs(tmp_path, cases=2)
    for name in ("images/._case_0.nii.gz", "images/.DS_Store", "masks/Thumbs.db", "__MACOSX/images/._case_0.nii.gz"):
        (root / name).parent.mkdir(exist_ok=True, parents=True)
        (root / name).write_bytes(b"x")
    found = layouts.find(root)
    assert [case.case for case in found.cases] == ["case_0", "case_1"]
    assert found.left_over == ()


@pytest.mark.fault(11, "one case in two formats with the same content", "one file is used, the other left over")
def test_a_twin_of_the_same_content_is_left_over(tmp_path):
    root = folder_of_pairs(tmp_path, cases=2)
    (root / "images" / "case_0.nii").write_bytes(gzip.decompress((root / "images" / "case_0.nii.gz").read_bytes()))
    found = layouts.find(root)
    assert len(found.cases) == 2
    assert len(found.left_over) == 1
    assert found.left_over_because[0].startswith("the same as images/case_0.nii")


@pytest.mark.fault(11, "one case in two formats with different content", "fatal, both files named")
def test_a_twin_of_another_content_is_fatal(tmp_path):
    root = folder_of_pairs(tmp_path, cases=2)
    nifti(root / "images" / "case_0.nii", noise(99))
    with pytest.raises(LayoutError, match=r"images/case_0\.nii and images/case_0\.nii\.gz are the same case"):
        layouts.find(root)
    assert LayoutError.exit_code == 3


@pytest.mark.fault(11, "names that differ only in upper and lower case", "one is used if identical, else fatal")
def test_names_that_differ_only_in_case(tmp_path):
    root = folder_of_pairs(tmp_path, cases=2)
    for part in ("images", "masks"):
        (root / part / "CASE_0.nii.gz").write_bytes((root / part / "case_0.nii.gz").read_bytes())
    found = layouts.find(root)
    assert [case.case for case in found.cases] == ["CASE_0", "case_1"]
    assert found.left_over_because == ("the same as case CASE_0", "the same as case CASE_0")
    nifti(root / "images" / "CASE_0.nii.gz", noise(99))
    with pytest.raises(LayoutError, match=r"share a name.*CASE_0.*case_0"):
        layouts.find(root)


@pytest.mark.fault(12, "links: broken, in circles, out of the folder", "case quarantined; cut; followed and told")
def test_links(tmp_path):
    root = folder_of_pairs(tmp_path / "data", cases=10)
    outside = nifti(tmp_path / "elsewhere" / "x.nii.gz", noise(77))
    (root / "images" / "case_a.nii.gz").symlink_to(outside)
    nifti(root / "masks" / "case_a.nii.gz", ball())
    (root / "images" / "case_b.nii.gz").symlink_to(tmp_path / "nowhere")
    nifti(root / "masks" / "case_b.nii.gz", ball())
    (root / "images" / "again").symlink_to(root)
    (root / "images" / "self.nii.gz").symlink_to(root / "images" / "self.nii.gz")
    found = layouts.find(root)
    assert "1 links lead out of the folder and are followed, e.g. images/case_a.nii.gz" in found.notes
    judged = verdicts(root)
    assert judged["case_a"].verdict == "ok"
    assert {case: entry.verdict for case, entry in judged.items() if case in ("case_b", "self")} == {
        "case_b": "quarantined",
        "self": "quarantined",
    }
    assert "points nowhere" in judged["case_b"].reason


@pytest.mark.fault(4, "a pipe or a folder that is called like an image", "quarantined, or not taken for one")
def test_a_pipe_does_not_block(tmp_path):
    root = folder_of_pairs(tmp_path, cases=6)
    os.mkfifo(root / "images" / "case_a.nii.gz")
    nifti(root / "masks" / "case_a.nii.gz", ball())
    (root / "images" / "folder.nii.gz").mkdir()
    judged = verdicts(root)
    assert "not a regular file" in judged["case_a"].reason
    assert "folder" not in judged


@pytest.mark.fault(13, "names with spaces, quotes, line breaks, dashes, percent signs, or very long", "as any other")
def test_strange_names(tmp_path):
    names = ("with space", 'it\'s "quoted"', "-rf", "100%d{x}", "a\nnote: forged", "<b>", "x" * 240, "日本語")
    for number, name in enumerate(names):
        nifti(tmp_path / "images" / f"{name}.nii.gz", noise(number))
        nifti(tmp_path / "masks" / f"{name}.nii.gz", ball())
    found = layouts.find(tmp_path)
    assert len(found.cases) == len(names)
    assert all(case.labelled and "\n" not in case.case and len(case.case.encode()) <= 120 for case in found.cases)
    result = CliRunner().invoke(app, ["inspect", str(tmp_path)])
    assert result.exit_code == 0
    assert not any(line.strip().startswith("note: forged") for line in result.stdout.splitlines())
    assert all(entry.verdict == "ok" for entry in verdicts(tmp_path).values())


@pytest.mark.fault(13, "one name in composed and in decomposed Unicode", "one name")
def test_unicode_forms_meet(tmp_path):
    name = "Müller"
    nifti(tmp_path / "images" / f"{unicodedata.normalize('NFD', name)}.nii.gz", noise())
    nifti(tmp_path / "masks" / f"{unicodedata.normalize('NFC', name)}.nii.gz", ball())
    (tmp_path / "other").mkdir()
    table = tmp_path / "cases.csv"
    table.write_text(f"image,label\nimages/{name}.nii.gz,masks/{unicodedata.normalize('NFD', name)}.nii.gz\n")
    for found in (layouts.find(table), layouts.find(tmp_path, layout="pairs")):
        [case] = found.cases
        assert case.case == unicodedata.normalize("NFC", name)
        assert all((tmp_path / file).is_file() for file in (*case.images, *case.label_files))


@pytest.mark.fault(13, "a file name that is no Unicode text", "not used, and told")
def test_names_that_are_no_text(tmp_path):
    root = folder_of_pairs(tmp_path, cases=2)
    with open(os.fsencode(root / "images") + b"/caf\xe9.nii.gz", "wb") as file:
        file.write(b"x")
    found = layouts.find(root)
    assert len(found.cases) == 2
    assert any("no Unicode text" in note and "xe9" in note for note in found.notes)


@pytest.mark.fault(
    53, "a folder without cases, or with them further down", "exit 3 with what is there and where to look"
)
def test_nothing_to_find(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "notes.txt").write_text("x")
    with pytest.raises(LayoutError, match=r"a/ \(1 \.txt\)") as raised:
        layouts.find(tmp_path)
    assert raised.value.exit_code == 3
    folder_of_pairs(tmp_path / "a" / "b", cases=1)
    with pytest.raises(LayoutError, match=r"did you mean .*/a/b\?"):
        layouts.find(tmp_path)


@pytest.mark.fault(9, "files of formats that are not read", "told with their number and suffix")
def test_formats_that_are_not_read_are_told(tmp_path):
    root = folder_of_pairs(tmp_path, cases=2)
    (root / "images" / "more.npy").write_bytes(b"x")
    assert any("1 .npy" in note for note in layouts.find(root).notes)
