"""Verbs that work in a run folder: run, one stage, status, demo, benchmark. Heavy imports wait for the call."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autoseg.cli import options
from autoseg.cli.progress import shown
from autoseg.errors import UsageError
from autoseg.workspace import Workspace

if TYPE_CHECKING:
    from autoseg.contracts import Settings
    from autoseg.pipeline import Redo


def run(
    source: options.Source,
    out: options.Out,
    hours: options.Hours = None,
    preset: options.PresetName = "standard",
    device: options.Device = "auto",
    holdout: options.Holdout = 0.0,
    folds: options.Folds = None,
    seed: options.Seed = 0,
    deterministic: options.Deterministic = False,
    planner: options.Planner = "auto",
    device_gb: options.DeviceGb = None,
    configurations: options.Configurations = None,
    spacing: options.SpacingMm = None,
    snap_labels: options.SnapLabels = False,
    trust_grid: options.TrustGrid = False,
    strict: options.Strict = False,
    splits: options.Splits = None,
    layout: options.Layout = None,
    axis4: options.AxisFour = None,
    init: options.Init = None,
    search: options.Search = 0,
    replan: options.Replan = False,
    keep_plan: options.KeepPlan = False,
) -> None:
    """Plan, train, cross-validate, select, predict and report; resumes what was interrupted."""
    asked = options.settings(
        hours,
        preset,
        device,
        holdout,
        folds,
        seed,
        deterministic,
        planner,
        device_gb,
        configurations,
        spacing,
        snap_labels,
        trust_grid,
        strict,
        splits,
        layout,
        axis4,
        init,
        search,
    )
    redo = _redo(replan, keep_plan)
    from autoseg import pipeline

    with shown() as notify:
        made = pipeline.run(source, out, asked, redo=redo, notify=notify)
    typer.echo(made.headline)
    typer.echo(f"report: {out / made.page}")
    typer.echo(f"model:  {out / 'model'}")
    _tell_failures(out)


def dataset(
    out: options.Out,
    source: Annotated[Path | None, typer.Option(help="Needed when OUT is new.", show_default=False)] = None,
    layout: options.Layout = None,
    strict: options.Strict = False,
    splits: options.Splits = None,
    snap_labels: options.SnapLabels = False,
    trust_grid: options.TrustGrid = False,
    axis4: options.AxisFour = None,
    replan: options.Replan = False,
) -> None:
    """Find the cases, audit and split them."""
    asked = options.reading(out, layout, strict, splits, snap_labels, trust_grid, axis4)
    _stage("dataset", out, replan, source, asked)


def fingerprint(out: options.RunFolder, replan: options.Replan = False) -> None:
    """Summarise what planning must know of the data."""
    _stage("fingerprint", out, replan)


def plan(
    out: options.RunFolder,
    hours: options.AnotherHours = None,
    preset: options.AnotherPreset = None,
    planner: options.AnotherPlanner = None,
    device_gb: options.DeviceGb = None,
    configurations: options.Configurations = None,
    spacing: options.SpacingMm = None,
    search: options.AnotherSearch = None,
    verify: Annotated[bool, typer.Option("--verify", help="Try it: a few steps on noise, estimate against truth.")] = (
        False
    ),
    replan: options.Replan = False,
    as_json: options.Json = False,
) -> None:
    """Choose spacing, patch, network and schedule, and say why; plans anew where an option asks for something else."""
    from autoseg import pipeline
    from autoseg.cli import tables
    from autoseg.row.verification import verify as dry_runs

    asked = options.changed(out, hours, preset, planner, device_gb, configurations, spacing, search)
    with shown() as notify, pipeline.opened(out, settings=asked, redo=_replanning(out, replan), notify=notify) as row:
        made = row.plan
        tried = dry_runs(made, row.dataset.labels, row.planning.budget.device, notify) if verify else ()
    if as_json:
        shown_records = tried if verify else (made,)
        typer.echo("\n".join(record.model_dump_json(indent=None if verify else 1) for record in shown_records))
        return
    tables.show_plan(made)
    if verify:
        tables.show_dry_runs(tried)


def preprocess(out: options.RunFolder, replan: options.Replan = False) -> None:
    """Crop, normalise and resample the cases."""
    _stage("preprocess", out, replan)


def train(
    out: options.RunFolder,
    configuration: Annotated[str | None, typer.Option(help="Together with --fold: one job only.")] = None,
    fold: Annotated[int | None, typer.Option(help="Together with --configuration: one job only.")] = None,
    replan: options.Replan = False,
) -> None:
    """Train all open jobs, or one; several processes can share a run folder, a job each, or (torchrun) one job."""
    if (configuration is None) != (fold is None):
        raise UsageError("--configuration and --fold go together: give both for one job, none for all")
    from autoseg import pipeline

    with shown() as notify, pipeline.opened(out, alone=False, redo=_redo(replan, False), notify=notify) as row:
        made = row.train if configuration is None or fold is None else row.training.one(configuration, fold)
    for model in made:
        typer.echo(f"{model.configuration}/fold_{model.fold}: {model.steps} steps in {model.seconds:.0f} s")


def crossvalidate(out: options.RunFolder, replan: options.Replan = False) -> None:
    """Score the out-of-fold predictions on whole volumes."""
    _stage("crossvalidate", out, replan)


def select(out: options.RunFolder, replan: options.Replan = False) -> None:
    """Choose ensemble and post-processing; write the model."""
    _stage("model", out, replan)


def report(out: options.RunFolder, replan: options.Replan = False) -> None:
    """Predict what is left and write the page."""
    _stage("report", out, replan)
    _tell_failures(out)


STAGE_COMMANDS = (dataset, fingerprint, plan, preprocess, train, crossvalidate, select, report)


def status(out: options.RunFolder, as_json: options.Json = False) -> None:
    """What is done, what is open, and how long it took."""
    from autoseg.cli import outcome
    from autoseg.status import status as look

    found = look(out)
    if as_json:
        typer.echo(found.model_dump_json(indent=1))
        return
    for line in outcome.progress(out, found):
        typer.echo(line)


def demo(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for made-up data and run.")] = Path("demo"),
    hours: Annotated[float, typer.Option(help="Upper bound on wall-clock hours.")] = 0.05,
) -> None:
    """Run the whole row on made-up volumes, in a few minutes, to see that everything works here."""
    from autoseg import phantoms

    source = out / "phantoms"
    if not (source / "dataset.json").exists():
        phantoms.write_msd(source, cases=12)
    run(source, out / "run", hours=hours, preset="standard", holdout=0.25, folds=3, seed=1)


def benchmark(
    tasks: Annotated[
        Path, typer.Argument(metavar="TASKS", help="Folder that holds dataset folders.", show_default=False)
    ],
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="One run folder per task, and the table.", show_default=False)
    ],
    hours: options.Hours = None,
    preset: options.PresetName = "standard",
    device: options.Device = "auto",
    holdout: options.Holdout = 0.2,
    folds: options.Folds = None,
    seed: options.Seed = 0,
    deterministic: options.Deterministic = False,
    planner: options.Planner = "auto",
    device_gb: options.DeviceGb = None,
) -> None:
    """Take every dataset folder under TASKS through the row and leave one table; resumable."""
    asked = options.settings(hours, preset, device, holdout, folds, seed, deterministic, planner, device_gb)
    from autoseg.benchmark import benchmark as run_all

    with shown() as notify:
        table = run_all(tasks, out, asked, notify)
    typer.echo(table.read_text())


def _stage(
    attribute: str, out: Path, replan: bool, source: Path | None = None, settings: "Settings | None" = None
) -> None:
    from autoseg import pipeline

    with shown() as notify, pipeline.opened(out, source, settings, redo=_redo(replan, False), notify=notify) as row:
        getattr(row, attribute)
    typer.echo(f"{attribute}: done, see {out}")


def _tell_failures(out: Path) -> None:
    """Cases without a label, or held out, that could not be predicted: nobody should have to look for that."""
    from autoseg import records
    from autoseg.cli import outcome
    from autoseg.contracts import Prediction

    made = records.read(Workspace(out).record("predict"), Prediction)
    for line in outcome.failures(made):
        typer.echo(line, err=True)


def _replanning(out: Path, replan: bool) -> "Redo":
    """Planning anew loses nothing while nothing has been trained, by a search neither."""
    return _redo(replan or not Workspace(out).trained, False)


def _redo(replan: bool, keep_plan: bool) -> "Redo":
    if replan and keep_plan:
        raise UsageError("--replan and --keep-plan contradict each other; give one")
    return "all" if replan else "keep-plan" if keep_plan else "nothing"
