"""``autoseg evaluate`` as it is typed."""

import json
import re

import pytest
from typer.testing import CliRunner

from autoseg.cli import app
from autoseg.contracts import Scores
from autoseg.errors import UsageError
from tests.evaluation.folders import pairs


@pytest.fixture
def arguments(tmp_path) -> list[str]:
    (tmp_path / "groups.csv").write_text(
        "case,site\n" + "".join(f"case_{index},{'[b]B' if index == 2 else 'A'}\n" for index in range(7))
    )
    return ["evaluate", *map(str, pairs(tmp_path, (0, 1, 2, 0, 1, 0, 1)))]


def shown(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_cases_means_groups_and_convention_are_printed(arguments, tmp_path):
    text = shown(*arguments, "--groups", str(tmp_path / "groups.csv"))
    assert re.search(r"case_1 +│ label_4 +│ 0\.\d+ ", text)
    assert re.search(r"label_4 +│ 7 +│ 0 +│ 0 +│ 0\.\d{3} \(0\.\d{3} to 0\.\d{3}\)", text)
    assert "by site" in text
    assert re.search(r"\[b\]B +│ 1 +│ 1 +│ 0\.\d{3} +│", text)  # as it is written, and one case has no interval
    assert "absent from reference and prediction" in text
    assert "--out FOLDER" in text


def test_everything_is_written_where_asked(arguments, tmp_path):
    assert "written to" in shown(*arguments, "--out", str(tmp_path / "scores"), "--tolerance-mm", "1")
    assert sorted(path.name for path in (tmp_path / "scores").iterdir()) == ["cases.csv", "means.csv", "scores.json"]
    assert json.loads((tmp_path / "scores" / "scores.json").read_text())["tolerance_mm"] == 1.0


def test_machines_get_the_record_and_nothing_else(arguments):
    assert len(Scores.model_validate_json(shown(*arguments, "--json")).cases) == 7


@pytest.mark.parametrize("tolerance", ["-1", "nan", "inf"])
def test_a_tolerance_is_a_distance(arguments, tolerance):
    with pytest.raises(UsageError, match="expected a distance from 0 on"):
        CliRunner().invoke(app, [*arguments, f"--tolerance-mm={tolerance}"], catch_exceptions=False)
