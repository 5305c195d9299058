"""Training within a row: the plan's jobs, each given its cases, its share of the hours and what it goes on from."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

from autoseg.contracts import Dataset, Prepared, Settings, TrainedModel
from autoseg.errors import UsageError
from autoseg.finetuning import Start
from autoseg.job import Job as Work
from autoseg.learn.team import ALONE, Team, joined
from autoseg.row import crew, deadline, jobs, opening, resume, room
from autoseg.row.jobs import Job
from autoseg.row.journal import Journal
from autoseg.stages import train
from autoseg.workspace import JobFolder, PreparedFolder, Workspace
from planners.contracts import Budget, Parent, Plan
from planners.schedule import rounds


@dataclass(frozen=True)
class Training:
    """All that the jobs of a run need.

    Attributes:
        workspace: The run folder.
        settings: What was asked for.
        journal: Told of every step; knows how long was worked.
        plan: What to train.
        budget: On what.
        dataset: In the plan's folds, with its hold-out, which no job sees.
        prepared: The cases as the configurations want them.
        start: The model to go on from; None: from scratch.
        parents: What the models are computed from.
    """

    workspace: Workspace
    settings: Settings
    journal: Journal
    plan: Plan
    budget: Budget
    dataset: Dataset
    prepared: Prepared
    start: Start | None
    parents: tuple[Parent, ...]

    def all(self) -> tuple[TrainedModel, ...]:
        """Train every job, shared with any other process that works on them.

        Raises:
            UsageError: ``torchrun`` started several processes, which share one job only.
            ResourceError: The disk has no room for the models and their predictions.
        """
        if joined().size > 1:
            raise UsageError("torchrun splits one job among its processes; say which, with --configuration and --fold")
        opened = [job for job in self._order if not self.workspace.job(job.configuration, job.fold).record.exists()]
        needed = room.needed_bytes(opened, self.plan, self._development, self.prepared)
        room.require(self.workspace.path, needed)
        with crew.hired(self.workspace, self.settings.device, len(self._order), self.journal):
            return jobs.work(self._order, self.workspace, self.parents, self._train, self.journal)

    def one(self, configuration: str, fold: int) -> tuple[TrainedModel, ...]:
        """Train one job, under ``torchrun`` by several processes at once, of which the leading one returns the model.

        Raises:
            UsageError: The plan has no such job.
            BusyError: Another process holds the job.
        """
        job, team = jobs.pick(self._order, configuration, fold), joined()
        if not team.leads:
            work, folders = self._work(job, len(self._order)), self._folders(job)
            train.follow(work, *folders, team, first_stage=self._first_stage(job), notify=self.journal)
            return ()
        made = jobs.run_one(job, self.workspace, self.parents, lambda j: self._train(j, len(self._order), team))
        return (made,)

    @cached_property
    def _order(self) -> tuple[Job, ...]:
        return jobs.in_order(self.plan, self._development)

    @cached_property
    def _development(self) -> Dataset:
        return opening.without_holdout(self.dataset)

    def _train(self, job: Job, open_jobs: int, team: Team = ALONE) -> TrainedModel:
        work, folders, first_stage = self._work(job, open_jobs), self._folders(job), self._first_stage(job)
        return resume.stamp(
            lambda: train.train(work, *folders, first_stage=first_stage, notify=self.journal, team=team),
            jobs.lineage(job, self.workspace, self.parents),
        )

    def _work(self, job: Job, open_jobs: int) -> Work:
        worked_s, in_turn = self.journal.worked_s, rounds(self.budget, open_jobs)
        return Work(
            self.plan,
            self.budget,
            self._development,
            self.prepared,
            job.configuration,
            job.fold,
            self.settings.seed,
            deadline.seconds_for(job, in_turn, self.plan, self.dataset, self.settings, worked_s),
            self.start,
        )

    def _folders(self, job: Job) -> tuple[PreparedFolder, JobFolder]:
        return self.workspace.prepared, self.workspace.job(job.configuration, job.fold)

    def _first_stage(self, job: Job) -> Callable[[int], JobFolder] | None:
        return None if job.previous_stage is None else partial(self.workspace.job, job.previous_stage)
