"""Tables of cases, good, odd and hostile."""

import json

import pytest
from typer.testing import CliRunner

from autoseg import layouts
from autoseg.cli import app
from autoseg.errors import DataError, LayoutError, RefusedError
from tests.layouts.folders import make, read
from tests.made import ball, nifti, noise

TREE = "scans/{a,b}_{t1,t2}.nii.gz \n drawn/{a,b}_{liver,spleen}.nii.gz #"


@pytest.fixture
def root(tmp_path):
    return make(tmp_path / "data", TREE)


def write(root, text, name="cases.csv", encoding="utf-8"):
    (root / name).write_bytes(text.encode(encoding))
    return root


ROWS = "image,label,subject\nscans/a_t1.nii.gz,drawn/a_liver.nii.gz,p1\nscans/b_t1.nii.gz,drawn/b_liver.nii.gz,p1\n"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (ROWS, "utf-8"),
        (ROWS.replace(",", ";"), "utf-8-sig"),
        (ROWS.replace(",", "\t"), "utf-16"),
        (ROWS.replace("\n", "\r\n").replace("p1", "Müller"), "latin-1"),
        ('"Image Path", "Mask File", PatientID\n"scans/a_t1.nii.gz","drawn\\a_liver.nii.gz",1\n'
         '"./scans/b_t1.nii.gz","drawn/b_liver.nii.gz",1\n', "utf-8"),
        ("img,seg,patient_id\na_t1.nii.gz,a_liver.nii.gz,1\nb_t1,b_liver,1\n", "utf-8"),  # bare names, where unique
    ],
)  # fmt: skip
def test_a_row_per_case(root, text, encoding):
    found = layouts.find(write(root, text, encoding=encoding))
    assert read(found) == {
        f"{case}_t1": (f"scans/{case}_t1.nii.gz", "->", f"drawn/{case}_liver.nii.gz") for case in "ab"
    }
    assert len({case.subject for case in found.cases}) == 1
    assert "column" in found.grouping


def test_a_column_per_channel(root):
    text = "id,t1,t2,mask\n" + "".join(
        f"{c},scans/{c}_t1.nii.gz,scans/{c}_t2.nii.gz,drawn/{c}_liver.nii.gz\n" for c in "ab"
    )
    found = layouts.find(write(root, text))
    assert found.channels == ("t1", "t2")
    assert read(found)["b"] == ("scans/b_t1.nii.gz", "scans/b_t2.nii.gz", "->", "drawn/b_liver.nii.gz")


def test_a_row_per_channel(root):
    text = "case,modality,image,label\n" + "".join(
        f"{c},{m},scans/{c}_{m.lower()}.nii.gz,drawn/{c}_liver.nii.gz\n" for c in "ab" for m in ("T1", "T2")
    )
    found = layouts.find(write(root, text))
    assert found.channels == ("T1", "T2")
    assert read(found)["b"] == ("scans/b_t1.nii.gz", "scans/b_t2.nii.gz", "->", "drawn/b_liver.nii.gz")


@pytest.mark.parametrize(
    "text",
    [
        "image,liver_mask,spleen_mask\n"
        + "".join(f"scans/{c}_t1.nii.gz,drawn/{c}_liver.nii.gz,drawn/{c}_spleen.nii.gz\n" for c in "ab"),
        "image,label,structure\n"
        + "".join(f"scans/{c}_t1.nii.gz,drawn/{c}_{s}.nii.gz,{s}\n" for c in "ab" for s in ("liver", "spleen")),
    ],
)
def test_structures_in_columns_or_rows(root, text):
    [first, _] = layouts.find(write(root, text)).cases
    assert [(each.name, each.file) for each in first.structures] == [
        ("liver", "drawn/a_liver.nii.gz"),
        ("spleen", "drawn/a_spleen.nii.gz"),
    ]


def test_a_split_and_rows_without_a_label(root):
    rows = ("scans/a_t1.nii.gz,drawn/a_liver.nii.gz,train", "scans/b_t1.nii.gz,drawn/b_liver.nii.gz,test")
    text = "\n".join(("image,label,split", *rows, "scans/b_t2.nii.gz,n/a,test"))
    cases = {case.case: case for case in layouts.find(write(root, text)).cases}
    assert [name for name, case in cases.items() if case.given_holdout] == ["b_t1"]
    assert not cases["b_t2"].labelled


def test_folds_are_passed_on(root):
    text = "image,label,fold\nscans/a_t1.nii.gz,drawn/a_liver.nii.gz,0\nscans/b_t1.nii.gz,drawn/b_liver.nii.gz,1\n"
    assert [case.given_fold for case in layouts.find(write(root, text)).cases] == [0, 1]


def test_tables_called_after_parts_of_a_split_are_one_data_set(root):
    write(root, "image,label\nscans/a_t1.nii.gz,drawn/a_liver.nii.gz\n", "train.csv")
    write(root, "image,label\nscans/b_t1.nii.gz,drawn/b_liver.nii.gz\n", "test.csv")
    assert [(case.case, case.given_holdout) for case in layouts.find(root).cases] == [("a_t1", False), ("b_t1", True)]


def test_two_tables_as_good_as_each_other_are_asked_about(root):
    for organ in ("liver", "spleen"):
        write(root, f"image,label\nscans/a_t1.nii.gz,drawn/a_{organ}.nii.gz\n", f"{organ}.csv")
    with pytest.raises(
        LayoutError, match=r"(?s)--layout table:liver.csv.*a_liver.*--layout table:spleen.csv.*a_spleen"
    ):
        layouts.find(root)
    for asked in (layouts.find(root / "spleen.csv"), layouts.find(root, layout="table:spleen.csv")):
        assert read(asked) == {"a_t1": ("scans/a_t1.nii.gz", "->", "drawn/a_spleen.nii.gz")}


@pytest.mark.fault(57, "a path in a table that leads out of the folder", "refused (exit 6), its content is not shown")
@pytest.mark.parametrize(
    "cell", ["../secret.nii.gz", "/etc/passwd", "C:\\x.nii.gz", "\\\\host\\x.nii.gz", "a/../../x.nii"]
)
def test_paths_out_of_the_folder_are_refused(root, cell):
    (root.parent / "secret.nii.gz").write_text("hunter2")
    write(root, f"image,label\nscans/a_t1.nii.gz,drawn/a_liver.nii.gz\nscans/b_t1.nii.gz,{cell}\n")
    result = CliRunner().invoke(app, ["inspect", str(root)], catch_exceptions=True)
    assert isinstance(result.exception, RefusedError)
    assert "line 3, column label" in str(result.exception)
    assert "hunter2" not in str(result.exception) + result.output


def test_an_absolute_path_that_leads_into_the_folder_is_fine(root):
    write(root, f"image,label\n{root}/scans/a_t1.nii.gz,{root}/drawn/a_liver.nii.gz\n")
    assert read(layouts.find(root)) == {"a_t1": ("scans/a_t1.nii.gz", "->", "drawn/a_liver.nii.gz")}


@pytest.mark.fault(57, "a case name in a table that leads out of the folder", "refused (exit 6)")
def test_names_that_climb_are_refused(root):
    write(root, "case,image,label\n../../evil,scans/a_t1.nii.gz,drawn/a_liver.nii.gz\n")
    with pytest.raises(RefusedError, match="no name for a case"):
        layouts.find(root)


@pytest.mark.fault(61, "a formula or markup as the name of a case", "a name like any other")
def test_formulas_and_markup_are_only_text(root):
    write(root, 'case,image,label\n"=cmd()|\'x\'",scans/a_t1.nii.gz,drawn/a_liver.nii.gz\n'
          "<script>,scans/b_t1.nii.gz,drawn/b_liver.nii.gz\n")  # fmt: skip
    assert set(read(layouts.find(root))) == {"=cmd()|'x'", "<script>"}


def test_one_case_with_two_images_names_both_lines(root):
    write(
        root, "case,image,label\nx,scans/a_t1.nii.gz,drawn/a_liver.nii.gz\nx,scans/b_t1.nii.gz,drawn/a_liver.nii.gz\n"
    )
    with pytest.raises(DataError, match=r"line 3: case 'x' stands in line 2 too"):
        layouts.find(root)


def test_a_file_that_is_missing_costs_its_case_alone(root):
    rows = "".join(f"scans/{c}_{t}.nii.gz,drawn/{c}_liver.nii.gz\n" for c in "ab" for t in ("t1", "t2"))
    for number in range(3):
        nifti(root / f"more_{number}.nii.gz", noise(number))
        nifti(root / f"more_{number}_mask.nii.gz", ball())
        rows += f"more_{number}.nii.gz,more_{number}_mask.nii.gz\n"
    write(root, f"image,label\n{rows}scans/gone.nii.gz,drawn/a_liver.nii.gz\n")
    result = CliRunner().invoke(app, ["inspect", str(root), "--json"])
    bad = [entry for entry in json.loads(result.stdout)["audit"] if entry["verdict"] == "quarantined"]
    assert [(entry["case"], "no such file" in entry["reason"]) for entry in bad] == [("gone", True)]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("\0\1\2", DataError),
        ("", DataError),
        ("a,a\n1,2\n", DataError),
        ("image,age\nscans/a_t1.nii.gz,3\n", LayoutError),
    ],
)
def test_what_is_no_table_of_cases_says_so(root, text, error):
    write(root, text)
    with pytest.raises(error, match=r"cases\.csv"):
        layouts.find(root / "cases.csv")


def test_a_table_of_something_else_is_passed_over(tmp_path):
    make(tmp_path, "images/{1,2}.png \n masks/{1,2}.png #")
    (tmp_path / "ages.csv").write_text("image,age\n1.png,40\n2.png,50\n")
    assert layouts.find(tmp_path).layout == "pairs"


def test_run_and_resume_accept_a_table(root, tmp_path):
    from autoseg import pipeline

    for number in range(4):
        nifti(root / f"more_{number}.nii.gz", noise(number))
        nifti(root / f"more_{number}_mask.nii.gz", ball())
    write(root, "image,label\n" + "".join(f"more_{n}.nii.gz,more_{n}_mask.nii.gz\n" for n in range(4)))
    for _ in range(2):
        with pipeline.opened(tmp_path / "out", root / "cases.csv") as row:
            assert len(row.dataset.development) == 4
    with pipeline.opened(tmp_path / "out") as row:
        assert len(row.dataset.development) == 4
