from pathlib import Path

import pytest

from autoseg.errors import AutosegError, DataError, UsageError
from autoseg.evaluation import tables
from autoseg.evaluation.comparison import evaluate
from tests.evaluation.folders import pairs

SHIFTS = (0, 0, 1, 2)


@pytest.fixture
def folders(tmp_path):
    return pairs(tmp_path, SHIFTS)


def table(folders, text: str) -> Path:
    path = folders[0].parent / "groups.csv"
    path.write_text(text)
    return path


def grouped(folders, text: str):
    events = []
    scores = evaluate(*folders, groups=table(folders, text), notify=events.append)
    return scores, [event.detail.partition("groups.csv: ")[2] for event in events if event.what == "warning"]


def sizes(scores) -> dict[tuple[str, str], int]:
    return {(group.column, group.group): len(group.cases) for group in scores.groups}


def test_each_group_of_each_column_has_its_own_means(folders):
    scores, said = grouped(
        folders, "case,site,phase\ncase_0,A,ED\ncase_1,A,ES\ncase_2.nii.gz,B,ED\nlabels/case_3.nii.gz,B,ES\n"
    )
    assert said == []
    assert sizes(scores) == {("site", "A"): 2, ("site", "B"): 2, ("phase", "ED"): 2, ("phase", "ES"): 2}
    good, bad = scores.groups[:2]
    assert (good.means.dice.value, good.means.dice.low) == (1.0, None)  # two subjects have no interval
    dice = [case.targets[0].dice for case in scores.cases[2:]]
    assert bad.targets[0].dice.value == pytest.approx(sum(dice) / 2)
    assert scores.mean_dice == evaluate(*folders).mean_dice


def test_groups_are_printed_and_written(tmp_path):
    sites = "".join(f"case_{index},{'A' if index < 6 else 'B'}\n" for index in range(7))
    scores, _ = grouped(pairs(tmp_path, (0, 0, 1, 1, 2, 2, 2)), "case,site\n" + sites)
    [shown] = tables.groupings(scores)
    assert shown[["site", "cases", "subjects"]].values.tolist() == [["A", 6, 6], ["B", 1, 1]]
    assert shown["dice"].iloc[0].count("to") == 1
    assert "to" not in shown["dice"].iloc[1]  # one case has no interval
    assert tables.to_table(scores)["site"].tolist() == ["A"] * 12 + ["B"] * 2
    means = tables.to_means(scores)
    alone = means[(means.group == "B") & (means.target == "label_4") & (means.metric == "iou")].iloc[0]
    assert (alone.grouping, alone.n, alone.low != alone.low) == ("site", 1, True)
    assert alone["mean"] == scores.cases[6].targets[0].iou


def test_cases_of_one_subject_are_resampled_together(folders):
    rows = "case,patient_id\ncase_0,p\ncase_1,q\ncase_2,p\ncase_3,q\n"
    scores, said = grouped(folders, rows)
    assert [case.subject for case in scores.cases] == ["p", "q", "p", "q"]
    assert (scores.groups, said) == ((), [])
    alone, _ = grouped(folders, "case,patient_id\ncase_0,p\ncase_1,p\ncase_2,p\ncase_3,p\n")
    assert alone.mean_dice.value == pytest.approx(scores.mean_dice.value)
    assert alone.mean_dice.low is None


def test_a_table_of_subjects(folders):
    scores, _ = grouped(folders, "Subject;Site\ncase_0;A\ncase_1;A\ncase_2;B\ncase_3;B\n")
    assert sizes(scores) == {("Site", "A"): 2, ("Site", "B"): 2}


def test_what_the_table_does_not_say_is_unknown_and_said(folders):
    scores, said = grouped(folders, "case,site,phase\ncase_0,A,ED\ncase_1,,ED\ncase_2,B,n/a\nother,B,ES\n")
    assert sizes(scores)["site", "unknown"] == 2
    assert sizes(scores)["phase", "unknown"] == 2
    assert [group.group for group in scores.groups if group.column == "site"] == ["A", "B", "unknown"]
    assert said == [
        "1 of 4 rows name nothing that is compared",
        "1 of 4 cases are missing: case_3; group unknown",
        "site is empty for case_1; in group unknown",
        "phase is empty for case_2; in group unknown",
    ]


def test_a_measurement_is_no_grouping(tmp_path):
    folders = pairs(tmp_path, (0,) * 21)
    lines = [f"case_{i},{i / 7:.3f},{'AB'[i % 2]}" for i in range(21)]
    scores, said = grouped(folders, "\n".join(["case,age,site", *lines]))
    assert {group.column for group in scores.groups} == {"site"}
    assert said == ["age has over 20 values, which is no grouping; left out"]


def test_the_same_row_twice_is_no_contradiction(folders):
    scores, _ = grouped(folders, "case,site\ncase_0,A\ncase_0,A\ncase_1,A\ncase_2,B\ncase_3,B\n")
    assert sizes(scores) == {("site", "A"): 2, ("site", "B"): 2}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("case,site\ncase_0,A\ncase_1,A\ncase_0,B\n", r"lines 2 and 4 both describe case_0, with site 'A' and 'B'"),
        ("site,phase\nA,ED\n", "no column names cases or subjects, only site, phase; call one `case`"),
        ("case,site\nx,A\ny,B\n", "case names none of the 4 cases: it has x, y, expected such as case_0"),
        ("case\ncase_0\n", "no column to group by"),
        ("case,target\ncase_0,A\n", "'target' would hide a column of the scores; rename it"),
        ("", "not a table"),
    ],
)
def test_tables_that_cannot_be_used(folders, text, told):
    with pytest.raises(DataError, match=told):
        grouped(folders, text)


def test_a_table_that_is_not_there_or_no_text(folders):
    with pytest.raises(UsageError, match=r"nowhere\.csv: no such file"):
        evaluate(*folders, groups=folders[0] / "nowhere.csv")
    with pytest.raises(AutosegError, match="not a regular file"):
        evaluate(*folders, groups=folders[0])
    path = table(folders, "")
    path.write_bytes(b"\x89PNG\0\0\0\1")
    with pytest.raises(DataError, match="no text; save it as CSV"):
        evaluate(*folders, groups=path)
