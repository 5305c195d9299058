"""Prepared cases that lost a file, or part of one: they are prepared anew as long as a job needs them."""

from autoseg.contracts import Dataset
from autoseg.events import Event, Notify
from autoseg.stages import preprocess
from autoseg.workspace import Workspace
from planners.contracts import Plan


def forget_broken(development: Dataset, plan: Plan, workspace: Workspace, notify: Notify) -> None:
    """Take the record of preprocessing away where a prepared case is broken, so that the stage makes that case again.

    Args:
        development: The cases.
        plan: Its configurations say how they are prepared, and which jobs read them.
        workspace: The run folder.
        notify: Told which cases.
    """
    record, folds = workspace.record("preprocess"), range(len(development.split.folds))
    jobs = [workspace.job(one.name, fold).record for one in plan.configurations for fold in folds]
    if not record.exists() or all(job.exists() for job in jobs):
        return
    broken = preprocess.broken(development, plan, workspace.prepared)
    if broken:
        detail = f"missing or cut short, prepared anew: {', '.join(broken)}"
        notify(Event(stage="preprocess", what="warning", detail=detail))
        record.unlink()
