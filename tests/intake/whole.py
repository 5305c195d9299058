"""The dataset stage as a whole, on folders made for a test."""

from pathlib import Path

import numpy as np

from autoseg import layouts, records
from autoseg.contracts import Case, CaseScan, Dataset, LabelSet, Settings, StructureFile
from autoseg.layouts.found import Found
from autoseg.stages import dataset as stage
from autoseg.workspace import DatasetFolder


def run(source: Path, out: DatasetFolder, **settings) -> Dataset:
    return stage.dataset(source, out, Settings(**settings))


def entry(made: Dataset, case: str):
    [found] = [entry for entry in made.audit.entries if entry.case == case]
    return found


def notes(made: Dataset) -> str:
    return "\n".join(entry.reason for entry in made.audit.entries if entry.case == "(all)")


def stored(out: DatasetFolder, case: str):
    return np.load(out.image(case)), np.load(out.label(case))


def scan(out: DatasetFolder, case: str) -> CaseScan:
    return records.read(out.scan(case), CaseScan)


def one_file_per_structure(monkeypatch, cases: dict[str, dict[str, str]], labels: LabelSet | None = None) -> None:
    """Let the folder be understood as cases with the given structure files by name."""
    found = Found(
        layout="cases",
        channels=None,
        labels=labels,
        cases=tuple(
            Case(
                case=name,
                subject=name,
                images=(f"{name}/image.nii.gz",),
                structures=tuple(StructureFile(name=n, file=f) for n, f in files.items()),
            )
            for name, files in cases.items()
        ),
    )
    monkeypatch.setattr(layouts, "find", lambda source, exclude=None, layout=None: found)
