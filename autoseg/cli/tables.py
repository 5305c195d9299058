"""Records as tables for a terminal."""

from rich.console import Console
from rich.table import Table

from planners.contracts import ConfigurationName, Plan

WIDTH_IN_A_FILE = 160
"""Columns where the output is no terminal and has no width of its own."""


def show_plan(plan: Plan) -> None:
    """Print every decision of a plan: what was chosen, from what, why, and on whose word."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH_IN_A_FILE)
    console.print(_decisions(plan, None, "Whole plan"))
    for configuration in plan.configurations:
        console.print(_decisions(plan, configuration.name, configuration.name))
    console.print(f"planner {plan.planner}; the whole run is predicted to take {plan.predicted_hours:.2f} h")


def _decisions(plan: Plan, configuration: ConfigurationName | None, title: str) -> Table:
    table = Table("Decision", "Choice", "Seen", "Why", "Source", title=title, title_justify="left", show_lines=True)
    kept = {made.name for made in plan.configurations}
    for reason in plan.reasons:
        about = reason.configuration if reason.configuration in kept else None  # what was left out concerns the whole
        if about == configuration:
            table.add_row(reason.rule, reason.chose, reason.saw, reason.because, reason.source)
    return table
