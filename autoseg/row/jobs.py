"""Training jobs: one per (configuration, fold), in an order that respects cascades, each under its own lock.

A job writes only its own folder, so several processes can work on the jobs of one run folder: each takes the first
open job that nobody holds, and waits while all the open ones are held by others.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from autoseg import records
from autoseg.contracts import Dataset, TrainedModel
from autoseg.errors import BusyError, UsageError
from autoseg.events import Event, Notify
from autoseg.stages.train import clean
from autoseg.workspace import JobFolder, Workspace, hold
from planners.contracts import Configuration, Parent, Plan
from planners.errors import PlanningError

WAIT_S = 2.0


@dataclass(frozen=True)
class Job:
    """One network to train; ``previous_folds``, all folds of ``previous_stage``, must be done first."""

    configuration: str
    fold: int
    previous_stage: str | None = None
    previous_folds: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.configuration}/fold_{self.fold}"


def in_order(plan: Plan, dataset: Dataset) -> tuple[Job, ...]:
    """All jobs of a plan; the folds of a previous stage come before the configuration that builds on it.

    Raises:
        PlanningError: The plan is for comparison only.
        ValueError: The configurations wait for each other, or for one that is not planned.
    """
    if not plan.trainable:
        raise PlanningError(
            f"planner {plan.planner} made a network here that cannot be trained, with a single resolution; this plan "
            "is good for comparison only: choose another planner, e.g. --planner auto"
        )
    placed: list[Configuration] = []
    waiting = list(plan.configurations)
    while waiting:
        ready = [c for c in waiting if c.previous_stage is None or c.previous_stage in {p.name for p in placed}]
        if not ready:
            names = ", ".join(f"{c.name} after {c.previous_stage}" for c in waiting)
            raise ValueError(f"the plan's configurations cannot be put in order: {names}")
        placed.append(ready[0])
        waiting.remove(ready[0])
    folds = tuple(range(len(dataset.split.folds)))
    return tuple(
        Job(c.name, fold, c.previous_stage, folds if c.previous_stage is not None else ())
        for c in placed
        for fold in folds
    )


def lineage(job: Job, workspace: Workspace, parents: tuple[Parent, ...]) -> tuple[Parent, ...]:
    """All that a job is computed from: ``parents``, and the networks of its previous stage.

    Raises:
        UsageError: The previous stage is not trained yet.
    """
    before = []
    for fold in job.previous_folds:
        name = f"{job.previous_stage}/fold_{fold}"
        record = workspace.job(str(job.previous_stage), fold).record
        if not record.exists():
            raise UsageError(f"{job}: builds on {name}, which is not trained yet; train that first")
        before.append(Parent(name=f"train {name}", digest=records.read(record, TrainedModel).weights))
    return (*parents, *before)


def work(
    jobs: tuple[Job, ...],
    workspace: Workspace,
    parents: tuple[Parent, ...],
    train: Callable[[Job, int], TrainedModel],
    notify: Notify,
) -> tuple[TrainedModel, ...]:
    """Train every open job, sharing them with other processes, and return all models in the order of ``jobs``.

    Args:
        jobs: In an order in which they may run.
        workspace: The run folder.
        parents: What the models must have been computed from; a model with other parents is trained anew.
        train: Trains one job, given how many jobs are open; returns its finished record.
        notify: Told of jobs that others hold.
    """
    done: dict[Job, TrainedModel] = {}
    while len(done) < len(jobs):
        before = len(done)
        for job in _open(jobs, done):
            try:
                done[job] = run_one(job, workspace, parents, lambda j: train(j, len(jobs) - len(done)))
            except BusyError as busy:
                notify(Event(stage=f"train {job}", what="note", detail=f"left to another process: {busy.owner}"))
        if len(done) == before:
            _wait(notify)
    return tuple(done[job] for job in jobs)


def run_one(
    job: Job, workspace: Workspace, parents: tuple[Parent, ...], train: Callable[[Job], TrainedModel]
) -> TrainedModel:
    """Train one job under its lock, or return its record when it is done already.

    Raises:
        BusyError: Another process holds the job.
    """
    folder = workspace.job(job.configuration, job.fold)
    parents = lineage(job, workspace, parents)
    finished = stored(folder, parents)
    if finished is not None:
        return finished
    with hold(folder.lock, f"training of {job}"):
        finished = stored(folder, parents)  # another process may have finished it since
        if finished is None:
            _clear_foreign(folder, parents)
            finished = train(job)
            records.write(folder.record, finished)
            clean(folder)
    return finished


def stored(folder: JobFolder, parents: tuple[Parent, ...]) -> TrainedModel | None:
    """The job's finished record if it was made from these parents."""
    if not folder.record.exists():
        return None
    model = records.read(folder.record, TrainedModel)
    return model if model.parents == parents else None


def _clear_foreign(folder: JobFolder, parents: tuple[Parent, ...]) -> None:
    """Remove results and checkpoints that were made from something else; keep those of an interrupted job."""
    stamp = folder.path / "parents.txt"
    wanted = "\n".join(f"{parent.name} {parent.digest}" for parent in parents)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    for leftover in (folder.checkpoint, folder.predictions):
        shutil.rmtree(leftover, ignore_errors=True)
    folder.record.unlink(missing_ok=True)
    folder.weights.unlink(missing_ok=True)
    records.write_bytes(stamp, wanted.encode())


def _open(jobs: tuple[Job, ...], done: dict[Job, TrainedModel]) -> Iterator[Job]:
    """Jobs that are not done and whose previous stage is; looked at anew for each, because jobs finish meanwhile."""
    for job in jobs:
        needed = (other for other in jobs if other.configuration == job.previous_stage)
        if job not in done and all(other in done for other in needed):
            yield job


def _wait(notify: Notify) -> None:
    notify(Event(stage="train", what="note", detail="waiting for jobs that other processes hold"))
    time.sleep(WAIT_S)


def pick(jobs: tuple[Job, ...], configuration: str, fold: int) -> Job:
    """The job of that configuration and fold.

    Raises:
        UsageError: There is none; the message lists those there are.
    """
    for job in jobs:
        if (job.configuration, job.fold) == (configuration, fold):
            return job
    raise UsageError(f"no job {configuration}/fold_{fold}; this plan has {', '.join(map(str, jobs))}")
