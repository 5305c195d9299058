"""From the dataset to the plan: what the data are like, what the machine can do, and what rules or a search choose.

    dataset ─▶ fingerprint ─┬─▶ plan of the rules ─▶ search among its variants, if asked for ─▶ plan
    machine ─▶ budget ──────┘

None of it sees a hold-out case.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from autoseg import finetuning, records
from autoseg.contracts import CaseScan, Dataset, PlanSearch, Settings
from autoseg.events import Event, Notify
from autoseg.finetuning import Start
from autoseg.page import wording
from autoseg.row import calibration, opening, search_time
from autoseg.row.keeping import Keeper
from autoseg.row.partial_training import Searched
from autoseg.row.search import search
from autoseg.stages import fingerprint, plan
from autoseg.workspace import Workspace
from planners.contracts import Budget, Fingerprint, Plan, StageRecord, Wishes


@dataclass(frozen=True)
class Planning:
    """All that is decided before any training. Each part is made when first looked at, unless the run folder has it.

    Attributes:
        workspace: The run folder.
        settings: What was asked for.
        keeper: Of its records.
        notify: Told what is decided.
        dataset: With its hold-out, which is looked at no further.
    """

    workspace: Workspace
    settings: Settings
    keeper: Keeper
    notify: Notify
    dataset: Dataset

    @cached_property
    def planned_on(self) -> Dataset:
        """The dataset without its hold-out: all that planning may depend on."""
        return opening.without_holdout(self.dataset)

    @cached_property
    def scans(self) -> list[CaseScan]:
        """What was measured of each development case."""
        cases = self.planned_on.development
        return [records.read(self.workspace.dataset.scan(case), CaseScan) for case in cases]

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """What planning must know of the data."""
        return self.keeper.kept(
            "fingerprint",
            Fingerprint,
            lambda: fingerprint.fingerprint(self.planned_on, self.scans),
            dataset=self.planned_on,
        )

    @cached_property
    def budget(self) -> Budget:
        """The machine, measured once per run folder."""
        folds, labels, folder = len(self.planned_on.split.folds), self.dataset.labels, self.workspace.path
        asked = self.settings, self._wishes
        return self.keeper.kept(
            "budget",
            Budget,
            lambda: calibration.calibrate(self.fingerprint, labels, *asked, folds, folder, self.notify),
        )

    @cached_property
    def start(self) -> Start | None:
        """The model that training starts from; None: from scratch."""
        return None if self.settings.init is None else finetuning.read(Path(self.settings.init))

    @cached_property
    def planned(self) -> Plan:
        """All choices that rules can make, with their reasons."""
        asked = self.settings.planner, self._wishes
        made = self.keeper.kept("plan", Plan, self._by_rules, fingerprint=self.fingerprint, **self._planned_with)
        if self.start is not None:
            self._tell(self.start.told(self.planned_on), warning=True)
        for edit in plan.edits(made, self.fingerprint, self._budget_to_plan, *asked):
            self._tell(f"not as planner chose: {edit}", warning=True)
        names = ", ".join(configuration.name for configuration in made.configurations)
        self._tell(f"{names}; the whole run is predicted to take {wording.duration(3600 * made.predicted_hours)}")
        return made

    @cached_property
    def search(self) -> PlanSearch | None:
        """Variants of the plan that were tried, and what was chosen; None where no search was asked for."""
        if not self.settings.search:
            return None
        divided = opening.divided(self.dataset, self.scans, self.planned.folds)
        about = Searched(
            self.planned,
            self.fingerprint,
            self._budget_to_plan,
            self._wishes,
            opening.without_holdout(divided),
            self.start,
        )
        made = self.keeper.kept(
            "search",
            PlanSearch,
            lambda: search(about, self.workspace, self.settings, self.notify),
            dataset=about.dataset,
            fingerprint=self.fingerprint,
            plan=self.planned,
            **self._planned_with,
        )
        self.notify(Event(stage="search", what="note", detail=made.because))
        return made

    @cached_property
    def plan(self) -> Plan:
        """What is trained: the plan of the rules, or the variant of it that a search chose."""
        return self.planned if self.search is None else self.search.plan

    # ----------------------------------------------------------------------- what later records are made from, too

    @property
    def started_from(self) -> dict[str, StageRecord]:
        """The model that training starts from, if any, as a parent."""
        return {} if self.start is None else {"init": self.start.record}

    @property
    def searched(self) -> dict[str, StageRecord]:
        """The search, if any, as a parent."""
        return {} if self.search is None else {"search": self.search}

    @property
    def judged_on(self) -> tuple[str, ...]:
        """Cases that chose the plan."""
        return () if self.search is None else self.search.judged_on

    @property
    def _planned_with(self) -> dict[str, StageRecord]:
        return {"budget": self._budget_to_plan} | self.started_from

    @property
    def _budget_to_plan(self) -> Budget:
        return search_time.left_to_plan(self.budget, self.settings)

    @property
    def _wishes(self) -> Wishes:
        return opening.wishes(self.settings, self.planned_on, self.start)

    def _by_rules(self) -> Plan:
        with search_time.sharing_hours(self.settings):
            return plan.plan(self.fingerprint, self._budget_to_plan, self.settings.planner, self._wishes)

    def _tell(self, detail: str, *, warning: bool = False) -> None:
        self.notify(Event(stage="plan", what="warning" if warning else "note", detail=detail))
