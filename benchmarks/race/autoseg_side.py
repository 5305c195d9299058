"""autoseg as a contender: one job of its own plan, with the time that the peer gets, on the same cases."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autoseg import formats, pipeline, records
from autoseg.contracts import CaseScan, Settings, TrainedModel
from autoseg.events import Event
from autoseg.outoffold import embed, place, read_job
from autoseg.pipeline import Row
from autoseg.postprocessing import file_values, segment
from autoseg.stages import preprocess, train
from autoseg.volumes.geometry import canonicalize, restore
from benchmarks.race.tasks import FOLD, FOLDS, Task
from planners import registry
from planners.contracts import Budget, Configuration, Plan, Wishes
from planners.errors import InfeasibleBudget
from planners.schedule import TRAINING_SHARE

SPARE_HOURS = 4.0
"""More than a run spends on all but training: hours to begin the search with."""
HALVINGS = 16
"""Of the range in which the hours are searched: exact to a second."""


@dataclass(frozen=True)
class Raced:
    """The job that was trained, what it was planned as, and the hours that the plan was made for."""

    model: TrainedModel
    planned: Configuration
    hours: float


def race(task: Task, data: Path, minutes: float, seed: int, work: Path) -> Raced:
    """Plan for the hours that leave each job the given minutes, train the race's fold, write masks of its cases.

    Args:
        task: The data set, with the folds that both sides take.
        data: Folder that holds it.
        minutes: Of training.
        seed: Of everything.
        work: Emptied first; gets the run folder ``run/``, and ``masks/``.
    """
    shutil.rmtree(work, ignore_errors=True)
    source = data / task.folder
    spacious = SPARE_HOURS + FOLDS * minutes / 60 / TRAINING_SHARE
    asked = Settings(device="cpu", hours=spacious, seed=seed, splits=str(task.splits))
    with pipeline.opened(work / "run", source, asked, notify=_tell) as row:
        budget, plan = _planned(row, 60 * minutes)
        model = _trained(row, task, budget, plan, 60 * minutes)
        _write_masks(row, model, source, work / "masks")
    return Raced(model, plan.configuration(model.configuration), budget.hours or 0.0)


def _planned(row: Row, seconds: float) -> tuple[Budget, Plan]:
    """The plan for the least hours that leave each job so many seconds, and the budget with these hours."""
    found = _plan(row, row.budget)
    too_few, enough = 0.0, row.budget.hours or 0.0
    for _ in range(HALVINGS):
        hours = (too_few + enough) / 2
        budget = row.budget.model_copy(update={"hours": hours})
        try:
            plan = _plan(row, budget)
        except InfeasibleBudget:
            too_few = hours
            continue
        if (plan.configurations[0].training.seconds or 0.0) < seconds:
            too_few = hours
        else:
            enough, found = hours, plan
    return row.budget.model_copy(update={"hours": enough}), found


def _plan(row: Row, budget: Budget) -> Plan:
    return registry.plan(row.fingerprint, budget, wishes=Wishes(folds=len(row.planned_on.split.folds)))


def _trained(row: Row, task: Task, budget: Budget, plan: Plan, seconds: float) -> TrainedModel:
    """The race's fold of the main configuration, trained for exactly the seconds, and its cases predicted."""
    name = plan.configurations[0].name
    prepared = preprocess.preprocess(row.planned_on, plan, row.workspace.dataset, row.workspace.prepared)
    job = train.Job(
        plan=plan,
        budget=budget,
        dataset=row.planned_on,
        prepared=prepared,
        configuration=name,
        fold=FOLD,
        seed=row.settings.seed,
        seconds=seconds,
    )
    if set(job.training) != set(task.training) or set(job.validation) != set(task.validation):
        raise SystemExit(f"{task.folder}: autoseg leaves out cases that the peer uses; see {row.workspace.path}")
    return train.train(job, row.workspace.prepared, row.workspace.job(name, FOLD))


def _write_masks(row: Row, model: TrainedModel, source: Path, out: Path) -> None:
    """What the job predicted of its validation cases, as files on the grid of their images."""
    labels, folder = row.planned_on.labels, row.workspace.job(model.configuration, FOLD)
    out.mkdir(parents=True)
    for case in model.out_of_fold:
        scan = records.read(row.workspace.dataset.scan(case), CaseScan)
        stored = read_job(folder, model.configuration, FOLD, case)
        classes = segment(embed(stored, stored.box, labels.kind), labels, scan.spacing_mm)
        values = file_values(place(classes, stored.box, scan.shape), labels)
        image = source / row.planned_on.case(case).images[0]
        volume = formats.read(image)
        turn = canonicalize(volume.array, volume.grid)[2]
        in_file_order = np.ascontiguousarray(restore(values[None], turn)[0])
        formats.write_label(out / f"{case}{formats.mask_suffix(image)}", in_file_order, image)


def _tell(event: Event) -> None:
    if event.what != "progress":
        print(f"  {event.stage}: {event.detail}", flush=True)
