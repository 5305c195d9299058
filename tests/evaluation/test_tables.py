import json

import numpy as np
import pandas as pd
import pytest

from autoseg import records
from autoseg.contracts import Scores
from autoseg.errors import UsageError
from autoseg.evaluation import tables
from autoseg.evaluation.comparison import evaluate
from autoseg.volumes.metrics import METRICS
from tests.evaluation.folders import mask, pairs, write


@pytest.fixture
def folders(tmp_path):
    return pairs(tmp_path, (0, 2, 0, 2, 0, 2))


def test_the_table_has_a_row_per_case_and_target_and_a_column_per_metric(folders):
    table = tables.to_table(evaluate(*folders))
    assert table.columns.tolist() == ["case", "subject", "target", *METRICS, "reference_mm3", "predicted_mm3"]
    assert table["target"].tolist() == ["label_4", "label_7"] * 6
    assert table.loc[0, ["case", "target", "dice"]].tolist() == ["case_0", "label_4", 1.0]
    assert table["hd95_mm"].dtype == np.float64


def test_the_summary_has_a_row_per_target_and_one_for_their_mean(folders):
    scores = evaluate(*folders)
    rows = tables.summary(scores)
    assert rows["target"].tolist() == ["label_4", "label_7", "(mean)"]
    assert rows["n"].tolist() == [6, 6, 6]
    mean = scores.mean_dice
    assert rows["dice"].iloc[-1] == f"{mean.value:.3f} ({mean.low:.3f} to {mean.high:.3f})"
    assert "nsd at 1.6 mm" in rows


def test_a_single_case_has_scores_without_intervals(tmp_path):
    rows = tables.summary(evaluate(*pairs(tmp_path, (1,))))
    assert rows["dice"].str.fullmatch(r"0\.\d{3}").all()
    assert rows["hd95_mm"].str.fullmatch(r"\d\.\d").all()


def test_the_summary_says_where_distances_know_fewer_cases(tmp_path):
    folders = pairs(tmp_path, (0, 1, 2))
    write(folders[0], "case_2.nii.gz", np.where(mask() == 7, 4, mask()))
    rows = tables.summary(evaluate(*folders))
    assert rows["missed"].tolist() == ["0", "1", ""]
    assert rows["hd95_mm"].iloc[1].endswith(", n 2")
    assert "n" not in rows["hd95_mm"].iloc[0]


def test_many_cases_are_printed_lowest_first(tmp_path):
    shifts = (0, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0)
    shown = tables.lowest(evaluate(*pairs(tmp_path, shifts)))
    assert len(shown) == 10
    assert shown["dice"].is_monotonic_increasing
    assert set(shown["case"][:2]) == {"case_2", "case_3"}  # their cores share nothing with the reference


def test_files_say_what_the_record_says(folders, tmp_path):
    scores = evaluate(*folders)
    assert tables.write(scores, tmp_path / "out" / "scores") == ("scores.json", "cases.csv", "means.csv")
    out = tmp_path / "out" / "scores"
    assert records.read(out / "scores.json", Scores) == scores
    assert json.loads((out / "scores.json").read_text())["cases"][0]["targets"][0]["iou"] == 1.0
    pd.testing.assert_frame_equal(pd.read_csv(out / "cases.csv"), tables.to_table(scores))
    means = pd.read_csv(out / "means.csv", keep_default_na=False, na_values={"mean": "", "low": "", "high": ""})
    assert len(means) == 3 * len(METRICS)
    row = means[(means.target == "label_7") & (means.metric == "nsd")].iloc[0]
    expected = scores.targets[1].nsd
    assert (row.grouping, row.group, row.n, row.better) == ("", "(all)", 6, "higher")
    assert (row["mean"], row.low, row.high) == pytest.approx((expected.value, expected.low, expected.high))
    assert means[means.target == "(mean)"].set_index("metric").loc["dice", "mean"] == scores.mean_dice.value


def test_scores_are_not_written_into_a_file(folders, tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(UsageError, match="is a file; name a folder"):
        tables.write(evaluate(*folders), tmp_path / "out")
