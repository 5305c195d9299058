"""What the cells of a race say: scores with intervals, and gains over the best peer row, paired over subjects.

Seeds are pooled: a case counts once per seed, and the bootstrap draws subjects with all their seeds. Only seeds that
both sides ran are paired.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from autoseg.contracts import Scores
from autoseg.evaluation.scoring import score_table
from autoseg.volumes import statistics
from autoseg.volumes.statistics import Estimate
from benchmarks.race.cell import Cell
from benchmarks.race.contenders import OURS

MOST_FOR_OTHERS = 0.05
"""Share of the cores' time; beyond it, the speed that was measured is not that of an idle machine."""


@dataclass(frozen=True)
class Line:
    """One row of the table: a contender, with or without its mirroring, over all its seeds."""

    name: str
    cells: tuple[Cell, ...]
    scores: tuple[Scores, ...]

    def pooled(self, seeds: Iterable[int]) -> tuple[np.ndarray, list[str]]:
        """Dice (seeds x cases, targets) and the subject of each row, cases in the order of their names."""
        by_seed = {cell.seed: scores for cell, scores in zip(self.cells, self.scores, strict=True)}
        cases = [case for seed in seeds for case in sorted(by_seed[seed].cases, key=lambda scored: scored.case)]
        rows = [[target.dice for target in case.targets] for case in cases]
        return score_table(rows, len(rows[0])), [case.subject for case in cases]

    @property
    def seeds(self) -> set[int]:
        """Seeds that were run."""
        return {cell.seed for cell in self.cells}

    @property
    def dice(self) -> Estimate:
        """Mean over cases, then over labels."""
        return statistics.interval(*self.pooled(sorted(self.seeds)), seed=0)


def lines(cells: Sequence[Cell], first: str = OURS) -> list[Line]:
    """The rows of one task and time, that of contender ``first`` at the top."""
    found = []
    for name in sorted({cell.contender for cell in cells}, key=lambda name: (name != first, name)):
        own = tuple(cell for cell in cells if cell.contender == name)
        found.append(Line(name, own, tuple(cell.scores for cell in own)))
    return found


def with_plain(line: Line) -> list[Line]:
    """A row and, where all its cells also predicted without mirroring, the row of that."""
    plain = [cell.scores_without_mirroring for cell in line.cells]
    known = tuple(scores for scores in plain if scores is not None)
    return [line, Line(f"{line.name}, no mirroring", line.cells, known)] if len(known) == len(plain) else [line]


def gain(ours: Line, other: Line, only: Iterable[int] | None = None) -> Estimate | None:
    """Ours minus the other's on the same cases and seeds, all or ``only`` some; None where they share none of them."""
    shared = ours.seeds & other.seeds
    seeds = sorted(shared if only is None else shared.intersection(only))
    if not seeds:
        return None
    (mine, subjects), (theirs, same) = ours.pooled(seeds), other.pooled(seeds)
    if subjects != same:
        raise SystemExit(f"{other.name} was judged on other cases than {ours.name}; delete its cells")
    return statistics.paired_interval(mine, theirs, subjects, seed=0)


def table(cells: Sequence[Cell]) -> str:
    """Markdown of one task and time."""
    rows = [row for line in lines(cells) for row in with_plain(line)]
    ours = next((row for row in rows if row.name == OURS), None)
    peers = [row for row in rows if row.cells[0].contender != OURS]
    best = max(peers, key=lambda row: row.dice.value or 0.0, default=None)
    head = "| contender | seeds | steps x batch | seconds | per label | mean Dice | ours less this, paired |"
    text = [f"{cells[0].task}, {cells[0].minutes:g} minutes of training, fold 0", "", head, "|" + "---|" * 7]
    for row in rows:
        name = f"{row.name} (best peer)" if row is best else row.name
        against = "" if ours is None or row is ours else signed(gain(ours, row))
        text.append(f"| {name} | {facts(row)} | {valued(row.dice)} | {against} |")
    return "\n".join([*text, "", *warnings(cells)])


def facts(row: Line) -> str:
    """Seeds, steps, seconds and the mean of each label, as cells of a table."""
    steps, seconds = (median(values) for values in zip(*((c.steps, c.train_s) for c in row.cells), strict=True))
    means = statistics.target_means(row.pooled(sorted(row.seeds))[0])
    labels = ", ".join(f"{mean:.4f}" for mean in means)
    return f"{', '.join(map(str, sorted(row.seeds)))} | {steps:.0f} x {row.cells[0].batch} | {seconds:.0f} | {labels}"


def warnings(cells: Sequence[Cell]) -> list[str]:
    """What makes cells hard to compare."""
    said = []
    machines = {cell.machine.model_dump_json() for cell in cells}
    if len(machines) > 1:
        said.append(f"Not comparable: the cells come from different machines: {', '.join(sorted(machines))}")
    torches = {v.version for cell in cells for v in cell.versions if v.package == "torch"}
    if len(torches) > 1:
        said.append(f"Different versions of torch: {', '.join(sorted(torches))}")
    busy = [f"{c.contender} seed {c.seed} ({c.others_share:.0%})" for c in cells if c.others_share > MOST_FOR_OTHERS]
    if busy:
        said.append(f"Not comparable: speed was measured while others took part of the cores: {', '.join(busy)}")
    return said


def valued(estimate: Estimate) -> str:
    """A value with its interval."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return "-"
    return f"{estimate.value:.4f} ({estimate.low:.4f} to {estimate.high:.4f})"


def signed(estimate: Estimate | None) -> str:
    """A difference with its interval and the number of cases."""
    if estimate is None or estimate.value is None or estimate.low is None or estimate.high is None:
        return "-"
    return f"{estimate.value:+.4f} ({estimate.low:+.4f} to {estimate.high:+.4f}), {estimate.n}"
