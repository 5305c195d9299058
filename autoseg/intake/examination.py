"""The work on one case that may run in a process of its own: read, audit, translate the label, measure, store.

Only here may anything go wrong with a case without the others noticing: whatever happens becomes the case's verdict.
"""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from autoseg import formats, records
from autoseg.contracts import Axis4, Case, CaseScan, Coding, LabelSet
from autoseg.errors import AutosegError, DataError, DoesNotFit, LabelError, RefusedError, ResourceError
from autoseg.intake import auditing, picture, scanning, targets
from autoseg.intake.auditing import Finding, Loaded, MisplacedLabel, Reading
from autoseg.intake.axis4 import OpenAxis4
from autoseg.intake.classing import Agreed, Undeclared, classify
from autoseg.intake.drawing import Drawing
from autoseg.intake.masks import Annotation, LooksLikeImage
from autoseg.intake.structures import Combination
from autoseg.intake.values import Tally
from autoseg.labelling import MOST_LABELS, as_whole_numbers, count_values
from autoseg.volumes import identity
from autoseg.workspace import DatasetFolder

_DISK_RESERVE_BYTES = 256 * 2**20
_MASK_VALUES = 64  # an image of fewer grey levels may be a mask


@dataclass(frozen=True)
class Task:
    """A case to examine.

    Attributes:
        root: Folder that the case's paths are relative to.
        case: The case.
        channels: Number of declared channels; None: nobody declared any.
        labels: Declared labels; None: the values that occur are the labels.
        out: Where the canonical volumes of labelled cases go; None: nowhere.
        snap: Stray values become the nearest label, however many there are.
        trust_grid: A label of the image's shape is taken voxel for voxel.
        axis4: What a fourth axis of images counts; None: as files and declarations tell.
        agreed: What an earlier look at all cases led to; None at the first look.
    """

    root: Path
    case: Case
    channels: int | None
    labels: LabelSet | None
    out: DatasetFolder | None
    snap: bool = False
    trust_grid: bool = False
    axis4: Axis4 | None = None
    agreed: Agreed | None = None

    @property
    def reading(self) -> Reading:
        """What of it concerns the reading of files."""
        declared = self.labels is not None and self.labels.coding == "values"
        return Reading(self.snap, self.trust_grid, declared, self.channels, self.axis4)


@dataclass(frozen=True)
class Examined:
    """What became of a case.

    Attributes:
        case: The case.
        findings: Repairs and remarks, in the order in which they were made.
        problem: Why the case cannot be used; empty: it can.
        scan: Measurements; None if it cannot be used.
        labels: The labels that the stored class indices refer to: the declared ones, or those of this case alone; None
            where they are numbers of combinations.
        channels: Channel names that the format knows.
        image_content: The same for images with the same voxels, however they are stored.
        tallies: Voxels per value of the label.
        coding: How its files hold the label.
        names: What the label's file itself calls its values.
        nearest: Stray values that were taken for labels.
        combinations: What the stored class indices stand for where masks may overlap.
        swapped: The label looks like an image, and the image like a label.
        undeclared: Values of the label that make the case unusable because they are not declared.
        lost_values: Values of the label of a case that cannot be used for another reason than its label.
        lost_structures: The same for masks that may overlap: what is drawn there.
        open_axis4: Length of a fourth axis of which nothing says what it counts, for which it cannot be used; 0: none.
    """

    case: Case
    findings: tuple[Finding, ...] = ()
    problem: str = ""
    scan: CaseScan | None = None
    labels: LabelSet | None = None
    channels: tuple[str, ...] = ()
    image_content: str = ""
    tallies: tuple[Tally, ...] = ()
    coding: Coding = "values"
    nearest: Mapping[int, int] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict)
    combinations: tuple[Combination, ...] | None = None
    swapped: bool = False
    undeclared: tuple[int, ...] = ()
    lost_values: tuple[int, ...] = ()
    lost_structures: tuple[str, ...] = ()
    open_axis4: int = 0

    @property
    def counts(self) -> tuple[tuple[int, int], ...]:
        """Voxels per value of the label."""
        return tuple((tally.value, tally.voxels) for tally in self.tallies)


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
    except LabelError as error:
        return Examined(task.case, problem=str(error))
    except AutosegError as error:
        return _without(task, str(error))
    except MemoryError:
        return Examined(task.case, problem="does not fit into memory; crop it, or use a machine with more memory")
    except Exception as error:  # noqa: BLE001  one of the three fences: a strange file must not stop the others
        return Examined(task.case, problem=f"could not be examined: {type(error).__name__}: {error}")


def _examine(task: Task) -> Examined:
    """Examine, and where the label does not fit, look for what helps to understand why."""
    try:
        return _measured(task)
    except MisplacedLabel as error:
        return _drawn(task, error)
    except Undeclared as error:
        return Examined(task.case, problem=str(error), undeclared=error.values)
    except OpenAxis4 as error:
        return replace(_without(task, str(error)), open_axis4=error.extent)
    except LooksLikeImage as error:
        return _doubtful(task, error)


def _measured(task: Task) -> Examined:
    loaded = auditing.load(task.root, task.case, task.reading)
    _check_channels(task, loaded)
    if loaded.annotation is None:
        return _unlabelled(task.case, loaded, Finding("no label: will be predicted only"))
    if loaded.annotation.combined is not None:
        return _with_structures(task, loaded)
    return _with_values(task, loaded, loaded.annotation)


def _unlabelled(case: Case, loaded: Loaded, why: Finding) -> Examined:
    scan = scanning.scan(case.case, loaded, None, (), ())
    return Examined(
        case=case.without_label(),
        findings=(*loaded.findings, *_without_contrast(scan, drawn=False), why),
        scan=scan,
        channels=loaded.channels,
        image_content=identity.of_image(loaded.image),
    )


def _with_structures(task: Task, loaded: Loaded) -> Examined:
    """A case of masks that may overlap; what the combinations mean is settled with the other cases."""
    combined = loaded.annotation.combined if loaded.annotation else None
    if combined is None:
        raise ValueError("no combinations")
    inside = scanning.foreground(Drawing.of(combined.numbers), len(combined.combinations))
    scan = scanning.scan(task.case.case, loaded, inside, (), combined.targets)
    remarks = _without_contrast(scan, drawn=bool(combined.combinations))
    if not combined.combinations:
        remarks = (*remarks, Finding("the label is empty: a negative example"))
    kind = np.uint8 if len(combined.combinations) < 256 else np.uint16
    _store_both(task, loaded, lambda: combined.numbers.astype(kind, copy=False))
    return Examined(
        case=_placed(task.case, loaded),
        findings=(*loaded.findings, *remarks),
        scan=scan,
        channels=loaded.channels,
        image_content=identity.of_image(loaded.image),
        combinations=combined.combinations,
    )


def _with_values(task: Task, loaded: Loaded, annotation: Annotation) -> Examined:
    """A case of one value per voxel."""
    found = classify(annotation, task.labels, task.agreed, snap=task.snap)
    labels = found.labels
    if found.present == (labels.ignore_value,):
        why = Finding("every voxel is marked as not annotated: nothing can be learned", "will be predicted only")
        return _unlabelled(task.case, loaded, why)
    inside = scanning.foreground(found.drawn, len(labels.labels))
    measured = targets.measure_all(found.drawn, labels)
    scan = scanning.scan(task.case.case, loaded, inside, found.present, measured)
    remarks = _judge(scan, labels)
    _store_both(task, loaded, found.drawn.whole)
    return Examined(
        case=_placed(task.case, loaded),
        findings=(*loaded.findings, *found.findings, *remarks),
        scan=scan,
        labels=labels,
        channels=loaded.channels,
        image_content=identity.of_image(loaded.image),
        tallies=found.tallies,
        coding=found.coding,
        nearest=found.nearest,
        names=annotation.names,
    )


def _placed(case: Case, loaded: Loaded) -> Case:
    return case if case.reference == loaded.reference else case.model_copy(update={"reference": loaded.reference})


def _store_both(task: Task, loaded: Loaded, label: Callable[[], np.ndarray]) -> None:
    """Where volumes are stored, store both; only then is the label needed in full."""
    if task.out is not None:
        store(task.out.image(task.case.case), loaded.image)
        store(task.out.label(task.case.case), label())


def _drawn(task: Task, error: MisplacedLabel) -> Examined:
    """Quarantined, with a picture where there is a folder for it."""
    problem = str(error)
    if task.out is not None:
        path = task.out.misplaced(task.case.case)
        picture.draw(path, error.image, error.grid, error.misplaced)
        problem += f"; see {path.relative_to(task.out.path.parent).as_posix()}"
    return Examined(task.case, problem=problem)


def _doubtful(task: Task, error: LooksLikeImage) -> Examined:
    """Is it only that image and label changed places?"""
    image = auditing.load(task.root, task.case.without_label(), task.reading).image
    counts = count_values(image[0]) if image.dtype.kind in "iu" else np.unique(image[0])
    if len(counts) > _MASK_VALUES:
        return Examined(task.case, problem=str(error))
    said = f"{error}; and the image holds only {len(counts)} different values: are image and label swapped?"
    return Examined(task.case, problem=said, swapped=True)


def _without(task: Task, problem: str) -> Examined:
    """A case that cannot be used, and what others must show if the data set is not to lose it."""
    lost = _values_of_label(task), _structures_of_label(task)
    return Examined(task.case, problem=problem, lost_values=lost[0], lost_structures=lost[1])


def _structures_of_label(task: Task) -> tuple[str, ...]:
    """Those with a file of their own in which anything is drawn; files that cannot be read count by their name."""
    return tuple(each.name for each in task.case.structures if _anything(task.root / each.file))


def _anything(file: Path) -> bool:
    try:
        return formats.holds_structures(file) or bool(formats.read(file, mask=True).array.any())
    except (AutosegError, MemoryError):
        return True


def _values_of_label(task: Task) -> tuple[int, ...]:
    """What the label of a bad case would have taught; empty where it cannot be read either, or holds no values."""
    try:
        if task.case.label is None or formats.holds_structures(task.root / task.case.label):
            return ()
        label, _ = as_whole_numbers(formats.read(task.root / task.case.label, mask=True).array)
    except (AutosegError, MemoryError):
        return ()
    values = tuple(count_values(label)) if len(label) == 1 else ()
    return values if len(values) <= MOST_LABELS else ()


def _check_channels(task: Task, loaded: Loaded) -> None:
    grey_among_colours = task.channels == 3 and len(loaded.image) == 1 and len(task.case.images) == 1
    if task.channels in (None, len(loaded.image)) or grey_among_colours:
        return
    missing = task.channels is None or len(loaded.image) < task.channels
    raise DataError(
        f"{len(loaded.image)} channels in {', '.join(task.case.images)}; expected {task.channels}; "
        f"{'add the missing channel' if missing else 'remove what is no channel of the other cases'}"
    )


def _without_contrast(scan: CaseScan, *, drawn: bool) -> tuple[Finding, ...]:
    """A remark on an image that shows nothing.

    Raises:
        DataError: Yet something is labelled.
    """
    if any(sketch.quantiles[0] != sketch.quantiles[-1] for sketch in scan.overall):
        return ()
    value = scan.overall[0].quantiles[0]
    if drawn:
        raise DataError(f"every voxel of the image is {value:g}, yet something is labelled; restore the image")
    return (Finding(f"every voxel of the image is {value:g}"),)


def _judge(scan: CaseScan, labels: LabelSet) -> tuple[Finding, ...]:
    """Remarks on what is legitimate but unusual."""
    empty = all(sketch is None for sketch in scan.foreground)
    remarks = _without_contrast(scan, drawn=not empty)
    if empty:
        remarks = (*remarks, Finding("the label is empty: a negative example"))
    elif labels.background_value not in scan.label_values:
        remarks = (*remarks, Finding("the label covers the whole image: no voxel is background"))
    return remarks


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
