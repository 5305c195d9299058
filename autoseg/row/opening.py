"""Opening a run folder: may it be one, whose is it, and was the same asked for before?"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from autoseg import finetuning, folds, records
from autoseg.contracts import CaseScan, Dataset, Run, Settings
from autoseg.errors import UsageError
from autoseg.events import Event, Notify, silent
from autoseg.finetuning import Start
from autoseg.intake import traits
from autoseg.layouts import folder_of, require_source
from autoseg.layouts.tree import FileStamps
from autoseg.learn import device
from autoseg.row import other_settings
from autoseg.workspace import Workspace
from planners.contracts import Parent, Wishes


def check(workspace: Workspace, source: Path | None, settings: Settings | None = None) -> None:
    """Refuse what cannot be worked in or with, before anything is written.

    Raises:
        UsageError: The source is neither folder nor table; the output is the source, lies inside it, is not a run
            folder although it has content, or cannot be written; there is no such device, or no model to start from.
    """
    if settings is not None:
        device.resolve(settings.device)
        if settings.init is not None:
            finetuning.read(Path(settings.init))
    out = workspace.path
    if source is None:
        if not workspace.run.exists():
            raise UsageError(f"{out}: not a run folder (no run.json); `autoseg run SOURCE {out}` makes one")
        return
    require_source(source)
    root = folder_of(source.resolve())
    if out == root or root in out.parents:
        raise UsageError(
            f"{out}: the output folder lies inside the source {root}; choose one outside, sources are never written to"
        )
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: is a file; expected a folder, or a name that does not exist yet")
    if out.is_dir() and not workspace.run.exists() and _foreign(out):
        raise UsageError(f"{out}: not empty and not a run folder (no run.json); choose an empty or new folder")
    _make_writable(out)


def begin(
    workspace: Workspace, source: Path | None, settings: Settings | None, *, replan: bool, notify: Notify = silent
) -> Run:
    """Read or write ``run.json``. None stands for what the folder was made with.

    Args:
        workspace: The run folder.
        source: The dataset's folder, or a table of cases in it.
        settings: What is asked for.
        replan: What was made with another source or other settings may be redone.
        notify: Told of other settings that are taken because nothing has been trained yet.

    Raises:
        ChangedInputs: Another source, or other settings where something has been trained, and not ``replan``.
    """
    if not workspace.run.exists():
        if source is None:
            raise UsageError(f"{workspace.path}: no run.json and no source")
        run = Run(source=str(source.resolve()), settings=settings or Settings())
        records.write(workspace.run, run)
        return run
    run = records.read(workspace.run, Run)
    asked = run.model_copy(
        update={
            "source": run.source if source is None else str(source.resolve()),
            "settings": settings or run.settings,
        }
    )
    if asked == run:
        return run
    if not replan and (asked.source != run.source or workspace.trained):
        raise other_settings.refused(run, asked)
    if not replan:
        notify(Event(stage="settings", what="warning", detail=other_settings.taken(workspace, run, asked)))
    asked = asked.model_copy(update={"worked_s": 0.0})  # the hours asked for pay for what is redone
    records.write(workspace.run, asked)
    return asked


def divided(dataset: Dataset, scans: Sequence[CaseScan], count: int | None) -> Dataset:
    """The dataset with its development cases in ``count`` folds; None: as they are."""
    if count is None or count == len(dataset.split.folds):
        return dataset
    measured = {scan.case for scan in scans}
    candidates = traits.candidates((case for case in dataset.cases if case.case in measured), scans)
    return dataset.model_copy(update={"split": folds.divide_again(dataset.split, candidates, count)})


def without_holdout(dataset: Dataset) -> Dataset:
    """The dataset as if the hold-out cases did not exist, except that their names stay reserved in the split."""
    held_out = set(dataset.split.holdout)
    audit = dataset.audit.model_copy(
        update={"entries": tuple(entry for entry in dataset.audit.entries if entry.case not in held_out)}
    )
    labelled = {case.case for case in dataset.cases if case.labelled} - held_out
    return dataset.model_copy(
        update={
            "cases": tuple(case for case in dataset.cases if case.case in labelled),
            "contents": tuple(content for content in dataset.contents if content.case in labelled),
            "audit": audit.model_copy(update={"left_over": ()}),
            "parents": (),
        }
    )


def contents(dataset: Dataset) -> tuple[Parent, ...]:
    """What a dataset consists of, case by case: shows which cases changed."""
    facts = records.digest(dataset.model_copy(update={"cases": (), "contents": (), "parents": ()}))
    split = (Parent(name="channels, labels, split, audit", digest=facts),)
    return split + tuple(Parent(name=f"case {item.case}", digest=item.content) for item in dataset.contents)


def changed_files(before: Dataset, now: Dataset, was: FileStamps | None, wants: FileStamps | None) -> Iterator[str]:
    """The files of cases whose content changed, each with what became of it.

    Args:
        before: The dataset as it was.
        now: As it is.
        was: Its files then; None: not known any more, so none is named.
        wants: Its files now.
    """
    if was is None or wants is None:
        return
    contents = [{item.case: item.content for item in dataset.contents} for dataset in (before, now)]
    differing = {case for case in {**contents[0], **contents[1]} if contents[0].get(case) != contents[1].get(case)}
    concerned = {f for d in (before, now) for c in d.cases if c.case in differing for f in (*c.images, *c.label_files)}
    old, new = ({stamp.file: stamp for stamp in stamps.files} for stamps in (was, wants))
    for file in sorted(concerned):
        if file not in old:
            yield f"{file}: added"
        elif file not in new:
            yield f"{file}: removed"
        elif old[file] != new[file]:
            yield f"{file}: changed, {old[file].size_bytes:,} -> {new[file].size_bytes:,} bytes"


def _foreign(out: Path) -> bool:
    ours = {"budget.json", ".lock", ".lock.owner"}  # a budget may be brought along from another run
    return any(item.name not in ours for item in out.iterdir())


def _make_writable(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / f".probe-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise UsageError(f"{out}: cannot be written ({error.strerror}); choose another output folder") from error


def wishes(settings: Settings, dataset: Dataset, start: Start | None) -> Wishes:
    """What is not left to the planner: asked for, given by the source, or kept from the model to go on from.

    Args:
        settings: What was asked for.
        dataset: Its folds stay where they were given.
        start: The model that training starts from.
    """
    asked = settings.wishes
    if dataset.split.given:
        asked = asked.model_copy(update={"folds": len(dataset.split.folds)})
    return asked if start is None else asked.model_copy(update={"like": start.configuration})
