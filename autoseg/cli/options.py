"""Each option once: its name is the field of the record it sets."""

import math
from pathlib import Path
from typing import Annotated, get_args

import typer

from autoseg import records
from autoseg.contracts import Axis4, Run, Settings
from autoseg.errors import UsageError
from autoseg.workspace import Workspace
from planners import registry
from planners.contracts import ConfigurationName, Preset, Spacing

Source = Annotated[
    Path,
    typer.Argument(
        metavar="SOURCE", help="Folder with images and masks in any layout, or a table of cases.", show_default=False
    ),
]
Out = Annotated[
    Path, typer.Argument(metavar="OUT", help="Run folder: new, empty, or one to resume.", show_default=False)
]
RunFolder = Annotated[Path, typer.Argument(metavar="OUT", help="A run folder.", show_default=False)]
Hours = Annotated[
    float | None, typer.Option(help="Upper bound on wall-clock hours, summed over restarts. Default: by preset.")
]
PresetName = Annotated[Preset, typer.Option(help="What to buy: fast (one configuration), standard, or max (all).")]
AnotherHours = Annotated[
    float | None, typer.Option("--hours", help="Upper bound on wall-clock hours, if another than before.")
]
AnotherPreset = Annotated[Preset | None, typer.Option("--preset", help="What to buy, if another than before.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
Holdout = Annotated[float, typer.Option(help="Share of subjects set apart for one final, honest score.")]
Folds = Annotated[
    int | None, typer.Option(help="Folds of the cross-validation. Default: 5, or fewer if hours are short.")
]
Seed = Annotated[int, typer.Option(help="Of the split, the networks, the sampling and the search.")]
Deterministic = Annotated[
    bool, typer.Option("--deterministic", help="Same plan, seed, machine and versions: same weights and masks.")
]
Planner = Annotated[str, typer.Option(help=f"Which planner chooses: {', '.join(registry.PLANNERS)}.")]
AnotherPlanner = Annotated[str | None, typer.Option("--planner", help="Which planner chooses, if another than before.")]
DeviceGb = Annotated[
    float | None, typer.Option(help="Memory to plan for, in GB. Default: what is free, or what the planner assumes.")
]
Configurations = Annotated[
    str | None, typer.Option(help="Which to train, e.g. 3d_fullres,2d. Default: the planner's choice.")
]
SpacingMm = Annotated[
    str | None, typer.Option("--spacing", help="Of the full resolution, in mm along z,y,x, e.g. 3,0.8,0.8.")
]
SnapLabels = Annotated[
    bool, typer.Option("--snap-labels", help="Stray values in masks become the nearest label, however many there are.")
]
TrustGrid = Annotated[
    bool, typer.Option("--trust-grid", help="Labels of the image's shape are taken voxel for voxel, despite headers.")
]
Layout = Annotated[
    str | None, typer.Option(help="How to read SOURCE where it can be read in several ways; inspect says which.")
]
AxisFour = Annotated[
    Axis4 | None,
    typer.Option(
        "--axis4",
        help="What a fourth axis of images counts: channel, or time (each point in time is then an image of its own). "
        "Default: as files and declarations tell, else it is asked.",
    ),
]
Replan = Annotated[bool, typer.Option("--replan", help="Redo what depends on changed data or settings.")]
KeepPlan = Annotated[bool, typer.Option("--keep-plan", help="Redo changed cases and training under the present plan.")]
Strict = Annotated[bool, typer.Option("--strict", help="Stop if any case cannot be used, instead of leaving it out.")]
Splits = Annotated[
    Path | None,
    typer.Option(
        help="JSON list of {train, val} folds. Default: splits_final.json of the source, or folds of our own."
    ),
]
Init = Annotated[
    Path | None,
    typer.Option(help="Model folder to go on from: its network and weights, matched by names of channels and labels."),
]
Search = Annotated[
    int,
    typer.Option(
        help="Variants of the plan to try by partial training, in 30 % of the hours. The best is trained if it wins."
    ),
]
AnotherSearch = Annotated[
    int | None, typer.Option("--search", help="Variants of the plan to try, if another number than before.")
]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


def settings(
    hours: float | None,
    preset: Preset,
    device: str,
    holdout: float,
    folds: int | None,
    seed: int,
    deterministic: bool,
    planner: str,
    device_gb: float | None,
    configurations: str | None = None,
    spacing: str | None = None,
    snap_labels: bool = False,
    trust_grid: bool = False,
    strict: bool = False,
    splits: Path | None = None,
    layout: str | None = None,
    axis4: Axis4 | None = None,
    init: Path | None = None,
    search: int = 0,
) -> Settings:
    """Check what was typed.

    Raises:
        UsageError: A value out of range; the message says which values are allowed.
        UnknownPlanner: No planner has that name.
    """
    _require_hours(hours)
    if not 0 <= holdout < 1:
        raise UsageError(f"--holdout {holdout}: expected a share from 0 to below 1, e.g. 0.2")
    if folds is not None and folds < 2:
        raise UsageError(f"--folds {folds}: expected 2 or more")
    registry.named(planner)
    _require_count(search)
    return Settings(
        hours=hours,
        preset=preset,
        device=device,
        holdout=holdout,
        folds=folds,
        seed=seed,
        deterministic=deterministic,
        planner=planner,
        device_gb=_gigabytes(device_gb),
        configurations=None if configurations is None else _names(configurations),
        spacing_mm=None if spacing is None else _spacing(spacing),
        snap_labels=snap_labels,
        trust_grid=trust_grid,
        strict=strict,
        splits=absolute(splits),
        layout=layout,
        axis4=axis4,
        init=absolute(init),
        search=search,
    )


def reading(
    out: Path,
    layout: str | None,
    strict: bool,
    splits: Path | None,
    snap_labels: bool,
    trust_grid: bool,
    axis4: Axis4 | None,
) -> Settings | None:
    """The settings of a run folder, or the default ones, with these added; None where none is given."""
    asked = {
        "layout": layout,
        "strict": strict,
        "splits": absolute(splits),
        "snap_labels": snap_labels,
        "trust_grid": trust_grid,
        "axis4": axis4,
    }
    given = {name: value for name, value in asked.items() if value}
    if not given:
        return None
    run = Workspace(out).run
    before = records.read(run, Run).settings if run.exists() else Settings()
    return before.model_copy(update=given)


def absolute(path: Path | None) -> str | None:
    """A path that still says the same when the run is resumed from another folder."""
    return None if path is None else str(path.resolve())


def changed(
    out: Path,
    hours: float | None,
    preset: Preset | None,
    planner: str | None,
    device_gb: float | None,
    configurations: str | None,
    spacing: str | None,
    search: int | None,
) -> Settings | None:
    """The settings that a run folder was made with, but for those given here; None where none is given.

    Raises:
        UsageError: A value out of range, or no run folder.
        UnknownPlanner: No planner has that name.
    """
    if (hours, preset, planner, device_gb, configurations, spacing, search) == (None,) * 7:
        return None
    if not Workspace(out).run.exists():
        raise UsageError(f"{out}: not a run folder (no run.json); `autoseg dataset {out} --source SOURCE` makes one")
    before = records.read(Workspace(out).run, Run).settings
    registry.named(planner or before.planner)
    _require_hours(hours)
    _require_count(search or 0)
    update = {
        "hours": hours,
        "preset": preset,
        "planner": planner,
        "device_gb": _gigabytes(device_gb),
        "configurations": None if configurations is None else _names(configurations),
        "spacing_mm": None if spacing is None else _spacing(spacing),
        "search": search,
    }
    return before.model_copy(update={name: value for name, value in update.items() if value is not None})


def _require_hours(hours: float | None) -> None:
    if hours is not None and not 0 < hours < 10_000:
        raise UsageError(f"--hours {hours}: expected a number above 0, below 10000")


def _require_count(search: int) -> None:
    if search < 0:
        raise UsageError(f"--search {search}: expected a number of variants, e.g. 8, or 0 for no search")


def _gigabytes(number: float | None) -> float | None:
    if number is not None and not 0 < number < math.inf:
        raise UsageError(f"--device-gb {number}: expected a number above 0, e.g. 8")
    return number


def _names(text: str) -> tuple[ConfigurationName, ...]:
    known = get_args(ConfigurationName)
    names = tuple(name.strip() for name in text.split(","))
    if not set(names) <= set(known) or len(set(names)) < len(names):
        raise UsageError(f"--configurations {text}: expected some of {', '.join(known)}, separated by commas")
    return names  # type: ignore[return-value]


def _spacing(text: str) -> Spacing:
    try:
        z, y, x = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--spacing {text}: expected three numbers for z, y and x, e.g. 3,0.8,0.8") from None
    if not all(0 < mm < math.inf for mm in (z, y, x)):
        raise UsageError(f"--spacing {text}: expected mm above 0")
    return z, y, x
