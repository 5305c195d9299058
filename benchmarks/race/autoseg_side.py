"""autoseg as a contender: one job of its own plan, for the time that the peer gets, on the same cases.

A data set is audited, planned for the time and prepared once per folder. Then the planned training's speed is timed on
this machine, which should be idle for so long: it tells how many steps fit into the time. The training itself may run
beside other work, as its steps are counted.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from autoseg import formats, pipeline, records
from autoseg.contracts import CaseScan, Dataset, Prepared, Settings, TrainedModel
from autoseg.events import Event
from autoseg.job import Job
from autoseg.job_cases import JobCases
from autoseg.learn import device as devices
from autoseg.learn.cases import CaseSource
from autoseg.outoffold import embed, place, read_job
from autoseg.pipeline import Row
from autoseg.postprocessing import file_values, segment
from autoseg.stages import preprocess, train
from autoseg.volumes.geometry import canonicalize, restore
from autoseg.workspace import JobFolder, Workspace
from benchmarks.race import cell, pace
from benchmarks.race.tasks import FOLDS, Task
from planners import registry
from planners.contracts import Budget, Configuration, Fingerprint, Plan, Record, Wishes
from planners.errors import InfeasibleBudget
from planners.schedule import TRAINING_SHARE

SPARE_HOURS = 4.0
"""More than a run spends on all but training: hours to begin the search with."""
HALVINGS = 16
"""Of the range in which the hours are searched: exact to a second."""
TIMING_SHARE = 0.025
"""Of the training time, that each try at timing a step takes; a way of loading of the peer's gets as much."""


class Setup(Record):
    """All that is decided before any training, once, so that other work on the machine cannot change it later."""

    dataset: Dataset
    budget: Budget  # its hours are the least that leave each job the time asked for
    plan: Plan
    prepared: Prepared
    others_share: float  # of the cores' time, that other processes took while the machine was measured for the plan

    @property
    def planned(self) -> Configuration:
        """The main configuration."""
        return self.plan.configurations[0]


class Tuned(cell.Timed):
    """The speed of the planned training."""

    step_s: float


@dataclass(frozen=True)
class Side:
    """autoseg on one data set, planned for one training time.

    Attributes:
        task: The data set, with the folds that both sides take.
        data: Folder that holds it.
        minutes: Of training.
        out: Everything that is made for this data set and time goes here.
        device: ``cpu`` or ``cuda``.
    """

    task: Task
    data: Path
    minutes: float
    out: Path
    device: str = "cpu"

    @property
    def workspace(self) -> Workspace:
        """The run folder."""
        return Workspace(self.out / "run")

    def setup(self) -> Setup:
        """Audit, measure, plan and prepare, unless that is done; not part of anybody's training time."""
        path = self.out / "setup.json"
        if not path.exists():
            shutil.rmtree(self.workspace.path, ignore_errors=True)  # with a budget that nobody watched being measured
            spacious = SPARE_HOURS + FOLDS * self.minutes / 60 / TRAINING_SHARE
            asked = Settings(device=self.device, hours=spacious, splits=str(self.task.splits))
            with pipeline.opened(self.workspace.path, self.data / self.task.folder, asked, notify=_tell) as row:
                records.write(path, self._decided(row))
        return records.read(path, Setup)

    def tuned(self, setup: Setup) -> Tuned:
        """Time a step, or read what came out of it before."""
        path = self.out / "tuned.json"
        if not path.exists():
            watch, seconds = cell.Watch(), 60 * self.minutes * TIMING_SHARE
            step_s = pace.step_s(setup.planned, self.source(setup), seconds, torch.device(self.device))
            records.write(path, Tuned(**dict(watch.timed(self.device)), step_s=step_s))
        return records.read(path, Tuned)

    def source(self, setup: Setup) -> CaseSource:
        """The cases that train."""
        devices.prepare(torch.device(self.device), deterministic=False)
        return JobCases(self._job(setup, setup.planned, seed=0), self.workspace.prepared).source

    def train(self, setup: Setup, configuration: Configuration, steps: int, seed: int, work: Path) -> TrainedModel:
        """Train for so many steps and predict the validation cases.

        Args:
            setup: What all trainings share.
            configuration: What to train: as planned, or changed in what needs no other preparation.
            steps: All of its schedule.
            seed: Of weights, sampling and augmentation.
            work: Gets the job's folder, where one that was killed goes on, and what ``masks`` makes of it.
        """
        counted = configuration.training.model_copy(update={"seconds": None, "steps": steps})
        job = self._job(setup, configuration.model_copy(update={"training": counted}), seed)
        model = train.train(job, self.workspace.prepared, JobFolder(work / "job"))
        train.clean(JobFolder(work / "job"))
        self.masks(setup, model, work)
        return model

    def masks(self, setup: Setup, model: TrainedModel, work: Path) -> None:
        """What a job predicted of its validation cases, as files on the grids of their images.

        They go into ``plain/`` and, where the job also predicted with mirrored copies, ``mirrored/``.
        """
        labels = setup.dataset.labels
        for name in ("plain", "mirrored") if model.mirrored else ("plain",):
            shutil.rmtree(work / name, ignore_errors=True)
            (work / name).mkdir()
            for case in model.out_of_fold:
                scan = records.read(self.workspace.dataset.scan(case), CaseScan)
                asked = JobFolder(work / "job"), model.configuration, model.fold, case
                stored = read_job(*asked, mirrored=name == "mirrored")
                classes = segment(embed(stored, stored.box, labels.kind), labels, scan.spacing_mm)
                values = file_values(place(classes, stored.box, scan.shape), labels)
                image = self.data / self.task.folder / setup.dataset.case(case).images[0]
                volume = formats.read(image)
                turn = canonicalize(volume.array, volume.grid)[2]
                in_file_order = np.ascontiguousarray(restore(values[None], turn)[0])
                formats.write_label(work / name / f"{case}{formats.mask_suffix(image)}", in_file_order, image)

    def _decided(self, row: Row) -> Setup:
        dataset, fingerprint, watch = row.planning.planned_on, row.fingerprint, cell.Watch()
        budget, plan = _planned(fingerprint, row.planning.budget, len(dataset.split.folds), 60 * self.minutes)
        share = watch.others_share()
        prepared = preprocess.preprocess(dataset, plan, self.workspace.dataset, self.workspace.prepared)
        return Setup(dataset=dataset, budget=budget, plan=plan, prepared=prepared, others_share=share)

    def _job(self, setup: Setup, configuration: Configuration, seed: int) -> Job:
        job = Job(
            plan=setup.plan.model_copy(update={"configurations": (configuration,)}),
            budget=setup.budget,
            dataset=setup.dataset,
            prepared=setup.prepared,
            configuration=configuration.name,
            fold=self.task.fold,
            seed=seed,
        )
        if set(job.training) != set(self.task.training) or set(job.validation) != set(self.task.validation):
            raise SystemExit(f"{self.task.folder}: autoseg leaves out cases that the peer uses; see {self.out}")
        return job


def _planned(fingerprint: Fingerprint, measured: Budget, folds: int, seconds: float) -> tuple[Budget, Plan]:
    """The budget with the least hours that leave each job so many seconds, and the plan for it."""

    def plan(hours: float) -> Plan:
        return registry.plan(fingerprint, measured.model_copy(update={"hours": hours}), wishes=Wishes(folds=folds))

    too_few, enough = 0.0, measured.hours or 0.0
    found = plan(enough)
    for _ in range(HALVINGS):
        hours = (too_few + enough) / 2
        try:
            tried = plan(hours)
        except InfeasibleBudget:
            too_few = hours
            continue
        if (tried.configurations[0].training.seconds or 0.0) < seconds:
            too_few = hours
        else:
            enough, found = hours, tried
    return measured.model_copy(update={"hours": enough}), found


def _tell(event: Event) -> None:
    if event.what != "progress":
        print(f"  {event.stage}: {event.detail}", flush=True)
