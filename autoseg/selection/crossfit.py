"""Searches on all cases, and on all but each fold: what each chooses, and how its choice does on the fold it never saw.

All searches look at the same tables, and every recipe is worked out once for all cases. The trials of all come first,
so that the finalists of all are measured in one pass over the predictions.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from autoseg.contracts import CaseScore
from autoseg.evaluation.scoring import dice_of, score_case, score_table
from autoseg.events import Event, Notify
from autoseg.selection.evidence import Evidence, Rows, Table
from autoseg.selection.finalists import Choice, Finalist, measure_all, pipeline_of
from autoseg.selection.journal import Journal
from autoseg.selection.search import Outcome, Scored, Search
from autoseg.selection.space import Recipe
from autoseg.selection.store import Store
from autoseg.selection.trials import Effort, Tried
from autoseg.volumes.labels import Classes
from autoseg.volumes.statistics import Estimate, interval, paired_interval

EVERY_CASE = "all"
"""Name of the search on all cases in the journal."""


@dataclass(frozen=True)
class Measured:
    """What was worked out on volumes, so that nothing is worked out twice."""

    store: Store
    evidence: Evidence
    tolerance_mm: float
    finalists: dict[Recipe, Finalist] = field(default_factory=dict)
    _dice: dict[tuple[Choice, int], tuple[float | None, ...]] = field(default_factory=dict)
    _scores: dict[tuple[Choice, int], CaseScore] = field(default_factory=dict)

    def measure(self, recipes: Iterable[Recipe], notify: Notify) -> None:
        """Table the pieces of recipes that are not among the ``finalists`` yet."""
        new = [recipe for recipe in dict.fromkeys(recipes) if recipe not in self.finalists]
        if new:
            self.finalists.update(measure_all(self.store, self.evidence.space, new, notify))

    def dice(self, choice: Choice, rows: Rows) -> Table:
        """Dice (rows, T), by segmenting the cases."""
        for row in rows.tolist():
            if (choice, row) in self._scores:
                self._dice[choice, row] = tuple(target.dice for target in self._scores[choice, row].targets)
            elif (choice, row) not in self._dice:
                reference, predicted = self._pair(choice, row)
                self._dice[choice, row] = dice_of(reference, predicted, self.store.dataset.labels)
        return score_table([self._dice[choice, row] for row in rows.tolist()], len(self.evidence.space.labels.targets))

    def scores(self, choice: Choice, rows: Rows) -> list[CaseScore]:
        """Everything that is scored, by segmenting the cases."""
        for row in rows.tolist():
            if (choice, row) not in self._scores:
                case, labels = self.evidence.cases[row], self.store.dataset.labels
                reference, predicted = self._pair(choice, row)
                spacing_mm, subject = self.store.scans[case].spacing_mm, self.evidence.subjects[row]
                self._scores[choice, row] = score_case(
                    reference, predicted, labels, spacing_mm, self.tolerance_mm, case, subject
                )
        return [self._scores[choice, row] for row in rows.tolist()]

    def nsd(self, choice: Choice, rows: Rows) -> float:
        """Mean NSD over the targets that occur in these cases."""
        cases = self.scores(choice, rows)
        targets = len(self.evidence.space.labels.targets)
        whole = np.full((len(self.evidence.cases), targets), np.nan)
        whole[rows] = score_table([[target.nsd for target in case.targets] for case in cases], targets)
        return self.evidence.mean(whole, rows)

    def _pair(self, choice: Choice, row: int) -> tuple[Classes, Classes]:
        case, fold = self.evidence.cases[row], int(self.evidence.folds[row])
        pipeline = pipeline_of(self.evidence.space, choice)
        return self.store.reference(case), self.store.predicted(case, fold, pipeline)


@dataclass(frozen=True)
class Nested:
    """Dice (rows, T) of choices that were made without the fold of each case."""

    chosen: Table
    default: Table
    nnunet: Table


@dataclass(frozen=True)
class Found:
    """The search on all cases with its trials, and what the searches without a fold say of it.

    Attributes:
        trials: Of the search on all cases.
        outcome: Its candidates and what it prefers.
        nested: All undefined where there is no fold to leave out.
        subjects: Of the rows of the nested scores.
        gain: Of the search's choice over the default, nested, paired over subjects.
        ships: The choice if its gain is above zero with its whole interval, else the default.
        mean: Nested Dice of what ships.
        over_nnunet: Nested gain of what ships over the baseline.
    """

    trials: tuple[Tried, ...]
    outcome: Outcome
    nested: Nested
    subjects: tuple[str, ...]
    gain: Estimate
    ships: Scored
    mean: Estimate
    over_nnunet: Estimate

    @property
    def better(self) -> bool:
        """Whether more than the default ships."""
        return self.ships != self.outcome.default

    @property
    def table(self) -> Table:
        """Nested Dice (rows, T) of what ships."""
        return self.nested.chosen if self.better else self.nested.default


def crossfit(
    measured: Measured,
    journal: Journal,
    seed: int,
    notify: Notify,
    effort: Effort = Effort(),
    rows: Rows | None = None,
    judged: Collection[str] = (),
) -> Found:
    """Run all searches and decide.

    Args:
        measured: The tables of the cases.
        journal: Of the trials.
        seed: Of the proposals and the bootstrap.
        notify: Told of each search and each case.
        effort: How long each search goes on.
        rows: The cases that take part; None: all.
        judged: Cases that something was chosen on before; nested scores leave them out.
    """
    evidence = measured.evidence
    rows = np.arange(len(evidence.cases)) if rows is None else rows
    searches: dict[int | None, Search] = {None: Search(evidence, rows, EVERY_CASE, seed)}
    for fold in _left_out(evidence, rows):
        others = rows[evidence.folds[rows] != fold]
        searches[fold] = Search(evidence, others, f"without fold {fold}", seed)
    tried: dict[int | None, tuple[Tried, ...]] = {}
    for done, (without, search) in enumerate(searches.items(), start=1):
        tried[without] = search.trials(journal, effort)
        notify(Event(stage="select", done=done, total=len(searches), unit="searches", detail=search.name))
    measured.measure((r for fold, search in searches.items() for r in search.finalists(tried[fold])), notify)
    outcomes = {f: search.choose(measured.finalists, tried[f], measured.nsd) for f, search in searches.items()}
    fresh = np.array([row for row in rows if evidence.cases[row] not in judged], dtype=np.intp)
    nested = _nested(measured, rows, fresh, {fold: made for fold, made in outcomes.items() if fold is not None})
    return _decide(tried[None], outcomes[None], nested, tuple(evidence.subjects[row] for row in fresh), seed)


def _left_out(evidence: Evidence, rows: Rows) -> list[int]:
    """Folds to leave out in turn; none where nothing could be learnt from what is left."""
    folds = np.unique(evidence.folds[rows]).tolist()
    left = [rows[evidence.folds[rows] != fold] for fold in folds]
    return folds if len(folds) > 1 and all(evidence.scorable(others).any() for others in left) else []


def _nested(measured: Measured, rows: Rows, fresh: Rows, outcomes: Mapping[int, Outcome]) -> Nested:
    """Nested scores of the ``fresh`` rows, among all those that take part."""
    evidence = measured.evidence
    tables = {name: np.full(evidence.occurs.shape, np.nan) for name in ("chosen", "default", "nnunet")}
    for fold, outcome in outcomes.items():
        held = rows[evidence.folds[rows] == fold]
        tables["chosen"][held] = measured.dice(outcome.chosen.choice, held)
        tables["default"][held] = measured.dice(outcome.default.choice, held)
        tables["nnunet"][held] = measured.dice(outcome.nnunet.choice, held)
    for table in tables.values():  # a target that occurs in none would count for who made some of it up, and no other
        table[:, ~evidence.scorable(fresh)] = np.nan
    return Nested(**{name: table[fresh] for name, table in tables.items()})


def _decide(trials: tuple[Tried, ...], outcome: Outcome, nested: Nested, subjects: tuple[str, ...], seed: int) -> Found:
    """Ship the search's choice if it is worth it, else the default."""
    gain = paired_interval(nested.chosen, nested.default, subjects, seed)
    better = outcome.chosen != outcome.default and gain.low is not None and gain.low > 0
    table = nested.chosen if better else nested.default
    return Found(
        trials=trials,
        outcome=outcome,
        nested=nested,
        subjects=subjects,
        gain=gain,
        ships=outcome.chosen if better else outcome.default,
        mean=interval(table, subjects, seed),
        over_nnunet=paired_interval(table, nested.nnunet, subjects, seed),
    )
