"""``autoseg inspect``: what is in a folder, what is wrong with it, what would be done. Writes nothing."""

import json

import typer

from autoseg.cli import options


def inspect(source: options.Source, layout: options.Layout = None, as_json: options.Json = False) -> None:
    """Show what is in a folder, what is wrong with it and what would be done; writes nothing in it."""
    from autoseg.contracts import Settings
    from autoseg.inspection import inspect as look

    found = look(source, Settings(layout=layout))
    if as_json:
        typer.echo(found.model_dump_json(indent=1))
        return
    counts = f"{found.cases} usable cases of {found.subjects} subjects, {found.labelled} labelled"
    typer.echo(f"{source}: layout {found.layout}, {found.dimension}D, {counts}")
    for one in found.examples:
        typer.echo(f"  e.g. {_on_one_line(one)}")
    typer.echo(f"  channels:    {', '.join(found.channels)}")
    typer.echo(f"  labels:      {', '.join(f'{label.name} = {label.value}' for label in found.labels)}")
    typer.echo(f"  spacing mm:  {' x '.join(f'{s:.3g}' for s in found.spacing_mm) if found.spacing_mm else 'unknown'}")
    typer.echo(f"  orientation: {', '.join(found.orientation)}")
    for entry in found.audit:
        if entry.verdict != "ok" or entry.reason:
            verdict = "note" if entry.verdict == "ok" else entry.verdict
            what = f"; {entry.repair}" if entry.repair else ""
            typer.echo(f"  {verdict}: {_on_one_line(f'{entry.case}: {entry.reason}{what}')}")
    for path, why in zip(found.left_over, found.left_over_because, strict=True):
        typer.echo(f"  left over: {json.dumps(path, ensure_ascii=False)}: {_on_one_line(why)}")


def _on_one_line(text: str) -> str:
    """Without control characters, which names of files may hold: no name can forge a line of its own."""
    return "".join(character if character.isprintable() else "?" for character in text)
