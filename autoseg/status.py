"""How far a run is: read from its records and event logs, without disturbing it."""

import time
from pathlib import Path

from pydantic import ValidationError

from autoseg import records
from autoseg.contracts import Dataset, PlanSearch, Prediction, Prepared, Report, Run, Selection, Validation
from autoseg.errors import UsageError
from autoseg.events import Event
from autoseg.page.wording import duration
from autoseg.workspace import STAGES, Workspace, holders
from planners.contracts import Fingerprint, Plan, Record, StageRecord

_RECORDS: dict[str, type[StageRecord]] = {
    "dataset": Dataset,
    "fingerprint": Fingerprint,
    "plan": Plan,
    "search": PlanSearch,
    "preprocess": Prepared,
    "crossvalidate": Validation,
    "select": Selection,
    "predict": Prediction,
    "report": Report,
}


class StageStatus(Record):
    """One stage: finished or not, and a word on it."""

    stage: str
    done: bool
    detail: str = ""


class Status(Record):
    """A run folder at a glance."""

    source: str
    hours: float | None = None  # null: sized by the preset
    worked_s: float
    peak_memory_bytes: int
    stages: tuple[StageStatus, ...]
    activity: str  # the latest event of any process, and its age
    working: tuple[str, ...] = ()  # processes that hold the folder or a job of it
    left_s: float | None = None  # work still to do, by the plan's prediction; null: not planned yet, or done


def status(out: Path) -> Status:
    """Look at a run folder.

    Raises:
        UsageError: It is none.
        DataError: One of its records is broken.
    """
    workspace = Workspace(out)
    if not workspace.run.exists():
        raise UsageError(f"{out}: not a run folder (no run.json)")
    run = records.read(workspace.run, Run)
    searched = run.settings.search > 0
    after_plan = STAGES.index("plan") + 1
    stages = (*STAGES[:after_plan], *(("search",) if searched else ()), *STAGES[after_plan:])
    found = tuple(_stage(workspace, stage, searched=searched) for stage in stages)
    return Status(
        source=run.source,
        hours=run.settings.hours,
        worked_s=run.worked_s,
        peak_memory_bytes=run.peak_memory_bytes,
        stages=found,
        activity=_activity(workspace),
        working=holders(workspace),
        left_s=None if all(stage.done for stage in found) else _left_s(workspace, run),
    )


def _left_s(workspace: Workspace, run: Run) -> float | None:
    if not workspace.record("plan").exists():
        return None
    hours = records.read(workspace.record("plan"), Plan).predicted_hours
    return max(0.0, 3600 * hours - run.worked_s)


def _stage(workspace: Workspace, stage: str, *, searched: bool) -> StageStatus:
    if stage == "train":
        return _training(workspace, searched=searched)
    path = workspace.record(stage)
    if not path.exists():
        return StageStatus(stage=stage, done=False)
    provenance = records.read(path, _RECORDS[stage]).provenance
    return StageStatus(stage=stage, done=True, detail="" if provenance is None else f"{provenance.seconds:.1f} s")


def _training(workspace: Workspace, *, searched: bool) -> StageStatus:
    chosen = workspace.record("search" if searched else "plan")
    if not chosen.exists() or not workspace.record("dataset").exists():
        return StageStatus(stage="train", done=False)
    plan = records.read(chosen, PlanSearch).plan if searched else records.read(chosen, Plan)
    folds = plan.folds or len(records.read(workspace.record("dataset"), Dataset).split.folds)
    wanted = [workspace.job(c.name, fold) for c in plan.configurations for fold in range(folds)]
    finished = sum(job.record.exists() for job in wanted)
    return StageStatus(stage="train", done=finished == len(wanted), detail=f"{finished} of {len(wanted)} jobs")


def _activity(workspace: Workspace) -> str:
    logs = sorted(workspace.events.parent.glob("*.jsonl"), key=lambda path: path.stat().st_mtime)
    lines = logs[-1].read_bytes().splitlines() if logs else []
    last = next((logged for line in reversed(lines) if (logged := _logged(line)) is not None), None)
    if last is None:
        return "no event yet"
    event, age = last.event, time.time() - last.time
    amount = f" {event.amount}" if event.unit else ""
    return f"last event {duration(max(0.0, age))} ago: {event.stage}{amount} {event.detail}".rstrip()


class _Logged(Record):
    """A line of an event log."""

    time: float
    event: Event


def _logged(line: bytes) -> _Logged | None:
    """The event of a line; None for one that was cut short when its process was killed."""
    try:
        return _Logged.model_validate_json(line)
    except ValidationError:
        return None
