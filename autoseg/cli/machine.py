"""``autoseg doctor``: what this machine is, and whether everything works on it."""

import typer

from autoseg.cli import options


def doctor(device: options.Device = "auto", as_json: options.Json = False) -> None:
    """Check the installation and measure the machine."""
    from autoseg.health import examine

    found = examine(device)
    if as_json:
        typer.echo(found.model_dump_json(indent=1))
    else:
        for check in found.checks:
            typer.echo(f"  {'ok ' if check.ok else 'BAD'}  {check.name:18s} {check.found}")
            if check.todo:
                typer.echo(f"       to do: {check.todo}")
    if not all(check.ok for check in found.checks):
        raise typer.Exit(4)
