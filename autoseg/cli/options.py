"""Each option once: its name is the field of the record it sets."""

from pathlib import Path
from typing import Annotated

import typer

from autoseg.contracts import Settings
from autoseg.errors import UsageError
from planners.contracts import Preset

Source = Annotated[Path, typer.Argument(help="Folder with images and masks, in any layout.", show_default=False)]
Out = Annotated[Path, typer.Argument(help="Run folder: new, empty, or one to resume.", show_default=False)]
Hours = Annotated[
    float | None, typer.Option(help="Upper bound on wall-clock hours, summed over restarts. Default: by preset.")
]
PresetName = Annotated[Preset, typer.Option(help="What to buy: fast (one configuration), standard, or max (all).")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
Holdout = Annotated[float, typer.Option(help="Share of subjects set apart for one final, honest score.")]
Folds = Annotated[int, typer.Option(help="Folds of the cross-validation.")]
Seed = Annotated[int, typer.Option(help="Of the split, the networks, the sampling and the search.")]
Deterministic = Annotated[
    bool, typer.Option("--deterministic", help="Same plan, seed, machine and versions: same weights and masks.")
]
Planner = Annotated[str, typer.Option(help="Which planner chooses.")]
DeviceGb = Annotated[
    float | None, typer.Option(help="Memory to plan for, in GB. Default: what is free, or what the planner assumes.")
]
Replan = Annotated[bool, typer.Option("--replan", help="Redo what depends on changed data or settings.")]
KeepPlan = Annotated[bool, typer.Option("--keep-plan", help="Redo changed cases and training under the present plan.")]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


def settings(
    hours: float | None,
    preset: Preset,
    device: str,
    holdout: float,
    folds: int,
    seed: int,
    deterministic: bool,
    planner: str,
    device_gb: float | None,
) -> Settings:
    """Check what was typed.

    Raises:
        UsageError: A value out of range; the message says which values are allowed.
    """
    if hours is not None and not 0 < hours < 10_000:
        raise UsageError(f"--hours {hours}: expected a number above 0")
    if not 0 <= holdout < 1:
        raise UsageError(f"--holdout {holdout}: expected a share from 0 to below 1, e.g. 0.2")
    if device_gb is not None and not device_gb > 0:
        raise UsageError(f"--device-gb {device_gb}: expected a number above 0, e.g. 8")
    if folds < 2:
        raise UsageError(f"--folds {folds}: expected 2 or more")
    return Settings(
        hours=hours,
        preset=preset,
        device=device,
        holdout=holdout,
        folds=folds,
        seed=seed,
        deterministic=deterministic,
        planner=planner,
        device_gb=device_gb,
    )
