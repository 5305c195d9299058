"""``autoseg inspect``: what is in a folder, what is wrong with it, what would be done. Writes nothing."""

import json

import typer

from autoseg.cli import options


def inspect(
    source: options.Source,
    snap_labels: options.SnapLabels = False,
    trust_grid: options.TrustGrid = False,
    as_json: options.Json = False,
) -> None:
    """Show what is in a folder, what is wrong with it and what would be done; writes nothing in it."""
    from autoseg.contracts import Settings
    from autoseg.inspection import inspect as look

    found = look(source, Settings(snap_labels=snap_labels, trust_grid=trust_grid))
    if as_json:
        typer.echo(found.model_dump_json(indent=1))
        return
    typer.echo(f"{source}: layout {found.layout}, {found.dimension}D, {found.cases} cases, {found.labelled} labelled")
    typer.echo(f"  channels:    {', '.join(found.channels)}")
    typer.echo(f"  labels:      {', '.join(f'{label.name} = {label.value}' for label in found.labels)}")
    typer.echo(f"  spacing mm:  {' x '.join(f'{s:.3g}' for s in found.spacing_mm) if found.spacing_mm else 'unknown'}")
    typer.echo(f"  orientation: {', '.join(found.orientation)}")
    for entry in found.audit:
        if entry.verdict != "ok" or entry.reason:
            verdict = "note" if entry.verdict == "ok" else entry.verdict
            what = f"; {entry.repair}" if entry.repair else ""
            typer.echo(f"  {verdict}: {entry.case}: {entry.reason}{what}")
    for path in found.left_over:
        typer.echo(f"  left over: {json.dumps(path)}")
