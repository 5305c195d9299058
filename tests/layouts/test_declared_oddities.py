"""``dataset.json`` that is broken, hostile or merely odd."""

import json

import pytest

from autoseg import layouts
from autoseg.errors import DataError, RefusedError
from autoseg.phantoms import write_msd, write_nnunet
from tests.layouts.folders import make
from tests.made import ball, nifti, noise


def edit(folder, **changes):
    path = folder / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return folder


@pytest.mark.fault(56, "broken JSON: trailing comma, NaN, deep nesting, a key twice", "error with line and column")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{\n "name": "x",\n}', r"line (2, column 1\d|3, column 1)"),
        ('{\n "name": NaN}', r"line 2, column 10: NaN"),
        ('{"x":\n-Infinity}', r"line 2, column 1: -Infinity"),
        ('{"x": ' + "[" * 100_000, r"line 1, column \d+: nested more than 64"),
        ('{"x": ' + '{"a":' * 100_000, r"line 1, column \d+: nested more than 64"),
        ('{"labels": {"a": 1, "a": 2}}', r"'a'.* twice"),
        ('{"x": ' + "9" * 10_000 + "}", "number"),
        ('{"training": ["a\\ud800.nii.gz"]}', "half a character"),
        ('{"training": ["./"]}', r"at \$\.training\[0\]: './' is a folder"),
        ('{"training": ["' + "a" * 300 + '.nii.gz"]}', r"at \$\.training\[0\]: 'aaa.* is too long"),
        ("[]", r"at \$"),
    ],
)
def test_broken_json(tmp_path, text, said):
    write_msd(tmp_path, cases=1)
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(DataError, match=said):
        layouts.find(tmp_path)


@pytest.mark.fault(56, "a byte order mark before the JSON", "read")
def test_a_byte_order_mark(tmp_path):
    write_msd(tmp_path, cases=2)
    declared = tmp_path / "dataset.json"
    declared.write_bytes(b"\xef\xbb\xbf" + declared.read_bytes())
    assert (layouts.find(tmp_path).layout, len(layouts.find(tmp_path).cases)) == ("msd", 2)


def test_text_that_says_nan_or_brackets_is_only_text(tmp_path):
    write_msd(tmp_path, cases=1)
    edit(tmp_path, description='NaN, "[[[" and Infinity \\')
    assert layouts.find(tmp_path).layout == "msd"


@pytest.mark.fault(56, "a wrong numTraining, a misspelled key", "counted anew; 'did you mean'")
def test_odd_but_harmless(tmp_path):
    write_msd(tmp_path, cases=2)
    edit(tmp_path, numTraining=7, traning=[])
    notes = layouts.find(tmp_path).notes
    assert any("numTraining is 7, but 2 cases" in note for note in notes)
    assert any("'traning'" in note and "did you mean 'training'" in note for note in notes)


def test_a_right_declaration_gets_no_remarks(tmp_path):
    write_nnunet(tmp_path, cases=2)
    edit(tmp_path, overwrite_image_reader_writer="SimpleITKIO", license="CC0", tensorImageSize="3D")
    assert layouts.find(tmp_path).notes == ()


def table(folder):
    listed = {
        f"case {n}": {"images": [f"any/{n}_a.nii.gz", f"./any/{n}_b.nii.gz"], "label": f"any/{n}_l.nii.gz"}
        for n in range(2)
    }
    make(folder, "any/{0,1}_{a,b}.nii.gz \n any/{0,1}_l.nii.gz #")
    declared = {"channel_names": {"0": "A", "1": "B"}, "labels": {"background": 0, "x": 1}, "numTraining": 2}
    (folder / "dataset.json").write_text(json.dumps({**declared, "file_ending": ".nii.gz", "dataset": listed}))
    return folder


def test_the_explicit_file_table(tmp_path):
    found = layouts.find(table(tmp_path))
    assert found.layout == "nnunet"
    assert [(case.case, case.images, case.label) for case in found.cases][1] == (
        "case 1",
        ("any/1_a.nii.gz", "any/1_b.nii.gz"),
        "any/1_l.nii.gz",
    )


@pytest.mark.fault(57, "a path or name in dataset.json that leads out of the folder", "refused (exit 6)")
@pytest.mark.parametrize(
    "listed",
    [
        {"x": {"images": ["../../etc/passwd"], "label": "any/1_l.nii.gz"}},
        {"x": {"images": ["any/1_a.nii.gz"], "label": "/etc/passwd"}},
        {"../x": {"images": ["any/1_a.nii.gz"], "label": "any/1_l.nii.gz"}},
    ],
)
def test_the_table_stays_inside(tmp_path, listed):
    edit(table(tmp_path), dataset=listed)
    with pytest.raises(RefusedError, match=r"\$\.dataset"):
        layouts.find(tmp_path)


@pytest.mark.fault(56, "values of the wrong type", "exit 3 with the JSON path")
@pytest.mark.parametrize("listed", [[], {"x": {}}, {"x": {"images": []}}, {"x": {"images": [3]}}, {"x": "y"}])
def test_wrong_types_in_the_table(tmp_path, listed):
    edit(table(tmp_path), dataset=listed)
    with pytest.raises(DataError, match=r"\$\.dataset"):
        layouts.find(tmp_path)


def test_a_validation_list_is_more_training_cases(tmp_path):  # as AMOS
    write_msd(tmp_path, cases=2)
    nifti(tmp_path / "imagesVa" / "v.nii.gz", noise())
    nifti(tmp_path / "labelsVa" / "v.nii.gz", ball())
    edit(tmp_path, validation=[{"image": "./imagesVa/v.nii.gz", "label": "./labelsVa/v.nii.gz"}])
    found = layouts.find(tmp_path)
    assert [(case.case, case.labelled) for case in found.cases][-1] == ("v", True)
    assert found.notes == ()


@pytest.mark.fault(56, "dataset.json of absurd size", "exit 3 unread")
def test_the_largest_declaration(tmp_path):
    write_msd(tmp_path, cases=1)
    with open(tmp_path / "dataset.json", "ab") as file:
        file.truncate(65 * 2**20)
    with pytest.raises(DataError, match="more than"):
        layouts.find(tmp_path)
