"""What is told of a file as soon as it is read, before it is compared with anything else."""

from pathlib import Path

from autoseg.formats import Structures, Volume
from autoseg.intake.findings import Finding
from autoseg.intake.placing import Report


def tell(root: Path, file: str, found: Volume | Structures, report: Report) -> None:
    """Report what was odd about a file and what was put right."""
    if not (root / file).resolve().is_relative_to(root.resolve()):
        report(Finding(f"{file} is a link that leads out of the folder; it is only read"))
    for note in found.notes:
        report(Finding(f"{file}: {note}"))
    for reason, repair in found.repairs if isinstance(found, Volume) else ():
        report(Finding(f"{file}: {reason}", repair))
