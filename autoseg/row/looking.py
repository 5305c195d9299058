"""The dataset of a run folder: the one record whose input, the source folder, can change behind our back."""

from pathlib import Path

from autoseg import records
from autoseg.contracts import Dataset, Settings
from autoseg.events import Event, Notify
from autoseg.intake import stamping
from autoseg.row import opening, resume
from autoseg.row.keeping import Keeper
from autoseg.stages import dataset
from autoseg.workspace import Workspace


def look(source: Path, workspace: Workspace, settings: Settings, keeper: Keeper, notify: Notify) -> Dataset:
    """The stored dataset if the source is still the same, else what is there now.

    Args:
        source: The dataset's folder, or a table of cases in it.
        workspace: The run folder.
        settings: What was asked for.
        keeper: Of its records.
        notify: Told what was left out or repaired, and how the cases were split.

    Raises:
        ChangedInputs: The source or the settings changed, and nothing may be redone.
        AutosegError: Nothing can be learned from what is there.
    """
    folder, path = workspace.dataset, workspace.record("dataset")
    asked = resume.parents_of("dataset", settings)
    before = resume.stored(path, Dataset)
    if before is not None and before.parents != asked:
        keeper.allow("dataset", before.parents, asked)
    elif before is not None and stamping.unchanged(source, folder, settings):
        return before
    known = stamping.remembered(folder)
    with keeper.locked():
        found = resume.stamp(
            lambda: dataset.dataset(source, folder, settings, exclude=workspace.path, notify=notify), asked
        )
    if before is not None and records.digest(found) != records.digest(before):
        files = tuple(opening.changed_files(before, found, known, stamping.remembered(folder)))
        stamping.recall(folder, known)  # so that a refused change is seen again next time
        keeper.allow("dataset", opening.contents(before), opening.contents(found), files)
        stamping.remember(source, folder, settings)
    records.write(path, found)
    _tell(found, notify)
    return found


def _tell(found: Dataset, notify: Notify) -> None:
    for entry in found.audit.entries:
        if entry.verdict != "ok":
            said = "; ".join(filter(None, (entry.reason, entry.repair)))
            notify(Event(stage="dataset", what="warning", detail=f"{entry.verdict}: {entry.case}: {said}"))
    notify(Event(stage="dataset", what="note", detail=found.split.because))
