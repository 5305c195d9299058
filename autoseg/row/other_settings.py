"""Other settings than a run folder was made with: taken at once while nothing is trained, refused with a table after.

Before training, all that can be lost are minutes of looking, measuring and planning. Who was told to give more hours,
or has mistyped an option, shall not have to ask for permission to do better.
"""

from autoseg.contracts import Run
from autoseg.errors import ChangedInputs
from autoseg.row.resume import SETTINGS_OF
from autoseg.workspace import Workspace

_BEFORE_TRAINING = ("dataset", "fingerprint", "budget", "plan", "search", "preprocess")
_OPTIONS = {"spacing_mm": "spacing"}


def taken(workspace: Workspace, before: Run, asked: Run) -> str:
    """Forget what was made with settings that are asked for otherwise now; everything after it is made anew.

    Args:
        workspace: The run folder.
        before: What it was made with.
        asked: The same source, other settings.

    Returns:
        What changed, in a line.
    """
    for step in _BEFORE_TRAINING[_BEFORE_TRAINING.index(_first_step(before, asked)) :]:
        workspace.record(step).unlink(missing_ok=True)
    return f"changed: {'; '.join(_changes(before, asked))}. Nothing was trained yet, so what depends on it is made anew"


def refused(before: Run, asked: Run) -> ChangedInputs:
    """The error that tells what is asked for otherwise now, and the ways on."""
    rows = [f"  {change}" for change in _changes(before, asked)]
    hours = before.settings.hours != asked.settings.hours
    if before.source != asked.source:
        rows.append(f"  source: {before.source} -> {asked.source}")
    return ChangedInputs(
        "\n".join(
            [
                "this run folder was made with other settings:",
                *rows,
                "leave them as they were to resume, or choose another output folder, or add",
                "  --keep-plan  to go on under the present plan"
                + (", up to its steps, with these hours from now on for what is not trained yet" if hours else ""),
                "  --replan     to redo what depends on them; training begins anew where the plan changes",
                *(["to train longer on what was learned: a new output folder, and --init OUT/model"] if hours else []),
            ]
        )
    )


def _first_step(before: Run, asked: Run) -> str:
    """The earliest step that reads a setting which changed; what looking and measuring do not read shapes the plan."""
    changed = set(_different(before, asked))
    return next((step for step in ("dataset", "budget") if changed & set(SETTINGS_OF[step])), "plan")


def _different(before: Run, asked: Run) -> list[str]:
    was, wants = before.settings.model_dump(), asked.settings.model_dump()
    return [name for name in was if was[name] != wants[name]]


def _changes(before: Run, asked: Run) -> list[str]:
    was, wants = before.settings.model_dump(), asked.settings.model_dump()
    return [f"{_option(name)}: {_said(was[name])} -> {_said(wants[name])}" for name in _different(before, asked)]


def _option(name: str) -> str:
    return "--" + _OPTIONS.get(name, name).replace("_", "-")


def _said(value: object) -> str:
    return "not given" if value is None else ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
