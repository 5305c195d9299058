"""How much there is to read, and how many processes that is worth."""

from collections.abc import Sequence
from pathlib import Path

from autoseg import formats, machine
from autoseg.formats import content
from autoseg.formats.volume import COPIES
from autoseg.intake.examination import Task

_PAYS_FROM_BYTES = 100 * 2**20  # less is read in the time that processes take to start
_ASKED = 16  # of the largest cases, how much they unfold
_MOST_WORKERS = 16


def processes(tasks: Sequence[Task]) -> int:
    """As many processes as pay for examining these and as fit into memory."""
    sizes = [sum(_bytes(task.root / file) for file in _files(task)) for task in tasks]
    if sum(sizes) < _PAYS_FROM_BYTES:
        return 1
    largest = sorted(zip(sizes, tasks, strict=True), key=lambda pair: pair[0])[-_ASKED:]
    unfolded = max(sum(content.unfolded_bytes(task.root / file) for file in _files(task)) for _, task in largest)
    fitting = machine.ram_bytes() // max(1, COPIES * unfolded)
    return max(1, min(machine.cores(), _MOST_WORKERS, int(fitting)))


def _files(task: Task) -> tuple[str, ...]:
    return (*task.case.images, *task.case.label_files)


def _bytes(file: Path) -> int:
    """Of a file; of a DICOM file, of all beside it: one of them may be its whole series, or one slice of it."""
    if not formats.is_dicom(file):
        return file.stat().st_size if file.is_file() else 0
    return sum(each.stat().st_size for each in file.parent.iterdir() if each.is_file())
