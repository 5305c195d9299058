"""Tables and JSON that say which files belong together, broken at random: cases are found, or an error says why not.

What is found never leaves the folder: one name in a valid file that leads out of it is refused with exit 6.
"""

import csv
import io
import json
from pathlib import PurePosixPath

import pytest

from autoseg import layouts
from autoseg.contracts import Case
from autoseg.errors import AutosegError, DataError, RefusedError
from autoseg.intake import given_splits
from autoseg.layouts import label_names, names, rows
from autoseg.layouts.tree import look
from tests.fuzzing import ODD_VALUES, broken_json, broken_text, fuzz, one_of

ROWS = [(name, f"imagesTr/{name}_0000.nii.gz", f"labelsTr/{name}.nii.gz") for name in "abc"]
FILES = [file for _, *files in ROWS for file in files]
NNUNET = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "organ": 1}, "file_ending": ".nii.gz"}
DECLARATIONS = {
    "msd": {
        "modality": {"0": "CT"},
        "labels": {"0": "background", "1": "organ"},
        "numTraining": 3,
        "training": [{"image": image, "label": mask} for _, image, mask in ROWS],
        "validation": [{"image": FILES[0], "label": FILES[1]}],
        "test": ["./imagesTs/d.nii.gz"],
    },
    "nnunet": NNUNET
    | {
        "labels": {"background": 0, "whole": [1, 2], "core": [2], "ignore": 3},
        "regions_class_order": [1, 2],
        "numTraining": 3,
    },
    "listed": NNUNET | {"dataset": {name: {"images": [image], "label": mask} for name, image, mask in ROWS}},
}
TABLES = [
    "image,label,subject,split\n" + "".join(f"{image},{mask},p1,train\n" for _, image, mask in ROWS),
    "case;channel;image;label\n" + "".join(f"{name};T1;{image};{mask}\n" for name, image, mask in ROWS),
    "image\tliver_mask\tspleen_mask\tfold\n" + "".join(f"{image}\t{mask}\t{mask}\t0\n" for _, image, mask in ROWS),
]
NAMES = (b"value,name\n1,liver\n2,spleen\n", b"index\tstructure\n1\tliver\n2\tspleen\n")
SPLITS = [{"train": ["a", "b"], "val": ["c"]}, {"train": ["c"], "val": ["a", "b"], "test": []}]
CASES = [Case(case=name, subject=name, images=(image,), label=mask) for name, image, mask in ROWS]
OUTSIDE = (
    *("../{}", "x/../../{}", "/{}", "/etc/passwd", ".."),
    *("C:\\{}", "\\\\host\\share\\{}", "..\\{}", "imagesTr/../../{}"),
)


@pytest.fixture
def folder(tmp_path):
    for file in FILES:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    return tmp_path


def found_inside(folder, name):
    """The cases of a folder, all of whose files are in it; empty where an error, that names the file, says why not."""
    try:
        found = layouts.find(folder)
    except AutosegError as error:
        assert name in str(error) or str(folder) in str(error)
        return ()
    called = [case.case for case in found.cases]
    assert called
    assert len({name.encode() for name in called}) == len(called)
    for case in found.cases:
        assert case.case == PurePosixPath(case.case).name
        for file in (*case.images, *case.label_files):
            assert not PurePosixPath(file).is_absolute()
            assert ".." not in PurePosixPath(file).parts
    return found.cases


@pytest.mark.parametrize("kind", DECLARATIONS)
def test_broken_declarations(folder, kind):
    valid = json.dumps(DECLARATIONS[kind]).encode()
    path = folder / "dataset.json"
    path.write_bytes(valid)
    assert found_inside(folder, path.name)

    def look(generator):
        path.write_bytes(broken_json(valid, generator))
        found_inside(folder, path.name)

    fuzz(look)


def test_broken_tables(folder):
    path = folder / "cases.csv"

    def look(generator):
        path.write_bytes(broken_table(generator))
        found_inside(folder, path.name)
        try:
            table = rows.read(path)
        except DataError as error:
            assert path.name in str(error)
        else:
            assert all(set(table.columns) == set(row) for row in table.rows)

    fuzz(look)


def broken_table(generator):
    """A table with one to three cells replaced; of some the bytes are broken too."""
    text = one_of(TABLES, generator)
    lines = [list(cells) for cells in csv.reader(io.StringIO(text), csv.Sniffer().sniff(text, ",;\t"))]
    for _ in range(generator.integers(1, 4)):
        line = one_of(lines, generator)
        line[int(generator.integers(0, len(line)))] = str(one_of(ODD_VALUES, generator))
    made = io.StringIO()
    csv.writer(made).writerows(lines)
    data = made.getvalue().encode(errors="surrogatepass")
    return broken_text(data, generator) if generator.random() < 0.5 else data


def test_a_column_of_endless_digits_is_looked_at_once():  # found by test_broken_tables, which took seconds
    assert not names.is_rater_name("1" * 10**6)


def test_broken_tables_of_label_names(folder):
    path = folder / "names.csv"
    path.touch()
    tree = look(folder)

    def read(generator):
        path.write_bytes(broken_text(one_of(NAMES, generator), generator))
        found = label_names.find(tree)
        assert len(set(found.values())) == len(found)

    fuzz(read)


def test_broken_splits(folder):
    valid = json.dumps(SPLITS).encode()
    path = folder / "splits.json"

    def look(generator):
        path.write_bytes(broken_json(valid, generator))
        try:
            given = given_splits.asked(CASES, folder, None)
        except AutosegError as error:
            assert path.name in str(error)
        else:
            assert given.named <= {"a", "b", "c"}

    path.write_bytes(valid)
    assert given_splits.asked(CASES, folder, None)
    fuzz(look)


@pytest.mark.fault(57, "a path in dataset.json or a table leads out of the folder, in any spelling", "refused (exit 6)")
@pytest.mark.parametrize("kind", [*DECLARATIONS, "table"])
@pytest.mark.parametrize("outside", OUTSIDE)
def test_a_name_that_leads_outside_is_refused(folder, kind, outside):
    text = TABLES[0] if kind == "table" else json.dumps(DECLARATIONS[kind])
    path = folder / ("cases.csv" if kind == "table" else "dataset.json")
    for file in (file for file in FILES if file in text):
        leading_out = outside.format(file)
        path.write_text(text.replace(file, leading_out if kind == "table" else json.dumps(leading_out)[1:-1]))
        with pytest.raises(RefusedError) as caught:
            layouts.find(folder)
        assert caught.value.exit_code == 6
