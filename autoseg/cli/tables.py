"""Records as tables for a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from autoseg.contracts import DryRun
from planners.contracts import ConfigurationName, Plan

WIDTH_IN_A_FILE = 160
"""Columns where the output is no terminal and has no width of its own."""


def show_plan(plan: Plan) -> None:
    """Print every decision of a plan: what was chosen, from what, why, and on whose word."""
    console = _console()
    console.print(_decisions(plan, None, "Whole plan"))
    for configuration in plan.configurations:
        console.print(_decisions(plan, configuration.name, configuration.name))
    console.print(f"planner {plan.planner}; the whole run is predicted to take {plan.predicted_hours:.2f} h")


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


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH_IN_A_FILE)


def _decisions(plan: Plan, configuration: ConfigurationName | None, title: str) -> Table:
    table = Table("Decision", "Choice", "Seen", "Why", "Source", title=title, title_justify="left", show_lines=True)
    kept = {made.name for made in plan.configurations}
    for reason in plan.reasons:
        about = reason.configuration if reason.configuration in kept else None  # what was left out concerns the whole
        if about == configuration:
            table.add_row(reason.rule, reason.chose, reason.saw, reason.because, reason.source)
    return table
