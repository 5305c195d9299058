"""Whatever lies in a folder: cases are found, or an error says why not. No other exception, and no case twice."""

import json
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from autoseg import layouts
from autoseg.errors import AutosegError
from autoseg.layouts import declaration, rows

WORDS = (
    "images",
    "masks",
    "train",
    "test",
    "imagesTr",
    "labelsTr",
    "p1",
    "p2",
    "sub-01",
    "sub-02",
    "derivatives",
    "anat",
)
NAMES = (
    "a",
    "b",
    "a_mask",
    "b_seg",
    "a_T1",
    "a_T2",
    "sub-01_T1w",
    "sub-01_dseg",
    "seg",
    "t1",
    "liver",
    "a_0000",
    "p1_t1",
)
SUFFIXES = (".nii.gz", ".png", ".nii", ".txt", "")
PATHS = st.builds(
    lambda folders, name, suffix: "/".join((*folders, name + suffix)),
    st.lists(st.sampled_from(WORDS), max_size=3),
    st.sampled_from(NAMES),
    st.sampled_from(SUFFIXES),
)
CELLS = st.one_of(st.sampled_from(("image", "label", "a.nii.gz", "../x.png", "images/a.png", "")), st.text(max_size=8))


def found_or_explained(root: Path) -> None:
    try:
        found = layouts.find(root)
    except AutosegError as error:
        assert str(error)
        return
    names = [case.case for case in found.cases]
    assert names
    assert len(set(names)) == len(names)
    assert len(found.left_over) == len(found.left_over_because)
    assert all(found.left_over_because)
    images = [image for case in found.cases for image in case.images]
    assert not set(images) & {file for case in found.cases for file in case.label_files}
    assert all((root / image).is_file() for image in images)


@settings(max_examples=100, deadline=None)
@given(st.lists(PATHS, max_size=14, unique=True))
def test_any_tree(paths):
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            file = Path(folder) / path
            if not any(parent.is_file() for parent in file.parents) and not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                file.touch()
        found_or_explained(Path(folder))


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.lists(st.lists(CELLS, max_size=4), max_size=5)))
def test_any_table(content):
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "cases.csv"
        data = content if isinstance(content, bytes) else "\n".join(map(",".join, content)).encode("utf-8", "replace")
        table.write_bytes(data)
        for name in ("a.nii.gz", "images/a.png"):
            (Path(folder) / name).parent.mkdir(exist_ok=True)
            (Path(folder) / name).touch()
        for source in (Path(folder), table):
            try:
                layouts.find(source)
            except AutosegError as error:
                assert str(error)
        try:
            read = rows.read(table)
        except AutosegError:
            return
        assert all(set(read.columns) <= set(row) for row in read.rows)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ("channel_names", "labels", "modality", "training", "test", "validation", "dataset", "numTraining")
)


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.binary(max_size=100), st.dictionaries(KEYS, JSON, min_size=1)))
def test_any_declaration(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dataset.json"
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        (Path(folder) / "imagesTr").mkdir()
        (Path(folder) / "imagesTr" / "a_0000.nii.gz").touch()
        try:
            declaration.read(path)
            layouts.find(Path(folder))
        except AutosegError as error:
            assert str(error)


def test_names_that_look_like_structures_where_no_folder_is_for_masks(tmp_path):  # found by test_any_tree
    for path in ("train/s_T1w.png", "images/s/a.png", "images/s/b.png", "train/images/s_T1w.png"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    found_or_explained(tmp_path)
