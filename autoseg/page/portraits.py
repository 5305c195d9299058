"""Pictures of typical cases: the best, the median and the worst."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from autoseg.contracts import LabelSet
from autoseg.errors import AutosegError
from autoseg.events import Event, Notify
from autoseg.page import tables
from autoseg.page.camera import Modality, Panel
from autoseg.page.overlays import OverlayInput, panels
from autoseg.page.tables import CaseRow


@dataclass(frozen=True)
class Portrait:
    """A typical case with its pictures, or the reason why there are none."""

    title: str
    row: CaseRow
    panels: tuple[Panel, ...]
    problem: str = ""


def portraits(
    rows: Sequence[CaseRow], labels: LabelSet, modality: Modality, load: Callable[[str], OverlayInput], notify: Notify
) -> tuple[Portrait, ...]:
    """Take them.

    Args:
        rows: Scored cases, the worst first.
        labels: Of the data.
        modality: For the brightness.
        load: A case's arrays by its name; an ``AutosegError`` is told instead of a picture.
        notify: Told after each case.
    """
    chosen = tables.typical(rows)
    made = []
    for number, (title, row) in enumerate(chosen, start=1):
        try:
            made.append(Portrait(title, row, panels(load(row.case), labels, modality)))
        except AutosegError as error:
            made.append(Portrait(title, row, (), str(error)))
        notify(Event(stage="report", done=number, total=len(chosen), unit="pictures"))
    return tuple(made)
