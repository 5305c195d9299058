"""The work on one case that may run in a process of its own: read, audit, translate the label, measure, store.

Only here may anything go wrong with a case without the others noticing: whatever happens becomes the case's verdict.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autoseg import records
from autoseg.contracts import Case, CaseScan, LabelSet
from autoseg.errors import AutosegError, DataError, DoesNotFit, LabelError, RefusedError, ResourceError
from autoseg.intake import auditing, scanning
from autoseg.intake.auditing import Finding, Loaded
from autoseg.labelling import MOST_LABELS, class_of, count_values, infer, to_classes
from autoseg.workspace import DatasetFolder

_DISK_RESERVE_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Task:
    """A case to examine.

    Attributes:
        root: Folder that the case's paths are relative to.
        case: The case.
        channels: Number of declared channels; None: nobody declared any.
        labels: Declared labels; None: the values that occur are the labels.
        out: Where the canonical volumes of labelled cases go; None: nowhere.
    """

    root: Path
    case: Case
    channels: int | None
    labels: LabelSet | None
    out: DatasetFolder | None


@dataclass(frozen=True)
class Examined:
    """What became of a case.

    Attributes:
        case: The case.
        findings: Repairs and remarks, in the order in which they were made.
        problem: Why the case cannot be used; empty: it can.
        scan: Measurements; None if it cannot be used.
        labels: The labels that the stored class indices refer to: the declared ones, or those of this case alone.
        channels: Channel names that the format knows.
        image_content: SHA-256 over the image files, to find duplicates.
        counts: Voxels per file value of the label.
    """

    case: Case
    findings: tuple[Finding, ...] = ()
    problem: str = ""
    scan: CaseScan | None = None
    labels: LabelSet | None = None
    channels: tuple[str, ...] = ()
    image_content: str = ""
    counts: tuple[tuple[int, int], ...] = ()


def examine(task: Task) -> Examined:
    """Examine one case; never raises for anything that is the case's own fault.

    Raises:
        ResourceError: The disk is full; no case would fare better.
        RefusedError: A file looks like an attack; whoever sent it may have sent more.
    """
    try:
        return _examine(task)
    except DoesNotFit as error:
        return Examined(task.case, problem=str(error))
    except (ResourceError, RefusedError):
        raise
    except AutosegError as error:
        return Examined(task.case, problem=str(error))
    except MemoryError:
        return Examined(task.case, problem="does not fit into memory; crop it, or use a machine with more memory")
    except Exception as error:  # noqa: BLE001  one of the three fences: a strange file must not stop the others
        return Examined(task.case, problem=f"could not be examined: {type(error).__name__}: {error}")


def _examine(task: Task) -> Examined:
    loaded = auditing.load(task.root, task.case)
    _check_channels(task, loaded)
    counts = {} if loaded.label is None else count_values(loaded.label)
    labels = task.labels or _labels_of(counts)
    classes = None if loaded.label is None else to_classes(loaded.label, class_of(labels))
    scan = scanning.scan(task.case.case, loaded, classes, tuple(counts), labels)
    remarks = _judge(loaded, scan, labels)
    if task.out is not None and classes is not None:
        store(task.out.image(task.case.case), loaded.image)
        store(task.out.label(task.case.case), classes)
    return Examined(
        case=task.case,
        findings=loaded.findings + remarks,
        scan=scan,
        labels=labels,
        channels=loaded.channels,
        image_content=loaded.image_content,
        counts=tuple(counts.items()),
    )


def _check_channels(task: Task, loaded: Loaded) -> None:
    grey_among_colours = task.channels == 3 and len(loaded.image) == 1 and len(task.case.images) == 1
    if task.channels in (None, len(loaded.image)) or grey_among_colours:
        return
    raise DataError(
        f"{len(loaded.image)} channels in {', '.join(task.case.images)}; expected {task.channels}; "
        "add the missing channel"
    )


def _labels_of(counts: dict[int, int]) -> LabelSet:
    if len(counts) > MOST_LABELS:
        raise LabelError(
            f"the label holds {len(counts)} different values from {min(counts)} to {max(counts)}; it looks like an "
            "image, not a mask; check that images and masks are not swapped"
        )
    return infer(counts)


def _judge(loaded: Loaded, scan: CaseScan, labels: LabelSet) -> tuple[Finding, ...]:
    """Remarks on what is legitimate but unusual.

    Raises:
        DataError: The label marks something in an image that shows nothing.
        LabelError: Nothing at all is annotated.
    """
    remarks = []
    empty = all(sketch is None for sketch in scan.foreground)
    if all(sketch.quantiles[0] == sketch.quantiles[-1] for sketch in scan.overall):
        value = scan.overall[0].quantiles[0]
        if loaded.label is not None and not empty:
            raise DataError(f"every voxel of the image is {value:g}, yet something is labelled; restore the image")
        remarks.append(Finding(f"every voxel of the image is {value:g}"))
    if loaded.label is None:
        remarks.append(Finding("no label: will be predicted only"))
    elif set(scan.label_values) == {labels.ignore_value}:
        raise LabelError("every voxel is marked as not annotated; nothing can be learned from this case")
    elif empty:
        remarks.append(Finding("the label is empty: a negative example"))
    return tuple(remarks)


def store(path: Path, array: np.ndarray) -> None:
    """Write a ``.npy`` that is either complete or absent.

    Raises:
        ResourceError: Not enough room on the disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    free, needed = shutil.disk_usage(path.parent).free, array.nbytes + _DISK_RESERVE_BYTES
    if free < needed:
        raise ResourceError(
            f"{path.parent}: {free / 2**20:.0f} MiB free, {needed / 2**20:.0f} MiB needed for the next volume; free "
            "some space, or choose an output folder on another disk"
        )
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with open(temporary, "wb") as file:
        np.save(file, array, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
    records.publish(temporary, path)
