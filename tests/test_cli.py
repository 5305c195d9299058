"""The command line: instant help, exit codes, errors on one line."""

import subprocess
import sys
import time

import pytest

VERBS = (
    *("run", "dataset", "fingerprint", "plan", "preprocess", "train", "crossvalidate", "select", "report"),
    *("predict", "evaluate", "inspect", "status", "doctor", "demo", "benchmark"),
)


def autoseg(*arguments):
    return subprocess.run([sys.executable, "-m", "autoseg", *arguments], capture_output=True, text=True, timeout=120)


def test_help_lists_every_verb():
    shown = autoseg("--help")
    assert shown.returncode == 0
    assert all(verb in shown.stdout for verb in VERBS)


def test_help_waits_for_no_heavy_import():
    probe = "import sys, autoseg.cli; print([m for m in ('torch', 'scipy', 'SimpleITK', 'pandas') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_help_is_quick():
    started = time.monotonic()
    autoseg("run", "--help")
    assert time.monotonic() - started < 10  # generous: it is about one second on an idle machine


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["run"], 2, "Missing argument"),
        (["run", "absent", "out", "--fast"], 2, "No such option"),
        (["run", "absent-folder", "out"], 2, "does not exist"),
        (["run", ".", "out", "--hours", "-1"], 2, "--hours -1"),
        (["run", ".", "out", "--preset", "turbo"], 2, "Invalid value for '--preset'"),
        (["run", ".", "out", "--holdout", "1"], 2, "--holdout"),
        (["run", ".", "out", "--folds", "1"], 2, "--folds"),
        (["run", ".", "out", "--replan", "--keep-plan"], 2, "contradict"),
        (["run", ".", "out", "--planner", "best"], 2, "choose one of"),
        (["plan", "absent-folder", "--planner", "nnunet"], 2, "not a run folder"),
        (["status", "absent-folder"], 2, "not a run folder"),
        (["plan", "absent-folder"], 2, "not a run folder"),
        (["run", ".", "out", "--configurations", "3d"], 2, "expected some of 2d, 3d_fullres"),
        (["run", ".", "out", "--configurations", "2d,2d"], 2, "expected some of"),
        (["run", ".", "out", "--spacing", "1,1"], 2, "three numbers for z, y and x"),
        (["run", ".", "out", "--spacing", "1,0,1"], 2, "above 0"),
        (["run", ".", "out", "--device-gb", "0"], 2, "above 0"),
        (["train", "out", "--fold", "1"], 2, "go together"),
    ],
)
def test_usage_errors_exit_2_and_say_what_is_wrong(arguments, code, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = autoseg(*arguments)
    assert ended.returncode == code
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_cases_exits_3_and_shows_what_is_there(tmp_path):
    (tmp_path / "source" / "notes").mkdir(parents=True)
    (tmp_path / "source" / "notes" / "readme.txt").write_text("hello")
    ended = autoseg("run", str(tmp_path / "source"), str(tmp_path / "out"))
    assert ended.returncode == 3
    assert "notes" in ended.stderr
    assert "Traceback" not in ended.stderr
