"""``autoseg inspect``: what is in a folder, what is wrong with it, what would be done. Writes nothing."""

import typer

from autoseg.cli import options
from autoseg.errors import DataError


def inspect(
    source: options.Source,
    layout: options.Layout = None,
    strict: options.Strict = False,
    splits: options.Splits = None,
    snap_labels: options.SnapLabels = False,
    trust_grid: options.TrustGrid = False,
    axis4: options.AxisFour = None,
    as_json: options.Json = False,
) -> None:
    """Show what is in a folder, what is wrong with it and what would be done; writes nothing in it."""
    from autoseg.cli import tables
    from autoseg.contracts import Settings
    from autoseg.inspection import inspect as look

    asked = Settings(
        layout=layout,
        strict=strict,
        splits=options.absolute(splits),
        snap_labels=snap_labels,
        trust_grid=trust_grid,
        axis4=axis4,
    )
    found = look(source, asked)
    if as_json:
        typer.echo(found.model_dump_json(indent=1))
    else:
        tables.show_inspection(str(source), found)
    if found.fatal:
        raise DataError(f"{source}: {found.fatal}")
