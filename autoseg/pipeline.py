"""The row: nine stages from a raw folder to a report, each computed once and resumed ever after.

    folder ─▶ dataset ─▶ fingerprint ─▶ plan ─▶ preprocess ─▶ train ─▶ crossvalidate ─▶ select ─▶ predict ─▶ report

``Row`` has one attribute per stage. Each is computed when first looked at, from those before it, unless the run folder
holds it already; looking at the report therefore does everything.
"""

import contextlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from autoseg.contracts import (
    Dataset,
    Model,
    Prediction,
    Prepared,
    Report,
    Selection,
    Settings,
    TrainedModel,
    Validation,
)
from autoseg.events import Notify, silent
from autoseg.layouts import folder_of
from autoseg.row import deployment, opening, results, resume
from autoseg.row.journal import Journal
from autoseg.row.keeping import Keeper, Redo
from autoseg.row.looking import look
from autoseg.row.mending import forget_broken
from autoseg.row.planning import Planning
from autoseg.row.training import Training
from autoseg.selection.store import Store, mirrored_by
from autoseg.stages import crossvalidate, preprocess, report, select
from autoseg.stages.report import RunRecords
from autoseg.workspace import Workspace, hold
from planners.contracts import Fingerprint, Plan

__all__ = ["Redo", "Row", "opened", "run"]


def run(
    source: Path,
    out: Path,
    settings: Settings | None = None,
    *,
    redo: Redo = "nothing",
    notify: Notify = silent,
) -> Report:
    """Take a raw folder through the whole row; the same call resumes an interrupted run.

    Raises:
        AutosegError, PlanningError: With what is wrong, where, and what to do about it.
    """
    with opened(out, source, settings or Settings(), redo=redo, notify=notify) as row:
        return row.report


@contextlib.contextmanager
def opened(
    out: Path,
    source: Path | None = None,
    settings: Settings | None = None,
    *,
    redo: Redo = "nothing",
    alone: bool = True,
    notify: Notify = silent,
) -> Iterator["Row"]:
    """Open a run folder for work, making it where ``source`` is given.

    Args:
        out: The run folder.
        source: The dataset's folder, or a table of cases in it; None takes the one the run folder was made with, as for
            ``settings``.
        settings: What was asked for.
        redo: What may be redone where something changed.
        alone: Hold the folder's lock throughout. Training does not: its jobs have locks of their own, and the folder's
            is held only while a stage before it must be computed.
        notify: Called with every event.

    Raises:
        BusyError: Another process works in the folder.
        ChangedInputs: Other settings than before, after something has been trained.
        UsageError: The folder cannot be a run folder, or the settings ask for what is not here.
    """
    workspace = Workspace(out.resolve())
    opening.check(workspace, source, settings)
    with hold(workspace.lock, f"run folder {out}") if alone else contextlib.nullcontext():
        begun = opening.begin(workspace, source, settings, replan=redo != "nothing", notify=notify)
        with Journal(workspace, begun, notify) as journal, journal.listening_for_signals():
            yield Row(workspace, journal, redo, alone=alone)


class Row:
    """The nine stages over one run folder."""

    def __init__(self, workspace: Workspace, journal: Journal, redo: Redo = "nothing", *, alone: bool = True) -> None:
        self.workspace = workspace
        self.settings = journal.run.settings
        self.source = Path(journal.run.source)
        self._journal = journal
        self._keeper = Keeper(workspace, journal.run.settings, redo, alone=alone, notify=journal)

    @cached_property
    def dataset(self) -> Dataset:
        """Cases found, audited, split."""
        return look(self.source, self.workspace, self.settings, self._keeper, self._journal)

    @cached_property
    def planning(self) -> Planning:
        """From the dataset to the plan."""
        return Planning(self.workspace, self.settings, self._keeper, self._journal, self.dataset)

    @property
    def fingerprint(self) -> Fingerprint:
        """What planning must know of the data."""
        return self.planning.fingerprint

    @property
    def plan(self) -> Plan:
        """All choices, with their reasons: those of rules, or of the variant that a search found better."""
        return self.planning.plan

    @cached_property
    def divided(self) -> Dataset:
        """The dataset in as many folds as the plan found hours for."""
        return opening.divided(self.dataset, self.planning.scans, self.plan.folds)

    @cached_property
    def development(self) -> Dataset:
        """The divided dataset without its hold-out: all that training and selection may depend on."""
        return opening.without_holdout(self.divided)

    @cached_property
    def preprocess(self) -> Prepared:
        """Development cases as the configurations want them."""
        folders = self.workspace.dataset, self.workspace.prepared
        forget_broken(self.development, self.plan, self.workspace, self._journal)
        return self._keeper.kept(
            "preprocess",
            Prepared,
            lambda: preprocess.preprocess(self.development, self.plan, *folders, notify=self._journal),
            dataset=self.development,
            plan=self.plan,
        )

    @cached_property
    def train(self) -> tuple[TrainedModel, ...]:
        """All folds of all configurations, shared with any other process that works on them."""
        return self.training.all()

    @cached_property
    def training(self) -> Training:
        """The jobs, for those who want one only."""
        parents = {"plan": self.plan, "preprocess": self.preprocess} | self.planning.started_from
        return Training(
            self.workspace,
            self.settings,
            self._journal,
            self.plan,
            self.planning.budget,
            self.divided,
            self.preprocess,
            self.planning.start,
            resume.parents_of("train", self.settings, **parents),
        )

    @cached_property
    def crossvalidate(self) -> Validation:
        """Every configuration's out-of-fold scores."""
        trained = {f"train {m.configuration}/fold_{m.fold}": m for m in self.train}
        folders = self.workspace.dataset, self.workspace.job
        return self._keeper.kept(
            "crossvalidate",
            Validation,
            lambda: crossvalidate.crossvalidate(self.development, self.plan, *folders, notify=self._journal),
            dataset=self.development,
            plan=self.plan,
            **trained,
        )

    @cached_property
    def select(self) -> Selection:
        """The ensemble and post-processing that the out-of-fold predictions support."""
        return self._keeper.kept(
            "select",
            Selection,
            lambda: select.select(
                Store(self.development, self.workspace.dataset, self.workspace.job, mirrored_by(self.train)),
                self.plan,
                self.crossvalidate,
                self.workspace.trials,
                seed=self.settings.seed,
                judged=self.planning.judged_on,
                notify=self._journal,
            ),
            crossvalidate=self.crossvalidate,
            **self.planning.searched,
        )

    @cached_property
    def model(self) -> Model:
        """The deployable model: what ``select`` kept, and nothing of the run folder but that."""
        made_of = self.development, self.planning.scans, self.fingerprint, self.plan, self.train, self.select
        drafted = deployment.draft(*made_of)
        parents = resume.parents_of("model", self.settings, select=self.select)
        before = resume.stored(self.workspace.model.record, Model)
        if before is not None and before.parents == parents:
            return before
        return deployment.deploy(drafted, parents, self.workspace, self.planning.budget.device)

    @cached_property
    def predict(self) -> Prediction:
        """Hold-out cases, scored, and cases without a label, by the deployable model."""
        return self._keeper.kept(
            "predict",
            Prediction,
            lambda: deployment.predict_rest(
                self.dataset, folder_of(self.source), self.workspace, self.planning.budget.device, self._journal
            ),
            dataset=self.dataset,
            model=self.model,
        )

    @cached_property
    def report(self) -> Report:
        """The page."""
        every = RunRecords(
            self.divided,
            self.fingerprint,
            self.planning.budget,
            self.plan,
            self.preprocess,
            self.train,
            self.crossvalidate,
            self.select,
            self.predict,
            name=self.source.name,
            search=self.planning.search,
        )
        return self._keeper.kept(
            "report",
            Report,
            lambda: report.report(
                every,
                lambda case: results.overlay(case, self.divided, self.select, self.predict, self.workspace),
                self.workspace.page,
                comparisons=lambda case: results.comparison(case, self.divided, self.select, self.workspace),
                notify=self._journal,
            ),
            dataset=self.dataset,
            select=self.select,
            predict=self.predict,
        )
