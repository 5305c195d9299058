"""Partial trainings of variants of a plan, judged on the validation cases of one fold.

    search/<number>/rung_<k>/   train/  crossvalidate.json, or failure.json
    search/prepared/            cases as the plan's own configuration does not want them

They are ordinary jobs: the train stage predicts the cases that the job never saw, cross-validation scores them. What
was found stands in the folder of its trial and rung, so that a search that was stopped anywhere goes on from there.
"""

import shutil
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from autoseg import records
from autoseg.contracts import Dataset, Rung, Scores, Settings, TrainedModel, TrialFailure, Validation
from autoseg.errors import ResourceError
from autoseg.events import Event, Notify
from autoseg.finetuning import Start
from autoseg.job import Job as Work
from autoseg.row import jobs, resume
from autoseg.row.jobs import Job
from autoseg.row.search_time import Extent
from autoseg.stages import crossvalidate, preprocess, train
from autoseg.workspace import JobFolder, PreparedFolder, Workspace
from planners import variants
from planners.contracts import (
    Axes,
    Budget,
    Configuration,
    Fingerprint,
    Normalization,
    Parent,
    Plan,
    Record,
    StageRecord,
    Variation,
    Wishes,
)
from planners.errors import PlanningError
from planners.variation import AS_PLANNED

S = TypeVar("S", bound=StageRecord)

FOLD = 0
"""Whose validation cases judge."""


@dataclass(frozen=True)
class Searched:
    """What a search is about.

    Attributes:
        plan: Of the rules, or as somebody edited it.
        fingerprint: Of the development cases.
        budget: What the plan was made with.
        wishes: What is not left to planners.
        dataset: In the plan's folds, without its hold-out.
        start: The model to go on from; None: from scratch.
    """

    plan: Plan
    fingerprint: Fingerprint
    budget: Budget
    wishes: Wishes
    dataset: Dataset
    start: Start | None = None

    @property
    def judges(self) -> tuple[str, ...]:
        """The cases that judge."""
        return self.dataset.split.folds[FOLD]

    @property
    def main(self) -> Configuration:
        """The configuration that is tried."""
        return variants.main(self.plan)

    def variant(self, variation: Variation) -> Plan:
        """The plan with a variation.

        Raises:
            PlanningError: There is none; the message says why.
        """
        if variation == AS_PLANNED:
            return self.plan
        return variants.varied(self.plan, variation, self.fingerprint, self.budget, self.wishes)


@dataclass(frozen=True)
class Trials:
    """The trials of one search.

    Attributes:
        workspace: The run folder.
        settings: What was asked for.
        notify: Told of every trial, step and case.
        about: What is searched.
        extent: How far the search goes.
    """

    workspace: Workspace
    settings: Settings
    notify: Notify
    about: Searched
    extent: Extent
    _known: dict[str, Variation] = field(default_factory=dict)  # by digest of what is trained

    def refuses(self, variation: Variation) -> str:
        """Why a variation is not tried: there is no such plan, or what it trains came before; empty: it is tried."""
        try:
            one = self.about.variant(variation).configuration(self.about.main.name)
        except PlanningError as error:
            return f"no such plan: {error}"
        first = self._known.setdefault(records.digest(one), variation)
        return "" if first == variation else f"trains what ({first}) trains"

    def judge(self, number: int, variation: Variation, rung: int) -> Scores | str:
        """Scores of a trial on a rung, made now or known; or the cause of its failure.

        Raises:
            Interrupted: Everything is saved, and the same call goes on.
            ResourceError: The plan itself cannot be trained, or the disk is full.
        """
        plan = self.about.variant(variation)
        rungs, budget = self.extent.rungs, self.about.budget
        part = variants.partial(plan, self.about.main.name, rungs[rung].share * self.extent.trial_s, budget)
        folder, parents = self.workspace.trial(number, rung), self._parents(part)
        failed = _current(folder, "failure", TrialFailure, parents)
        if failed is not None:
            return failed.cause
        done = _current(folder, "crossvalidate", Validation, parents)
        if done is None:
            steps = part.configurations[0].training.steps
            self.tell(f"trial {number} ({variation}), rung {rung + 1} of {len(rungs)}: {steps} steps")
            try:
                done = resume.make(folder.record("crossvalidate"), parents, lambda: self._made(part, folder, parents))
            except ResourceError as error:
                if number == 0 or isinstance(error.__cause__, OSError):  # the plan itself, or a full disk
                    raise
                return self._failed(str(error), folder, parents)
            value = done.configurations[0].oof.mean_dice.value
            self.tell(f"trial {number}: mean Dice {'unknown' if value is None else format(value, '.4f')}")
        _clear(folder.job(self.about.main.name, FOLD))
        return done.configurations[0].oof

    def rung(self, number: int, rung: int, scores: Scores) -> Rung:
        """What a finished training says of itself, and how it did."""
        job = self.workspace.trial(number, rung).job(self.about.main.name, FOLD)
        model, mean = records.read(job.record, TrainedModel), scores.mean_dice
        return Rung(steps=model.steps, seconds=round(model.seconds, 1), oof_mean_dice=mean.value, cases=mean.n)

    def tell(self, detail: str) -> None:
        """Note something in the run's journal."""
        self.notify(Event(stage="search", what="note", detail=detail))

    @cached_property
    def _judged(self) -> Dataset:
        """The dataset as if one fold's validation cases were all there are to predict."""
        dataset = self.about.dataset
        split = dataset.split.model_copy(update={"folds": (self.about.judges,)})
        return dataset.model_copy(update={"split": split})

    def _parents(self, part: Plan) -> tuple[Parent, ...]:
        made_from: dict[str, StageRecord] = {"plan": part, "dataset": self.about.dataset}
        if self.about.start is not None:
            made_from["init"] = self.about.start.record
        scoring = Parent(name="scoring", digest=str(crossvalidate.algorithm_version))
        return (*resume.parents_of("train", self.settings, **made_from), scoring)

    def _made(self, part: Plan, folder: Workspace, parents: tuple[Parent, ...]) -> Validation:
        """Prepare, train, predict and score; each goes on from what stands there."""
        about, one, source = self.about, part.configurations[0], self.workspace.dataset
        prepared = self._prepared(one)
        found = preprocess.preprocess(about.dataset, part, source, prepared, notify=self.notify)
        seed = self.settings.seed
        work = Work(part, about.budget, about.dataset, found, one.name, FOLD, seed, start=about.start)

        def trained(job: Job) -> TrainedModel:
            out = folder.job(job.configuration, job.fold)
            return resume.stamp(lambda: train.train(work, prepared, out, notify=self.notify), parents)

        jobs.run_one(Job(one.name, FOLD), folder, parents, trained)
        return crossvalidate.crossvalidate(self._judged, part, source, folder.job, notify=self.notify)

    def _failed(self, cause: str, folder: Workspace, parents: tuple[Parent, ...]) -> str:
        """Keep why a training came to no end, and nothing else of it."""
        self.tell(f"failed: {cause}")
        resume.make(folder.record("failure"), parents, lambda: TrialFailure(cause=cause))
        shutil.rmtree(folder.folder("train"), ignore_errors=True)
        return cause

    def _prepared(self, one: Configuration) -> PreparedFolder:
        """Where its cases are: with those of the plan if they look alike."""
        look = _look(one)
        if look == _look(self.about.main):
            return self.workspace.prepared
        return PreparedFolder(self.workspace.prepared_for_search / records.digest(look)[:12])


class _Look(Record):
    """What decides how cases look to a configuration."""

    spacing_mm: tuple[float | None, float, float]
    normalization: tuple[Normalization, ...]
    axes: Axes | None


def _look(one: Configuration) -> _Look:
    return _Look(spacing_mm=one.spacing_mm, normalization=one.normalization, axes=one.axes)


def _current(folder: Workspace, name: str, kind: type[S], parents: tuple[Parent, ...]) -> S | None:
    """What a trial has left, if it was made from just this."""
    known = resume.stored(folder.record(name), kind)
    return known if known is not None and known.parents == parents else None


def _clear(job: JobFolder) -> None:
    """Remove what a scored training needs no more; its record stays."""
    job.weights.unlink(missing_ok=True)
    shutil.rmtree(job.predictions, ignore_errors=True)
