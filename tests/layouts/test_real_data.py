"""The real data sets at hand, read without any option."""

import json

import pytest
from typer.testing import CliRunner

from autoseg import layouts
from autoseg.cli import app
from autoseg.errors import LayoutError, UsageError
from tests.real_data import real

pytestmark = pytest.mark.data


def inspected(path):
    result = CliRunner().invoke(app, ["inspect", str(path), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_hippocampus_is_a_decathlon_folder():
    found = layouts.find(real("Task04_Hippocampus"))
    assert (found.layout, len(found.cases), found.channels) == ("msd", 200, ("MRI",))
    assert found.labels.targets == ("Anterior", "Posterior")
    assert len({case.subject for case in found.cases}) == 200
    assert found.left_over == ()


@pytest.mark.parametrize("folder", ["sts_ct", "sts_ct/Dataset101_SarcomaCT"])
def test_an_nnunet_folder_may_be_named_itself_or_by_its_parent(folder):
    found = layouts.find(real(folder))
    assert (found.layout, len(found.cases), found.channels) == ("nnunet", 17, ("CT",))
    assert all(case.labelled for case in found.cases)


def test_nuclei_are_pairs():
    found = layouts.find(real("nuclei_png"))
    assert (found.layout, len(found.cases), found.left_over) == ("pairs", 70, ())
    assert all(case.label == case.images[0].replace("images/", "masks/") for case in found.cases)


def test_sunnybrook_has_five_subjects_and_a_spare_label_folder():
    found = layouts.find(real("sunnybrook_cine"))
    assert found.layout == "nnunet"
    assert {case.subject for case in found.cases} == {f"SCD0000{n}01" for n in range(1, 6)}
    assert len(found.cases) == 10
    assert found.left_over == ("labelsTr_lv_myo_ED/ (4 files)",)
    assert "whose label is labelsTr/SCD" in found.left_over_because[0]
    assert "5 subjects" in found.grouping


@pytest.mark.parametrize(("table", "cases"), [("pairs.csv", 6), ("pairs_gm.csv", 3), ("pairs_lesion.csv", 1)])
def test_each_table_of_the_spine_folder_can_be_named(table, cases):
    found = layouts.find(real("spine_mixed_orientation") / table)
    assert (found.layout, len(found.cases)) == ("table", cases)
    assert {case.subject for case in found.cases} == {"sct01"}
    assert all((real("spine_mixed_orientation") / file).is_file() for c in found.cases for file in (*c.images, c.label))


def test_the_largest_table_is_read_where_none_is_named_and_the_others_are_told():
    found = layouts.find(real("spine_mixed_orientation"))
    assert len(found.cases) == 6
    assert "--layout" in found.notes[0]
    assert "table:pairs_gm.csv: 3 cases" in found.notes[0]
    why = dict(zip(found.left_over, found.left_over_because, strict=True))
    assert why["mt/mt1_gmseg_goldstandard.nii.gz"] == "named in pairs_gm.csv, which is another data set"
    assert len(layouts.find(real("spine_mixed_orientation"), layout="table:pairs_gm.csv").cases) == 3


def test_four_channels_in_case_folders():
    said = inspected(real("ms_four_channels"))
    assert (said["layout"], said["cases"], said["labelled"]) == ("cases", 2, 2)
    assert said["channels"] == ["FLAIR", "T1", "T1POST", "T2"]
    assert [entry["verdict"] for entry in said["audit"] if entry["case"] != "(all)"] == ["ok", "ok"]


def test_many_labels_take_their_names_from_the_table_and_only_those_that_occur():
    said = inspected(real("ct_many_labels"))
    assert (said["layout"], said["cases"], len(said["labels"])) == ("pairs", 1, 40)
    assert said["labels"][0] == {"name": "spleen", "value": 1}
    assert said["labels"][-1] == {"name": "costal_cartilages", "value": 117}


@pytest.mark.fault(50, "an image without a label, a label without an image", "predicted only; left over, and said why")
def test_unpaired_files_are_told_apart():
    said = inspected(real("negatives/unpaired"))
    assert (said["cases"], said["labelled"]) == (2, 1)
    assert said["left_over"] == ["labels/hippocampus_014.nii.gz"]
    assert said["left_over_because"] == ["a mask without an image"]
    assert any("hippocampus_118" in one and "to be predicted" in one for one in said["examples"])


def test_channels_on_several_grids_are_one_case():
    found = layouts.find(real("negatives/grids_differ"))
    assert (found.layout, found.channels, len(found.cases)) == ("cases", ("FLAIR", "T1W", "T2W"), 1)


@pytest.mark.parametrize(
    "name", ["affine_shifted/origin_only", "affine_shifted/origin_and_sform_scale", "foreign_label", "dirty_mask"]
)
def test_single_pairs(name):
    found = layouts.find(real(f"negatives/{name}"))
    assert (found.layout, len(found.cases), found.cases[0].labelled) == ("pairs", 1, True)


@pytest.mark.parametrize("name", ["negatives", "negatives/affine_shifted"])
def test_a_folder_of_data_sets_is_not_mixed_into_one(name):
    with pytest.raises(LayoutError, match="several data sets"):
        layouts.find(real(name))


def test_a_table_of_label_names_is_no_table_of_cases():
    with pytest.raises(LayoutError, match="no column of images"):
        layouts.find(real("ct_many_labels") / "label_names.csv")
    with pytest.raises(UsageError, match="table"):
        layouts.find(real("Task04_Hippocampus") / "dataset.json")
