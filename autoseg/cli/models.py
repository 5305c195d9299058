"""Verbs that use a finished model: predict, evaluate."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from autoseg.cli import options
from autoseg.cli.progress import shown
from autoseg.errors import DataError


def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model folder, e.g. OUT/model.", show_default=False)],
    source: Annotated[
        Path, typer.Argument(metavar="INPUT", help="An image, a DICOM series, or a folder of them.", show_default=False)
    ],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="Folder for the masks.", show_default=False)],
    device: options.Device = "auto",
    tta: Annotated[
        Literal["auto", "none", "full"], typer.Option(help="Mirrored copies: auto (as selected), none or full.")
    ] = "auto",
    probabilities: Annotated[bool, typer.Option("--probabilities", help="Also write probabilities (.npz).")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace masks of another model.")] = False,
    contours: Annotated[
        bool, typer.Option("--contours", help="For DICOM series: RTSTRUCT instead of a segmentation.")
    ] = False,
    axis4: options.AxisFour = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 3 if an image is unlike those the model was made from.")
    ] = False,
) -> None:
    """Segment new images: masks on the input's exact grid, with the label values of the training data."""
    from autoseg import prediction
    from autoseg.cli import outcome

    with shown() as notify:
        made = prediction.predict_folder(
            model, source, output, prediction.Options(device, tta, probabilities, overwrite, contours, axis4), notify
        )
    strange = [case for case in made.cases if case.ood]
    for case in made.cases:
        for warning in case.warnings:
            typer.echo(f"warning: {case.case}: {warning}", err=True)
    for line in outcome.unused(made):
        typer.echo(line, err=True)
    done = sum(case.status == "done" for case in made.cases)
    for line in outcome.expected(made):
        typer.echo(line)
    for line in outcome.looks(made):
        typer.echo(line, err=True)
    typer.echo(f"{done} of {len(made.cases)} segmented, see {output}")
    if failed := outcome.failures(made):
        raise DataError("\n".join(failed))
    if strict and strange:
        told = (f"  {case.case}: {'; '.join(case.warnings)}" for case in strange)
        raise DataError("\n".join([f"{len(strange)} cases are unlike those the model was made from:", *told]))


def evaluate(
    predictions: Annotated[
        Path, typer.Argument(metavar="PREDICTIONS", help="Folder of predicted masks.", show_default=False)
    ],
    references: Annotated[
        Path,
        typer.Argument(
            metavar="REFERENCES", help="Folder of reference masks, or a DICOM tree with masks.", show_default=False
        ),
    ],
    groups: Annotated[
        Path | None,
        typer.Option(help="CSV with a column `case` or `subject` and some to group by, e.g. site: scores per group."),
    ] = None,
    tolerance_mm: Annotated[
        float | None, typer.Option(help="Surface distance NSD forgives. Default: twice the median in-plane spacing.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for all metrics: scores.json, cases.csv, means.csv.", show_default=False)
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Compare masks: Dice, NSD, HD95, volumes, lesions and more per label, with intervals over subjects.

    Masks are files of voxels, DICOM-SEG or RTSTRUCT. Structures of DICOM files are compared by name, others by value; a
    dataset.json or table beside the references gives values their names.
    """
    from autoseg.cli.tables import show_scores
    from autoseg.evaluation import comparison, tables

    with shown() as notify:
        scores = comparison.evaluate(predictions, references, tolerance_mm=tolerance_mm, groups=groups, notify=notify)
    written = () if out is None else tables.write(scores, out)
    if as_json:
        typer.echo(scores.model_dump_json(indent=1))
        return
    show_scores(scores)
    typer.echo(f"written to {out}: {', '.join(written)}" if written else "--out FOLDER writes all metrics of all cases")
