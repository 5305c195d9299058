"""Stage 1: from a raw folder to audited, split cases.

    look (layouts) ─▶ examine every case once (examination) ─▶ settle (consensus) ─▶ split (folds)

Each file is read once. While a worker holds image and label it judges and measures them and leaves the canonical
volumes of labelled cases under ``out``; later stages read those and the ``CaseScan`` instead of the source. One bad
file costs its case; when more than a fifth of the cases is bad, the stage fails and says which.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil

from autoseg import folds, layouts, records
from autoseg.contracts import (
    Audit,
    AuditEntry,
    Case,
    CaseContent,
    CaseScan,
    Channel,
    Dataset,
    LabelSet,
    Settings,
    Split,
)
from autoseg.errors import DataError
from autoseg.events import Event, Notify, silent
from autoseg.intake import examination, workers
from autoseg.intake.consensus import Change, Settled, settle
from autoseg.intake.examination import Examined, Task
from autoseg.intake.quarantine import WHOLE_DATASET, entry
from autoseg.layouts.tree import FileStamps, look, stamps
from autoseg.volumes.labels import index_dtype
from autoseg.workspace import DatasetFolder

algorithm_version = 1

_PAYS_FROM_BYTES = 100 * 2**20  # less is read in the time that processes take to start
_MEMORY_PER_FILE_BYTE = 30  # compressed files unfold, and a case is held several times while it is measured
_MOST_WORKERS = 16


def dataset(
    source: Path,
    out: DatasetFolder,
    settings: Settings,
    *,
    exclude: Path | None = None,
    notify: Notify = silent,
) -> Dataset:
    """Find, audit, store and split the cases of a folder.

    Args:
        source: The raw folder, or a table of cases in it; never written to.
        out: Gets ``scans/``, ``volumes/`` and, when all is done, ``files.json``.
        settings: ``holdout``, ``folds``, ``seed`` and ``layout`` are used.
        exclude: A folder that does not count although it may lie in ``source``.
        notify: Told after each case.

    Raises:
        LayoutError: No cases can be made out.
        DataError: Too many cases are unusable, or the cases contradict each other.
        RefusedError: The folder's description points outside it.
        ResourceError: The disk is full.
    """
    before = stamps(look(source, exclude))  # a file that changes while it is read is then seen as changed
    out.files.unlink(missing_ok=True)
    for stale in (out.path / "scans", out.path / "volumes"):
        if stale.exists():
            shutil.rmtree(stale)
    found, settled = _look_and_settle(source, exclude, settings.layout, out, notify)
    for change in settled.changes:
        _rewrite(out, change)
    for scan in _scans(settled):
        records.write(out.scan(scan.case), scan)
    _forget_quarantined(out, settled)
    records.write(out.files, before)
    return _record(found, settled, settings)


def inspect(source: Path, settings: Settings) -> tuple[Dataset, tuple[CaseScan, ...]]:
    """The same judgement without writing anything anywhere; raises the same errors."""
    found, settled = _look_and_settle(source, None, settings.layout, None, silent)
    return _record(found, settled, settings), _scans(settled)


def unchanged(source: Path, out: DatasetFolder) -> bool:
    """Whether every file below ``source`` still has the size and modification time it had when it was read."""
    try:
        before = records.read(out.files, FileStamps)
    except (FileNotFoundError, DataError):
        return False
    return before == stamps(look(source))


def remember(source: Path, out: DatasetFolder) -> None:
    """Take the files below ``source``, as they are now, for those that were read."""
    records.write(out.files, stamps(look(source)))


def _look_and_settle(
    source: Path, exclude: Path | None, layout: str | None, out: DatasetFolder | None, notify: Notify
) -> tuple[layouts.Found, Settled]:
    found = layouts.find(source, exclude, layout)
    channels = None if found.channels is None else len(found.channels)
    tasks = [Task(layouts.folder_of(source), case, channels, found.labels, out) for case in found.cases]
    examined = _examine(tasks, notify)
    return found, settle(examined, found.channels, found.labels, found.label_names)


def _examine(tasks: Sequence[Task], notify: Notify) -> list[Examined]:
    finished = 0

    def done(task: Task) -> None:
        nonlocal finished
        finished += 1
        notify(Event(stage="dataset", done=finished, total=len(tasks), unit="cases", detail=task.case.case))

    return workers.each(tasks, examination.examine, workers=_processes(tasks), died=_died, done=done)


def _processes(tasks: Sequence[Task]) -> int:
    """As many processes as pay and as fit into memory."""
    sizes = [sum(_bytes(task.root / file) for file in (*task.case.images, *task.case.label_files)) for task in tasks]
    if sum(sizes) < _PAYS_FROM_BYTES:
        return 1
    fitting = psutil.virtual_memory().available // (_MEMORY_PER_FILE_BYTE * max(sizes))
    return max(1, min(workers.cores(), _MOST_WORKERS, int(fitting)))


def _bytes(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0


def _died(task: Task) -> Examined:
    return Examined(task.case, problem="the process that read it died (out of memory, or a crash of the file reader)")


def _rewrite(out: DatasetFolder, change: Change) -> None:
    """Bring a stored case to the agreed channels and class indices."""
    image, label = out.image(change.case), out.label(change.case)
    if not label.exists():
        return
    if change.repeat > 1:
        examination.store(image, np.repeat(np.load(image, allow_pickle=False), change.repeat, axis=0))
    if change.classes is not None:
        table = np.array(change.classes, index_dtype(max(change.classes)))
        examination.store(label, table[np.load(label, allow_pickle=False)])


def _forget_quarantined(out: DatasetFolder, settled: Settled) -> None:
    for item in settled.examined:
        if item.problem:
            out.image(item.case.case).unlink(missing_ok=True)
            out.label(item.case.case).unlink(missing_ok=True)


def _scans(settled: Settled) -> tuple[CaseScan, ...]:
    return tuple(item.scan for item in settled.examined if item.scan is not None)


def _record(found: layouts.Found, settled: Settled, settings: Settings) -> Dataset:
    scans = _scans(settled)
    cases = tuple(item.case for item in settled.examined if item.scan is not None)
    return Dataset(
        layout=found.layout,
        dimension=2 if all(scan.shape[0] == 1 for scan in scans) else 3,
        channels=tuple(Channel(name=name) for name in settled.channels),
        labels=settled.labels,
        cases=cases,
        contents=tuple(CaseContent(case=scan.case, content=scan.content) for scan in scans),
        split=_split(found, cases, scans, settings),
        audit=Audit(
            entries=(*_remarks(found, settled.labels, scans), *(entry(item) for item in settled.examined)),
            left_over=found.left_over,
            left_over_because=found.left_over_because,
        ),
    )


def _split(found: layouts.Found, cases: Sequence[Case], scans: Sequence[CaseScan], settings: Settings) -> Split:
    candidates = [
        folds.Candidate(case.case, case.subject, tuple(target.voxels for target in scan.targets))
        for case, scan in zip(cases, scans, strict=True)
        if case.labelled
    ]
    hold_out = folds.draw(found.cases, settings.holdout, settings.seed)
    made = folds.split(candidates, hold_out, folds=settings.folds, seed=settings.seed)
    return made.model_copy(update={"because": f"{found.grouping}; {made.because}"}) if found.grouping else made


def _remarks(found: layouts.Found, labels: LabelSet, scans: Sequence[CaseScan]) -> tuple[AuditEntry, ...]:
    """What concerns the whole data set: how the folder was understood, and labels that nobody drew."""
    remarks = list(found.notes)
    drawn = {target.name for scan in scans for target in scan.targets if target.voxels}
    remarks += [f"{name} is declared but occurs in no case" for name in labels.targets if name not in drawn]
    unlabelled = sum(not case.labelled for case in found.cases)
    if unlabelled:
        remarks.append(f"{unlabelled} of {len(found.cases)} cases have no label and are only predicted")
    return tuple(AuditEntry(case=WHOLE_DATASET, verdict="ok", reason=remark) for remark in remarks)
