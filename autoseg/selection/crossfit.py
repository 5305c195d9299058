"""Searches on all cases, and on all but each fold: what each chooses, and how its choice does on the fold it never saw.

All searches look at the same tables, and every recipe is worked out once for all cases. The trials of all come first,
so that the finalists of all are measured in one pass over the predictions.
"""

from dataclasses import dataclass, field

import numpy as np

from autoseg.contracts import CaseScore
from autoseg.events import Event, Notify
from autoseg.evaluation.scoring import dice_of, score_case, score_table
from autoseg.selection.evidence import Evidence, Rows, Table
from autoseg.selection.finalists import Choice, Finalist, measure_all, pipeline_of
from autoseg.selection.journal import Journal
from autoseg.selection.search import Outcome, Search, rows_without
from autoseg.selection.space import Recipe
from autoseg.selection.store import Store
from autoseg.selection.trials import Effort, Tried


@dataclass(frozen=True)
class Exact:
    """Scores of choices by segmenting whole cases; each case is segmented once per choice."""

    store: Store
    evidence: Evidence
    tolerance_mm: float
    _dice: dict[tuple[Choice, int], tuple[float | None, ...]] = field(default_factory=dict)
    _scores: dict[tuple[Choice, int], CaseScore] = field(default_factory=dict)

    def dice(self, choice: Choice, rows: Rows) -> Table:
        """Dice (rows, T)."""
        for row in rows.tolist():
            if (choice, row) not in self._dice:
                labels = self.store.dataset.labels
                self._dice[choice, row] = dice_of(*self._pair(choice, row), labels)
        return score_table([self._dice[choice, row] for row in rows.tolist()], self.evidence.occurs.shape[1])

    def scores(self, choice: Choice, rows: Rows) -> list[CaseScore]:
        """Everything that is scored."""
        for row in rows.tolist():
            if (choice, row) not in self._scores:
                case, labels = self.evidence.cases[row], self.store.dataset.labels
                spacing, tolerance = self.store.scans[case].spacing_mm, self.tolerance_mm
                pair = self._pair(choice, row)
                self._scores[choice, row] = score_case(
                    *pair, labels, spacing, tolerance, case, self.evidence.subjects[row]
                )
        return [self._scores[choice, row] for row in rows.tolist()]

    def nsd(self, choice: Choice, rows: Rows) -> float:
        """Mean NSD over the targets that occur in these cases."""
        cases = self.scores(choice, rows)
        table = score_table([[target.nsd for target in case.targets] for case in cases], self.evidence.occurs.shape[1])
        whole = np.full(self.evidence.occurs.shape, np.nan)
        whole[rows] = table
        return self.evidence.mean(whole, rows)

    def _pair(self, choice: Choice, row: int) -> tuple[np.ndarray, np.ndarray]:
        case, fold = self.evidence.cases[row], int(self.evidence.folds[row])
        pipeline = pipeline_of(self.evidence.space, choice)
        return self.store.reference(case), self.store.predicted(case, fold, pipeline)


@dataclass(frozen=True)
class Nested:
    """Dice (cases, T) of choices that were made without the fold of each case."""

    chosen: Table
    default: Table
    nnunet: Table


@dataclass(frozen=True)
class Found:
    """The search on all cases with its trials; ``nested`` is None where a fold cannot be left out."""

    trials: tuple[Tried, ...]
    outcome: Outcome
    nested: Nested | None
    exact: Exact
    finalists: dict[Recipe, Finalist]


def crossfit(
    store: Store,
    evidence: Evidence,
    journal: Journal,
    tolerance_mm: float,
    seed: int,
    notify: Notify,
    effort: Effort = Effort(),
) -> Found:
    """Run all searches.

    Args:
        store: The predictions.
        evidence: Their tables.
        journal: Of the trials.
        tolerance_mm: Of the NSD.
        seed: Of the proposals and the bootstrap.
        notify: Told of each search and each case.
        effort: Of each search.
    """
    folds = _left_out(evidence)
    searches = {
        fold: Search(evidence, rows_without(evidence, fold), "all" if fold is None else f"without fold {fold}", seed)
        for fold in (None, *folds)
    }
    tried: dict[int | None, tuple[Tried, ...]] = {}
    for done, (fold, search) in enumerate(searches.items(), start=1):
        tried[fold] = search.trials(journal, effort)
        notify(Event(stage="select", done=done, total=len(searches), unit="searches", detail=search.name))
    recipes = dict.fromkeys(r for fold, search in searches.items() for r in search.finalists(tried[fold]))
    finalists = measure_all(store, evidence.space, list(recipes), notify)
    exact = Exact(store, evidence, tolerance_mm)
    outcomes = {fold: search.choose(finalists, tried[fold], exact.nsd) for fold, search in searches.items()}
    nested = _nested(evidence, exact, {fold: outcomes[fold] for fold in folds}) if folds else None
    return Found(tried[None], outcomes[None], nested, exact, finalists)


def _left_out(evidence: Evidence) -> tuple[int, ...]:
    """Folds to leave out in turn; none where some target would never occur in what is left."""
    folds = np.unique(evidence.folds).tolist()
    if len(folds) < 2 or not all(evidence.scorable(rows_without(evidence, fold)).any() for fold in folds):
        return ()
    return tuple(folds)


def _nested(evidence: Evidence, exact: Exact, outcomes: dict[int, Outcome]) -> Nested:
    tables = {name: np.full(evidence.occurs.shape, np.nan) for name in ("chosen", "default", "nnunet")}
    for fold, outcome in outcomes.items():
        rows = np.flatnonzero(evidence.folds == fold)
        for name, table in tables.items():
            table[rows] = exact.dice(getattr(outcome, name).choice, rows)
    for table in tables.values():
        table[:, ~evidence.occurs.any(axis=0)] = np.nan
    return Nested(**tables)
