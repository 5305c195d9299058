import pytest

from autoseg import layouts
from autoseg.errors import LayoutError, UsageError
from autoseg.phantoms import write_msd, write_nnunet, write_pairs
from tests.layouts.folders import make, read
from tests.made import ball, folder_of_pairs, nifti


@pytest.mark.parametrize(("write", "layout"), [(write_msd, "msd"), (write_nnunet, "nnunet"), (write_pairs, "pairs")])
def test_every_layout_is_recognised_whatever_the_folder_is_called(tmp_path, write, layout):
    write(tmp_path / "no special name", cases=2)
    found = layouts.find(tmp_path / "no special name")
    assert found.layout == layout
    assert [case.label is not None for case in found.cases] == [True, True]
    for case in found.cases:
        assert all((tmp_path / "no special name" / file).is_file() for file in (*case.images, case.label))


@pytest.mark.parametrize("write", [write_msd, write_nnunet, write_pairs])
def test_a_data_set_one_level_deeper_is_found(tmp_path, write):
    write(tmp_path / "download" / "Data", cases=2)
    found = layouts.find(tmp_path / "download")
    assert all(case.images[0].startswith("Data/") and case.label.startswith("Data/") for case in found.cases)
    assert "subfolder Data/" in found.notes[0]


def test_several_data_sets_are_named(tmp_path):
    write_msd(tmp_path / "one", cases=1)
    write_msd(tmp_path / "two", cases=1)
    with pytest.raises(LayoutError, match="one, two"):
        layouts.find(tmp_path)


def test_a_folder_without_cases_says_what_it_holds_and_where_to_look(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(LayoutError, match=r"1 \.txt"):
        layouts.find(tmp_path)
    write_msd(tmp_path / "a" / "b", cases=1)
    with pytest.raises(LayoutError, match=r"did you mean .*b\?"):
        layouts.find(tmp_path)


def test_no_folder(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        layouts.find(tmp_path / "none")


def test_empty_folder(tmp_path):
    with pytest.raises(LayoutError, match="empty"):
        layouts.find(tmp_path)


def test_hidden_files_links_in_circles_and_the_run_folder_do_not_count(tmp_path):
    root = folder_of_pairs(tmp_path / "data", cases=2)
    (root / "images" / "._case_0.nii.gz").write_bytes(b"mac")
    (root / "images" / "again").symlink_to(root)
    folder_of_pairs(root / "run", cases=1)
    found = layouts.find(root, exclude=root / "run")
    assert [case.case for case in found.cases] == ["case_0", "case_1"]
    assert found.left_over == ()


def test_unused_files_are_listed_a_whole_folder_as_one(tmp_path):
    root = folder_of_pairs(tmp_path, cases=2)
    nifti(root / "masks" / "nobody.nii.gz", ball())
    for name in ("case_0", "case_1"):
        nifti(root / "second" / "reader" / f"{name}.nii.gz", ball())
    found = layouts.find(root)
    assert found.left_over == ("masks/nobody.nii.gz", "second/reader/ (2 files)")


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ("{a,b}.nii.gz", "among 2 images is called mask"),
        ("masks/{a,b}.nii.gz #", "All 2 images are called masks"),
        ("images/{anna,otto}.nii.gz\nmasks/{berta,hans}.nii.gz #", "masks/berta.nii.gz and images/anna.nii.gz"),
        ("notes.docx", "No file is of a format"),
    ],
)
def test_a_folder_that_says_nothing_is_told_what_would(tmp_path, files, told):
    with pytest.raises(LayoutError, match=told) as caught:
        layouts.find(make(tmp_path, files))
    assert "cases.csv" in str(caught.value)


def test_the_table_that_is_offered_is_read(tmp_path):
    make(tmp_path, "images/{anna,otto}.nii.gz\nmasks/{berta,hans}.nii.gz #")
    rows = ("image,label", "images/anna.nii.gz,masks/hans.nii.gz", "images/otto.nii.gz,masks/berta.nii.gz")
    (tmp_path / "cases.csv").write_text("\n".join(rows))
    assert read(layouts.find(tmp_path))["anna"] == ("images/anna.nii.gz", "->", "masks/hans.nii.gz")
