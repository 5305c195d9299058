"""The files that a data set was read from, as they were then: whether any has changed since."""

from pathlib import Path

from autoseg import records
from autoseg.contracts import Settings
from autoseg.errors import DataError
from autoseg.layouts.tree import FileStamps, Tree, look, stamps
from autoseg.workspace import DatasetFolder


def unchanged(source: Path, out: DatasetFolder, settings: Settings = Settings()) -> bool:
    """Whether every file below ``source`` still has the size and modification time it had when it was read."""
    before = remembered(out)
    return before is not None and before == now(source, settings)


def remembered(out: DatasetFolder) -> FileStamps | None:
    """The files as they were when they were read; None where that is not known."""
    try:
        return records.read(out.files, FileStamps)
    except (FileNotFoundError, DataError):
        return None


def remember(source: Path, out: DatasetFolder, settings: Settings = Settings()) -> None:
    """Take the files below ``source``, as they are now, for those that were read."""
    records.write(out.files, now(source, settings))


def recall(out: DatasetFolder, before: FileStamps | None) -> None:
    """Take the files as ``remembered`` gave them for those that were read."""
    if before is None:
        out.files.unlink(missing_ok=True)
    else:
        records.write(out.files, before)


def now(source: Path, settings: Settings, exclude: Path | None = None) -> FileStamps:
    """The files that the data set is made from, as they are now; a file of folds may lie elsewhere.

    Args:
        source: The dataset's folder, or a table of cases in it.
        settings: Name the file of folds, if any.
        exclude: A folder that does not count although it may lie in ``source``.
    """
    here = stamps(look(source, exclude))
    if settings.splits is None:
        return here
    folds_file = Path(settings.splits).resolve()
    return FileStamps(files=(*here.files, *stamps(Tree(folds_file.parent, (folds_file.name,))).files))
