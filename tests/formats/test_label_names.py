import nibabel
import numpy as np
import pytest

from autoseg.formats import label_names
from tests.fuzzing import broken_bytes, fuzz

TABLE = (
    b'<?xml version="1.0"?> <CaretExtension> <VolumeInformation Index="0"> <LabelTable>'
    b'<Label Key="3" Red="0.0" Alpha="1"><![CDATA[liver]]></Label>'
    b'<Label Key="12" Red="1.0" Alpha="1">left &amp; right  lung</Label>'
    b"</LabelTable></VolumeInformation></CaretExtension>"
)


def write(path, table=TABLE):
    image = nibabel.Nifti1Image(np.zeros((4, 4, 4), np.uint8), np.eye(4))
    if table:
        image.header.extensions.append(nibabel.nifti1.Nifti1Extension(0, table))
    image.to_filename(path)
    return path


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_names_in_a_header_extension(tmp_path, suffix):
    assert label_names.read(write(tmp_path / f"a{suffix}")) == {3: "liver", 12: "left & right lung"}


def test_files_that_say_nothing(tmp_path):
    assert label_names.read(write(tmp_path / "a.nii.gz", b"")) == {}
    assert label_names.read(tmp_path / "absent.nii.gz") == {}
    assert label_names.read(write(tmp_path / "b.nii").rename(tmp_path / "b.png")) == {}
    (tmp_path / "c.nii.gz").write_bytes(b"\x1f\x8bbroken")
    assert label_names.read(tmp_path / "c.nii.gz") == {}


def test_a_table_that_contradicts_itself_is_not_used(tmp_path):
    assert label_names.read(write(tmp_path / "a.nii", TABLE.replace(b"left &amp; right  lung", b"liver"))) == {}


def test_broken_files_name_each_value_once_or_none(tmp_path):
    path = write(tmp_path / "a.nii")
    valid = path.read_bytes()

    def look(generator):
        path.write_bytes(valid[:300] + broken_bytes(valid[300:], generator))
        names = list(label_names.read(path).values())
        assert all(names)
        assert len(set(names)) == len(names)

    fuzz(look, 0.25)
