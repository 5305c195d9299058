"""Records survive JSON, digests ignore circumstances, files are complete or absent."""

import pytest

from autoseg import records
from autoseg.contracts import Settings
from autoseg.errors import DataError
from planners.contracts import Parent, Provenance, StageRecord

MADE = Provenance(started="2026-01-01T00:00:00", seconds=1.0, host="here")


def test_round_trip(tmp_path):
    settings = Settings(hours=2.5, preset="max", seed=7)
    records.write(tmp_path / "deep" / "settings.json", settings)
    assert records.read(tmp_path / "deep" / "settings.json", Settings) == settings
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["settings.json"]


def test_digest_covers_choices_but_not_circumstances():
    record = StageRecord(parents=(Parent(name="plan", digest="1"),))
    assert records.digest(record) == records.digest(record.model_copy(update={"provenance": MADE}))
    other = record.model_copy(update={"parents": (Parent(name="plan", digest="2"),)})
    assert records.digest(record) != records.digest(other)


@pytest.mark.parametrize(
    ("text", "where"),
    [('{"folds": "5"}', "folds"), ('{"fold": 5}', "fold"), ('{"hours": NaN}', "hours"), ("{", "$")],
)
def test_an_invalid_record_is_an_error_that_names_the_place(tmp_path, text, where):
    path = tmp_path / "settings.json"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        records.read(path, Settings)
    assert where in str(caught.value)
    assert "settings.json" in str(caught.value)


def test_records_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        Settings().folds = 3
