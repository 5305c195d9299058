"""Stage 1: from a raw folder to audited, split cases.

    look (layouts) ─▶ examine every case once (examination) ─▶ settle (consensus) ─▶ split (folds)

Each file is read once. While a worker holds image and label it judges and measures them and leaves the canonical
volumes of labelled cases under ``out``; later stages read those and the ``CaseScan`` instead of the source. One bad
file costs its case; when more than a fifth of the cases is bad, the stage fails and says which.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from autoseg import folds, layouts, records
from autoseg.contracts import (
    Audit,
    AuditEntry,
    Case,
    CaseContent,
    CaseScan,
    Channel,
    Dataset,
    Settings,
    Split,
)
from autoseg.errors import DataError, UnusableDataset
from autoseg.events import Event, Notify, silent
from autoseg.intake import (
    examination,
    frames,
    given_splits,
    outliers,
    quarantine,
    remarks,
    stamping,
    traits,
    workers,
    workload,
)
from autoseg.intake.agreeing import agree
from autoseg.intake.consensus import Change, Settled, same_channels, settle
from autoseg.intake.examination import Examined, Task
from autoseg.volumes.labels import index_dtype
from autoseg.workspace import DatasetFolder

algorithm_version = 4


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
        settings: Those that say how to read and divide the source; see ``row.resume.SETTINGS_OF``.
        exclude: A folder that does not count although it may lie in ``source``.
        notify: Told after each case.

    Raises:
        LayoutError: No cases can be made out.
        DataError: Too many cases are unusable, or the cases contradict each other.
        RefusedError: The folder's description points outside it.
        ResourceError: The disk is full.
    """
    before = stamping.now(source, settings, exclude)  # a file that changes while it is read is then seen as changed
    out.files.unlink(missing_ok=True)
    for stale in (out.path / "scans", out.path / "volumes", out.path / "quarantine"):
        if stale.exists():
            shutil.rmtree(stale)
    looked = look_at(source, settings, exclude=exclude, out=out, notify=notify)
    made, settled = looked.agreed()
    for change in settled.changes:
        _rewrite(out, change)
    for scan in _scans(settled):
        records.write(out.scan(scan.case), scan)
    _forget_quarantined(out, settled)
    records.write(out.files, before)
    return made


def inspect(source: Path, settings: Settings) -> tuple[Dataset, tuple[CaseScan, ...]]:
    """The same judgement without writing anything anywhere; raises the same errors."""
    made, settled = look_at(source, settings).agreed()
    return made, _scans(settled)


@dataclass(frozen=True)
class Looked:
    """What a look at a folder found, also where it cannot be used.

    Attributes:
        found: What the layout says.
        audit: Verdicts.
        scans: Of the usable cases.
        made: The data set; None where ``fatal`` says why there is none.
    """

    found: layouts.Found
    audit: Audit
    scans: tuple[CaseScan, ...]
    made: tuple[Dataset, Settled] | None = None
    fatal: DataError | None = None

    def agreed(self) -> tuple[Dataset, Settled]:
        """The data set, and how the cases agreed on it.

        Raises:
            DataError: There is none.
        """
        if self.made is None:
            raise self.fatal or DataError("no data set was made")
        return self.made


def look_at(
    source: Path,
    settings: Settings,
    *,
    exclude: Path | None = None,
    out: DatasetFolder | None = None,
    notify: Notify = silent,
) -> Looked:
    """Find and judge the cases of a folder; writes nothing but volumes below ``out``, if any.

    Raises:
        LayoutError: No cases can be made out.
        DataError: A description, or a split that was asked for, contradicts the folder.
        UsageError: Images have a fourth axis, and nothing says what it counts.
        RefusedError: The folder's description points outside it.
        ResourceError: The disk is full.
    """
    found, root = layouts.find(source, exclude, settings.layout), layouts.folder_of(source)
    found = frames.in_time(found, root) if settings.axis4 == "time" else found
    given = given_splits.asked(found.cases, root, settings.splits)
    channels = None if found.channels is None else len(found.channels)
    snap, trust = settings.snap_labels, settings.trust_grid
    tasks = [Task(root, case, channels, found.labels, out, snap, trust, settings.axis4) for case in found.cases]
    examined = _examine(tasks, notify)
    quarantine.require_axes_told(examined)
    try:
        settled = _settle(tasks, examined, found, snap=snap, notify=notify)
        quarantine.require_classes(settled.examined, found.labels)
        if settings.strict:
            quarantine.require_all(settled.examined)
        made = _record(found, settled, settings, given)
    except DataError as error:
        return _fatal(found, examined, error)
    return Looked(found, made.audit, _scans(settled), (made, settled))


def _settle(
    tasks: Sequence[Task], examined: Sequence[Examined], found: layouts.Found, *, snap: bool, notify: Notify
) -> Settled:
    """Bring all cases to one set of labels; the few that read differently in its light are examined again."""
    items, _ = same_channels(examined, None if found.channels is None else len(found.channels))
    together = agree(items, found.labels, names=found.label_names, snap=snap)
    again = [replace(task, agreed=together.agreed) for task in tasks if task.case.case in together.again]
    second = {item.case.case: item for item in _examine(again, notify)} if again else {}
    agreed = found.labels or (together.agreed.labels if together.agreed else None)
    settled = settle([second.get(item.case.case, item) for item in together.examined], found.channels, agreed)
    return replace(settled, notes=(*together.notes, *settled.notes))


def _fatal(found: layouts.Found, examined: Sequence[Examined], error: DataError) -> Looked:
    """What is known of a folder that cannot be used."""
    judged = error.entries if isinstance(error, UnusableDataset) and error.entries else map(quarantine.entry, examined)
    whole = AuditEntry(case=quarantine.WHOLE_DATASET, verdict="fatal", reason=str(error).partition("\n")[0].rstrip(":"))
    audit = Audit(
        entries=(*remarks.notes(found.notes), whole, *judged),
        left_over=found.left_over,
        left_over_because=found.left_over_because,
    )
    scans = tuple(item.scan for item in examined if item.scan is not None)
    return Looked(found, audit, scans, fatal=error)


def _examine(tasks: Sequence[Task], notify: Notify) -> list[Examined]:
    finished = 0

    def done(task: Task) -> None:
        nonlocal finished
        finished += 1
        notify(Event(stage="dataset", done=finished, total=len(tasks), unit="cases", detail=task.case.case))

    examined = workers.each(tasks, examination.examine, workers=workload.processes(tasks), died=_died, done=done)
    frames.forget()
    return examined


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


def _record(
    found: layouts.Found, settled: Settled, settings: Settings, given: given_splits.GivenSplit | None
) -> Dataset:
    scans = _scans(settled)
    cases = tuple(item.case for item in settled.examined if item.scan is not None)
    split = _split(found, cases, scans, settings, given)
    judged = _with_outliers(settled, split)
    return Dataset(
        layout=found.layout,
        dimension=2 if all(scan.shape[0] == 1 for scan in scans) else 3,
        channels=tuple(Channel(name=name) for name in settled.channels),
        labels=settled.labels,
        cases=cases,
        contents=tuple(CaseContent(case=scan.case, content=scan.content) for scan in scans),
        split=split,
        audit=Audit(
            entries=(*remarks.of_dataset(found, settled, split), *(quarantine.entry(item) for item in judged)),
            left_over=found.left_over,
            left_over_because=found.left_over_because,
        ),
    )


def _with_outliers(settled: Settled, split: Split) -> list[Examined]:
    """All cases, those unlike the development cases with a remark; what is typical, held-out cases do not say."""
    held_out = set(split.holdout)
    typical = [item for item in settled.usable if item.case.labelled and item.case.case not in held_out]
    odd = outliers.find(_scans(settled), {item.case.case for item in typical}, settled.channels)
    return [
        replace(item, findings=(*item.findings, *odd.get(item.case.case, ()))) if item.scan is not None else item
        for item in settled.examined
    ]


def _split(
    found: layouts.Found,
    cases: Sequence[Case],
    scans: Sequence[CaseScan],
    settings: Settings,
    given: given_splits.GivenSplit | None,
) -> Split:
    candidates = traits.candidates(cases, scans)
    hold_out = folds.draw(found.cases, settings.holdout, settings.seed)
    if given is not None:
        made = given_splits.divide(given, candidates, hold_out, seed=settings.seed)
    else:
        made = folds.split(candidates, hold_out, folds=settings.folds or folds.MOST_FOLDS, seed=settings.seed)
    return made.model_copy(update={"because": f"{found.grouping}; {made.because}"}) if found.grouping else made
