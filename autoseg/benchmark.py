"""Every dataset folder of a folder through the row, and one table of what came out.

Each task runs in a process of its own, so that one that dies takes nothing with it and memory is counted per task.
A finished task is skipped when the benchmark is repeated; an interrupted one goes on where it was. A task whose process
outlived a killed benchmark is waited for.
"""

import subprocess
import sys
import time
from pathlib import Path

import pandas

from autoseg import layouts, records
from autoseg.contracts import Interval, Prediction, Run, Scores, Selection, Settings
from autoseg.errors import BusyError, LayoutError, UsageError
from autoseg.events import Event, Notify
from autoseg.workspace import Workspace

POLL_S = 0.5


def benchmark(tasks: Path, out: Path, settings: Settings, notify: Notify) -> Path:
    """Run every dataset folder directly under ``tasks`` and write ``table.csv`` and ``table.md`` under ``out``.

    Returns:
        The Markdown table. A task that failed has a row that says why.

    Raises:
        UsageError: There is no dataset folder under ``tasks``.
    """
    found = dataset_folders(tasks)
    if not found:
        raise UsageError(f"{tasks}: no dataset folder directly below it; expected TASKS/<dataset>/...")
    rows: list[dict[str, object]] = []
    for number, source in enumerate(found):
        notify(Event(stage="benchmark", done=number, total=len(found), unit="task", detail=source.name))
        rows += _rows(source.name, Workspace(out / source.name), _run(source, out / source.name, settings, notify))
    notify(Event(stage="benchmark", done=len(found), total=len(found), unit="task"))
    return _write(pandas.DataFrame(rows), out)


def dataset_folders(tasks: Path) -> list[Path]:
    """Folders directly below ``tasks`` in which cases can be made out, by name."""
    if not tasks.is_dir():
        raise UsageError(f"{tasks}: not a folder")
    return [folder for folder in sorted(tasks.iterdir()) if folder.is_dir() and _has_cases(folder)]


def _has_cases(folder: Path) -> bool:
    try:
        return bool(layouts.find(folder, None).cases)
    except LayoutError:
        return False


def _run(source: Path, out: Path, settings: Settings, notify: Notify) -> str:
    """Run one task unless it is finished; returns what went wrong, or nothing."""
    if Workspace(out).record("report").exists():
        return ""
    options: list[str] = []
    for name, value in settings.model_dump(exclude_none=True).items():
        if value is not False:  # a flag is given or not, it has no value
            options += [f"--{name.replace('_', '-')}"] if value is True else [f"--{name.replace('_', '-')}", str(value)]
    command = [sys.executable, "-m", "autoseg", "run", str(source), str(out), *options]
    out.parent.mkdir(parents=True, exist_ok=True)
    log = out.parent / f"{out.name}.log"
    while (code := _call(command, log, source.name, notify)) == BusyError.exit_code:
        time.sleep(POLL_S)
    return "" if code == 0 else _last_line(log)


def _call(command: list[str], log: Path, task: str, notify: Notify) -> int:
    """Run a command to its end, its output going to ``log``; returns its exit code."""
    with open(log, "ab") as lines:
        child = subprocess.Popen(command, stdout=lines, stderr=lines, stdin=subprocess.DEVNULL)
        try:
            while child.poll() is None:
                time.sleep(POLL_S)
                notify(Event(stage=f"benchmark {task}", detail=f"log: {log}"))
        finally:
            if child.poll() is None:
                child.terminate()  # it saves and stops; the same benchmark goes on from there
                child.wait()
    return child.returncode


def _rows(task: str, workspace: Workspace, failure: str) -> list[dict[str, object]]:
    if failure:
        return [{"task": task, "label": "-", "failure": failure}]
    run = records.read(workspace.run, Run)
    prediction = records.read(workspace.record("predict"), Prediction)
    selection = records.read(workspace.record("select"), Selection)
    kind, scores = ("oof", selection.oof) if prediction.holdout is None else ("holdout", prediction.holdout)
    cost = {"hours": round(run.worked_s / 3600, 3), "peak_memory_gb": round(run.peak_memory_bytes / 1e9, 2)}
    return [{"task": task, "score": kind, **row, **cost} for row in _per_label(scores)]


def _per_label(scores: Scores) -> list[dict[str, object]]:
    rows = [
        {"label": summary.target, "n": summary.dice.n, **_columns("dice", summary.dice), **_columns("nsd", summary.nsd)}
        for summary in scores.targets
    ]
    mean = {**_columns("dice", scores.mean_dice), **_columns("nsd", scores.mean_nsd)}
    return [*rows, {"label": "mean", "n": scores.mean_dice.n, **mean}]


def _columns(name: str, interval: Interval) -> dict[str, object]:
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "no output"


def _write(table: pandas.DataFrame, out: Path) -> Path:
    records.write_bytes(out / "table.csv", table.to_csv(index=False, float_format="%.4f").encode())
    shown = table.map(lambda cell: f"{cell:.4f}" if isinstance(cell, float) else "" if cell is None else str(cell))
    lines = ["| " + " | ".join(map(str, shown.columns)) + " |", "|" + "---|" * len(shown.columns)]
    lines += ["| " + " | ".join(text.replace("|", "/") for text in row) + " |" for row in shown.to_numpy()]
    records.write_bytes(out / "table.md", ("\n".join(lines) + "\n").encode())
    return out / "table.md"
