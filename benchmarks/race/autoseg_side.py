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
from autoseg.stages import train
from autoseg.volumes.geometry import canonicalize, restore
from benchmarks.race.tasks import FOLD, Task
from planners.contracts import Configuration
from planners.schedule import TRAINING_SHARE

GUESSED_HOURS = 0.1
"""What a run may spend on all but training; corrected before anything is trained."""
GUESSED_JOBS = 5


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

    Raises:
        InfeasibleBudget: The minutes are too few to train anything.
    """
    shutil.rmtree(work, ignore_errors=True)
    source, out = data / task.folder, work / "run"
    guess = GUESSED_HOURS + GUESSED_JOBS * minutes / 60 / TRAINING_SHARE
    asked = Settings(hours=guess, seed=seed, splits=str(task.splits))
    with pipeline.opened(out, source, asked) as row:
        asked = asked.model_copy(update={"hours": guess + _missing_hours(row, minutes)})
    with pipeline.opened(out, source, asked, redo="all", notify=_tell) as row:
        planned = row.plan.configurations[0]
        model = _trained(row, planned, minutes)
        _write_masks(row, planned, source, work / "masks")
    return Raced(model, planned, asked.hours or 0.0)


def _missing_hours(row: Row, minutes: float) -> float:
    """How many more hours give each job of the plan the minutes; the plan shares them equally."""
    plan = row.plan
    jobs = len(plan.configurations) * len(row.development.split.folds)
    planned_s = plan.configurations[0].training.seconds
    if planned_s is None:
        raise SystemExit("the plan has no time limit although it was given hours; this race cannot be run with it")
    return jobs * (60 * minutes - planned_s) / 3600 / TRAINING_SHARE


def _trained(row: Row, planned: Configuration, minutes: float) -> TrainedModel:
    """The race's fold, trained for exactly the minutes, and its cases predicted."""
    job = train.Job(
        plan=row.plan,
        budget=row.budget,
        dataset=row.development,
        prepared=row.preprocess,
        configuration=planned.name,
        fold=FOLD,
        seed=row.settings.seed,
        seconds=60 * minutes,
    )
    return train.train(job, row.workspace.prepared, row.workspace.job(planned.name, FOLD), notify=_tell)


def _write_masks(row: Row, planned: Configuration, source: Path, out: Path) -> None:
    """What the job predicted of its validation cases, as files on the grid of their images."""
    labels, dataset = row.development.labels, row.development
    out.mkdir(parents=True)
    for name in dataset.split.folds[FOLD]:
        scan = records.read(row.workspace.dataset.scan(name), CaseScan)
        stored = read_job(row.workspace.job(planned.name, FOLD), planned.name, FOLD, name)
        classes = segment(embed(stored, stored.box, labels.kind), labels, scan.spacing_mm)
        values = file_values(place(classes, stored.box, scan.shape), labels)
        image = source / dataset.case(name).images[0]
        volume = formats.read(image)
        turn = canonicalize(volume.array, volume.grid)[2]
        formats.write_label(
            out / f"{name}{formats.mask_suffix(image)}", np.ascontiguousarray(restore(values[None], turn)[0]), image
        )


def _tell(event: Event) -> None:
    if event.what != "progress":
        print(f"  {event.stage}: {event.detail}", flush=True)
