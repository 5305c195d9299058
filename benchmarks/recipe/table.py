"""What an experiment says: each variant beside the base, paired over cases and seeds."""

from collections.abc import Sequence

from benchmarks.race.cell import Cell
from benchmarks.race.summary import Line, facts, gain, lines, signed, valued, warnings
from benchmarks.recipe.variants import BASE

_HEAD = "| variant | changed | seeds | steps x batch | seconds | per label | mean Dice | gain, paired | by seed |"


def table(cells: Sequence[Cell]) -> str:
    """Markdown: the base, then the variants from best to worst.

    The interval is over subjects, for the seeds at hand; how far seeds differ shows in the last column. Twenty variants
    that change nothing would show one gain whose interval leaves out zero.

    Args:
        cells: Of one task, time and fold; the base's among them.
    """
    base, *others = lines(cells, first=BASE)
    first = cells[0]
    title = f"{first.task}, {first.minutes:g} minutes of training counted in steps, fold {first.fold}"
    ranked = sorted(others, key=lambda line: -_gained(line, base))
    rows = [_row(base, "", ""), *(_row(line, signed(gain(line, base)), _by_seed(line, base)) for line in ranked)]
    return "\n".join([title, "", _HEAD, "|" + "---|" * 9, *rows, "", *warnings(cells)])


def _row(line: Line, gained: str, by_seed: str) -> str:
    changed = "; ".join(line.cells[0].changed).replace("$.", "").replace("|", "/")
    return f"| {line.name} | {changed} | {facts(line)} | {valued(line.dice)} | {gained} | {by_seed} |"


def _gained(line: Line, base: Line) -> float:
    found = gain(line, base)
    return 0.0 if found is None or found.value is None else found.value


def _by_seed(line: Line, base: Line) -> str:
    gains = (gain(line, base, [seed]) for seed in sorted(line.seeds & base.seeds))
    return ", ".join(f"{found.value:+.4f}" for found in gains if found is not None and found.value is not None)
