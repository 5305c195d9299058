"""Published bad data, as found in the field, gets the verdict that is promised."""

import pytest

from autoseg.contracts import Case
from autoseg.errors import DataError
from autoseg.intake import auditing
from tests.intake.whole import entry, run, stored
from tests.real_data import copy, real


@pytest.mark.parametrize(
    ("name", "case", "said"),
    [
        ("origin_only", "004", "0.129 voxel beside the image"),
        ("origin_and_sform_scale", "006", "another size by 0.32%, 0.16 voxel over the extent"),
    ],
)
def test_shifted_affines_are_repaired(tmp_path, out, name, case, said):
    made = run(copy(f"negatives/affine_shifted/{name}", tmp_path / "data"), out)
    found = entry(made, f"hippocampus_{case}")
    assert (found.verdict, found.repair) == ("repaired", "taken by index")
    assert said in found.reason


def test_a_foreign_label_is_quarantined(tmp_path, out):
    with pytest.raises(DataError, match=r"hippocampus_008(.|\n)*overlap 0.1%(.|\n)*another image"):
        run(copy("negatives/foreign_label", tmp_path / "data"), out)
    assert out.misplaced("hippocampus_008").is_file()


def test_channels_on_four_grids_are_quarantined_with_numbers(tmp_path):
    folder = real("negatives/grids_differ")
    files = [f"patient01_study2/{name}.nii.gz" for name in ("FLAIR", "T1W", "T2W")]
    case = Case(case="p", subject="p", images=tuple(files), label="patient01_study2/label.nii.gz")
    with pytest.raises(DataError, match=r"T2W.nii.gz does not lie where the image lies: .* overlap 87.\d%"):
        auditing.load(folder, case)
    near = case.model_copy(update={"images": tuple(files[:2]), "label": None})
    loaded = auditing.load(folder, near)
    assert loaded.image.shape == (2, *loaded.grid.shape)
    assert "overlap 93." in loaded.findings[-1].reason


def test_a_dirty_mask_is_quarantined_by_the_rule(tmp_path, out):
    source = copy("negatives/dirty_mask", tmp_path / "data")
    with pytest.raises(
        DataError, match=r"130 \(5 voxels, nearest label 128\).*233 \(4 voxels, nearest label 255\): more"
    ):
        run(source, out)
    made = run(source, out, snap_labels=True)
    assert entry(made, "rat2_data5").verdict == "repaired"
    assert [label.value for label in made.labels.labels] == [128, 255]


def test_alpha_is_no_channel(tmp_path, out):
    made = run(copy("negatives/alpha_channel", tmp_path / "data"), out)
    assert len(made.channels) == 1
    assert [label.value for label in made.labels.labels] == [127, 255]


def test_unpaired(tmp_path, out):
    made = run(copy("negatives/unpaired", tmp_path / "data"), out)
    assert made.development == ("hippocampus_007",)
    assert made.audit.left_over == ("labels/hippocampus_014.nii.gz",)
    assert not made.case("hippocampus_118").labelled


@pytest.mark.parametrize("name", ["ct_many_labels", "nuclei_png", "sunnybrook_cine"])
def test_good_data_stay_as_they_are(tmp_path, out, name):
    made = run(copy(name, tmp_path / "data", keep=10), out)
    assert {item.verdict for item in made.audit.entries} == {"ok"}
    if name == "ct_many_labels":
        assert len(made.labels.labels) == 40
        assert [(label.name, label.value) for label in made.labels.labels[:2]] == [("spleen", 1), ("kidney_right", 2)]
        assert stored(out, made.cases[0].case)[1].max() == 40
