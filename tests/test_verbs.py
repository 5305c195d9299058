"""What the commands beside ``run`` answer: status, inspect, benchmark."""

import json
import subprocess
import sys
import threading
import time

import pandas
import pytest
from typer.testing import CliRunner

from autoseg import phantoms, pipeline
from autoseg.benchmark import benchmark, dataset_folders
from autoseg.cli import app
from autoseg.contracts import DryRun, Settings
from autoseg.errors import ChangedInputs, UsageError
from autoseg.events import silent
from autoseg.inspection import inspect
from autoseg.status import status
from autoseg.workspace import Workspace, hold
from planners.contracts import Plan
from planners.errors import UnknownPlanner
from tests import quick

SHAPE = (12, 20, 16)
ASKED = Settings(hours=0.05, device="cpu", holdout=0.25, folds=2, seed=1)


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tasks")
    phantoms.write_msd(folder / "Volumes", cases=6, shape=SHAPE)
    phantoms.write_pairs(folder / "Pictures", cases=6, size=(32, 40))
    (folder / "notes").mkdir()
    (folder / "notes" / "readme.txt").write_text("no dataset")
    return folder


@pytest.fixture(scope="module")
def benchmarked(tasks, tmp_path_factory):
    out = tmp_path_factory.mktemp("benchmark")
    for task in ("Volumes", "Pictures"):
        quick.prepare(out / task, ASKED)
    return out, benchmark(tasks, out, ASKED, silent).read_text()


def test_benchmark_finds_the_dataset_folders_only(tasks):
    assert [folder.name for folder in dataset_folders(tasks)] == ["Pictures", "Volumes"]
    with pytest.raises(UsageError, match="no dataset folder"):
        benchmark(tasks / "notes", tasks, ASKED, silent)


def test_benchmark_leaves_one_table_with_a_row_per_label(benchmarked):
    out, _ = benchmarked
    table = pandas.read_csv(out / "table.csv")
    assert list(table.task + " " + table.label) == [
        "Pictures foreground",
        "Pictures mean",
        "Volumes organ",
        "Volumes lesion",
        "Volumes mean",
    ]
    assert set(table.score) == {"holdout"}
    assert table.dice.between(0, 1).all()
    assert table.dice_low.isna().all() and table.dice_high.isna().all()  # so few subjects have no interval
    assert table.nsd.between(0, 1).all()
    assert (table.hours > 0).all()
    assert (table.peak_memory_gb > 0.05).all()


def test_repeated_half_way_the_benchmark_gives_the_same_scores(benchmarked, tasks):
    out, before = benchmarked
    Workspace(out / "Volumes").record("report").unlink()
    Workspace(out / "Volumes").record("select").unlink()  # as if killed before it
    scores = pandas.read_csv(out / "table.csv").drop(columns=["hours", "peak_memory_gb"])
    benchmark(tasks, out, ASKED, silent)
    pandas.testing.assert_frame_equal(
        scores, pandas.read_csv(out / "table.csv").drop(columns=["hours", "peak_memory_gb"])
    )


def test_a_task_that_another_process_works_on_is_waited_for(benchmarked, tasks):
    out, _ = benchmarked
    workspace = Workspace(out / "Pictures")
    workspace.record("report").unlink()
    log, held = out / "Pictures.log", threading.Event()

    def other_process():
        with hold(workspace.lock, "the task"):
            held.set()
            patience = time.monotonic() + 120
            while "busy" not in log.read_text() and time.monotonic() < patience:
                time.sleep(0.2)

    other = threading.Thread(target=other_process)
    other.start()
    held.wait()
    table = benchmark(tasks, out, ASKED, silent).read_text()
    other.join()
    assert "busy" in log.read_text()
    assert "Pictures" in table
    assert "failure" not in table


def test_a_task_that_fails_has_a_row_that_says_why(tmp_path):
    phantoms.write_msd(tmp_path / "tasks" / "Broken", cases=3, shape=SHAPE)
    for label in (tmp_path / "tasks" / "Broken" / "labelsTr").iterdir():
        label.write_bytes(b"")
    table = benchmark(tmp_path / "tasks", tmp_path / "out", ASKED, silent).read_text()
    assert "Broken" in table
    assert "empty" in table


def test_status_tells_what_is_done(benchmarked):
    out, _ = benchmarked
    found = status(out / "Pictures")
    assert all(stage.done for stage in found.stages)
    assert found.worked_s > 0
    Workspace(out / "Pictures").job("2d", 0).record.rename(out / "aside")
    try:
        training = next(stage for stage in status(out / "Pictures").stages if stage.stage == "train")
    finally:
        (out / "aside").rename(Workspace(out / "Pictures").job("2d", 0).record)
    assert not training.done
    assert training.detail == "1 of 2 jobs"


def test_inspect_answers_as_text_and_as_json(tasks):
    found = inspect(tasks / "Volumes")
    assert (found.layout, found.dimension, found.cases, found.labelled) == ("msd", 3, 6, 6)
    assert found.spacing_mm == (1.0, 1.0, 1.0)
    assert found.orientation == ("LPS",)
    command = [sys.executable, "-m", "autoseg", "inspect", str(tasks / "Pictures"), "--json"]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert (told["layout"], told["dimension"], told["cases"], told["spacing_mm"]) == ("pairs", 2, 6, None)
    assert told["channels"] == ["R", "G", "B"]
    assert [label["value"] for label in told["labels"]] == [255]
    assert {"left_over", "audit", "orientation", "labelled"} <= set(told)


def planned(out, *options):
    answered = CliRunner().invoke(app, ["plan", str(out), *options])
    assert answered.exit_code == 0, answered.exception
    return answered.stdout


def test_plan_answers_to_other_wishes_and_tries_what_it_planned(tasks, tmp_path):
    out = quick.prepare(tmp_path / "out", ASKED)
    with pipeline.opened(out, tasks / "Volumes", ASKED) as row:
        assert [made.name for made in row.plan.configurations] == ["3d_fullres"]
    made = Plan.model_validate_json(planned(out, "--configurations", "2d", "--json"))
    assert [configuration.name for configuration in made.configurations] == ["2d"]
    (tried,) = planned(out, "--verify", "--json").splitlines()  # the wish of the call before still stands
    tried = DryRun.model_validate_json(tried)
    assert (tried.configuration, tried.predicted_bytes) == ("2d", made.configurations[0].cost.memory_bytes)
    assert tried.measured_step_s > 0
    assert "Dry run" in planned(out, "--verify")


def test_plan_does_not_undo_training_unasked(benchmarked):
    out, _ = benchmarked
    with pytest.raises(ChangedInputs, match="--planner"):
        CliRunner().invoke(app, ["plan", str(out / "Volumes"), "--planner", "nnunet"], catch_exceptions=False)
    with pytest.raises(UnknownPlanner, match="choose one of"):
        CliRunner().invoke(app, ["plan", str(out / "Volumes"), "--planner", "best"], catch_exceptions=False)
