"""Records as tables for a terminal."""

import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from autoseg.contracts import AuditEntry, DryRun, Scores
from autoseg.page import wording
from planners.contracts import ConfigurationName, Plan

if TYPE_CHECKING:
    from pandas import DataFrame

    from autoseg.inspection import Inspection

WIDTH_IN_A_FILE = 160
"""Columns where the output is no terminal and has no width of its own."""
_GRAVEST_FIRST = ("fatal", "quarantined", "repaired", "ok")


def show_plan(plan: Plan) -> None:
    """Print every decision of a plan: what was chosen, from what, why, and on whose word."""
    console = _console()
    console.print(_decisions(plan, None, "Whole plan"))
    for configuration in plan.configurations:
        console.print(_decisions(plan, configuration.name, configuration.name))
    hours = wording.duration(3600 * plan.predicted_hours)
    console.print(f"planner {plan.planner}; the whole run is predicted to take {hours}")


def show_dry_runs(tried: Sequence[DryRun]) -> None:
    """Print what a plan predicted beside what a few steps of training took."""
    table = Table("Configuration", "Memory", "Measured", "Ratio", "Step", "Measured", "Ratio", title="Dry run")
    for one in tried:
        measured = one.measured_bytes
        table.add_row(
            one.configuration,
            f"{one.predicted_bytes / 1e9:.2f} GB",
            "unknown" if measured is None else f"{measured / 1e9:.2f} GB",
            "" if not measured else f"{one.predicted_bytes / measured:.2f}",
            f"{one.predicted_step_s:.3f} s",
            f"{one.measured_step_s:.3f} s",
            f"{one.predicted_step_s / one.measured_step_s:.2f}",
        )
    _console().print(table)


def show_inspection(source: str, found: "Inspection") -> None:
    """Print what a folder holds, and a row for each story that the audit has to tell."""
    console = _console()
    facts = Table.grid(padding=(0, 2))
    for name, value in _facts(found):
        facts.add_row(name, Text(value))
    console.print(Text(f"{source}: layout {found.layout}, {_sized(found)}"), facts)
    told = _told(found.audit)
    if told:
        table = Table("Verdict", "Case", "Reason", "Done", title="Audit", title_justify="left", show_lines=True)
        for (verdict, reason, repair), cases in told.items():
            table.add_row(verdict, Text(_some(cases)), Text(reason), Text(repair))
        console.print(table)
    for file, why in zip(found.left_over, found.left_over_because, strict=True):
        console.print(Text(f"left over: {json.dumps(file, ensure_ascii=False)}: {_on_one_line(why)}"))


def show_scores(scores: Scores) -> None:
    """Print the scores of single cases, or the lowest of many; means with intervals, by group too; the convention."""
    from autoseg.evaluation import tables

    console = _console()
    single, every = tables.lowest(scores), sum(len(case.targets) for case in scores.cases)
    console.print(_printed(single, "Cases" if len(single) == every else f"Cases: the lowest {len(single)} of {every}"))
    console.print(_printed(tables.summary(scores), "Means over cases"))
    for grouping in tables.groupings(scores):
        console.print(_printed(grouping, f"Means over targets, by {grouping.columns[0]}"))
    console.print(Text(scores.convention))


def _printed(frame: "DataFrame", title: str) -> Table:
    table = Table(title=Text(title), title_justify="left")
    for column in frame.columns:
        table.add_column(Text(_on_one_line(column)))
    for row in frame.itertuples(index=False):
        table.add_row(*(Text(_on_one_line(_cell(value))) for value in row))
    return table


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:.4g}"
    return str(value)


def _on_one_line(text: str) -> str:
    """Without control characters, which names of files may hold: no name can forge a line of its own."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _sized(found: "Inspection") -> str:
    dimension = f"{found.dimension}D, " if found.dimension else ""
    return f"{dimension}{found.cases} usable cases of {found.subjects} subjects, {found.labelled} labelled"


def _facts(found: "Inspection") -> Iterator[tuple[str, str]]:
    for one in found.examples:
        yield "e.g.", _on_one_line(one)
    shown = [f"{name} ({kind})" for name, kind in zip(found.channels, found.modalities, strict=False)]
    yield "channels", ", ".join(shown)
    yield "labels", ", ".join(f"{label.name} = {label.value}" for label in found.labels)
    if found.regions:
        yield "regions", ", ".join(found.regions)
    yield "spacing mm", " x ".join(f"{mm:.3g}" for mm in found.spacing_mm) if found.spacing_mm else "unknown"
    yield "orientation", ", ".join(found.orientation)
    yield "split", found.split
    verdicts = Counter(entry.verdict for entry in found.audit if entry.case != "(all)")
    yield "audit", ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())


def _told(audit: Sequence[AuditEntry]) -> dict[tuple[str, str, str], list[str]]:
    """Cases by what is said of them, the gravest first; what is simply fine is left out."""
    stories: dict[tuple[str, str, str], list[str]] = {}
    for entry in sorted(audit, key=lambda entry: _GRAVEST_FIRST.index(entry.verdict)):
        if entry.verdict != "ok" or entry.reason:
            verdict = "note" if entry.verdict == "ok" else entry.verdict
            stories.setdefault((verdict, entry.reason, entry.repair), []).append(entry.case)
    return stories


def _some(cases: Sequence[str]) -> str:
    return ", ".join(cases[:3]) + (f" and {len(cases) - 3} more" if len(cases) > 3 else "")


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH_IN_A_FILE)


def _decisions(plan: Plan, configuration: ConfigurationName | None, title: str) -> Table:
    table = Table(title=title, title_justify="left", show_lines=True)
    for column in ("Decision", "Choice", "Seen", "Why", "Source"):
        table.add_column(column, overflow="fold")  # a long word goes on in the next line, rather than being cut
    kept = {made.name for made in plan.configurations}
    for reason in plan.reasons:
        about = reason.configuration if reason.configuration in kept else None  # what was left out concerns the whole
        if about == configuration:
            table.add_row(reason.rule, reason.chose, reason.saw, reason.because, reason.source)
    return table
