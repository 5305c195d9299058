"""What ``autoseg plan`` asks for, on top of what a run folder was made with."""

import pytest

from autoseg import records
from autoseg.cli import options
from autoseg.contracts import Run, Settings
from autoseg.errors import UsageError
from autoseg.workspace import Workspace

NOTHING = (None,) * 7


@pytest.fixture
def out(tmp_path):
    records.write(Workspace(tmp_path).run, Run(source="/data", settings=Settings(hours=1.0, seed=7)))
    return tmp_path


def test_nothing_asked_nothing_changed(out):
    assert options.changed(out, *NOTHING) is None


def test_hours_and_preset_change_and_the_rest_stays(out):
    asked = options.changed(out, 2.0, "max", *NOTHING[2:])
    assert asked == Settings(hours=2.0, preset="max", seed=7)


def test_hours_must_be_hours(out):
    with pytest.raises(UsageError, match="--hours -1"):
        options.changed(out, -1.0, *NOTHING[1:])
