"""Stage 4: every development case as network input, once per configuration: cropped, normalized, resampled.

    canonical image ─▶ crop to non-zero ─▶ normalize ─▶ resample ─▶ <configuration>/<case>_image.npy
    canonical label ─▶ the same crop ──────────────────▶ resample ─▶ <configuration>/<case>_label.npy

The work is incremental per case: beside the arrays stands what they were made from, written last. A case is made anew
only if its source, the labels' meaning, or the configuration's spacing or normalization differ from that.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autoseg import records
from autoseg.contracts import CaseScan, Dataset, LabelSet, Prepared, PreparedCase, PreparedConfiguration, alike
from autoseg.errors import DataError, UnreadableFile
from autoseg.events import Event, Notify, silent
from autoseg.volumes.preparation import prepare, prepare_labels
from autoseg.workspace import DatasetFolder, PreparedFolder
from planners.contracts import Axes, Configuration, Normalization, Plan, Record

algorithm_version = 1


class Origin(Record):
    """All that decides how a prepared case looks."""

    algorithm_version: int
    scan: str  # digest of the CaseScan, which holds the content hash of the case's files
    labels: LabelSet
    spacing_mm: tuple[float | None, float, float]
    normalization: tuple[Normalization, ...]
    axes: Axes | None


class PreparedFile(Record):
    """What stands beside the arrays of a case: how they lie, and what they were made from."""

    schema_version: int = 1
    origin: str  # digest of the Origin
    prepared: PreparedCase


def preprocess(
    dataset: Dataset, plan: Plan, source: DatasetFolder, out: PreparedFolder, *, notify: Notify = silent
) -> Prepared:
    """Prepare the development cases for all configurations of the plan.

    Args:
        dataset: Whose development cases are prepared; hold-out cases are not.
        plan: Its configurations say at which spacing and how normalized.
        source: Holds the canonical volumes and the scans.
        out: Where the arrays go.
        notify: Told of each case of each configuration.

    Raises:
        UnreadableFile: A canonical volume or scan is missing or damaged.
        DataError: An image does not fit the plan, or holds NaN; the message names case and configuration.
        ResourceError: The disk is full.
    """
    scans = alike(_scan(source, case) for case in dataset.development)
    total, done = len(plan.configurations) * len(dataset.development), 0
    finished = []
    for configuration in plan.configurations:
        cases, size = [], 0
        for scan in scans:
            cases.append(_prepared(scan, configuration, dataset.labels, source, out))
            size += sum(path.stat().st_size for path in _arrays(out, configuration, scan.case))
            done += 1
            detail = f"{configuration.name}: {scan.case}"
            notify(Event(stage="preprocess", done=done, total=total, unit="cases", detail=detail))
        finished.append(PreparedConfiguration(configuration=configuration.name, cases=tuple(cases), bytes=size))
    return Prepared(configurations=tuple(finished))


def broken(dataset: Dataset, plan: Plan, out: PreparedFolder) -> tuple[str, ...]:
    """The prepared cases of which something is missing, cut short or cannot be opened: their configuration and name."""
    pairs = ((configuration, case) for configuration in plan.configurations for case in dataset.development)
    return tuple(f"{one.name}: {case}" for one, case in pairs if _standing(case, one, out) is None)


def _prepared(
    scan: CaseScan, configuration: Configuration, labels: LabelSet, source: DatasetFolder, out: PreparedFolder
) -> PreparedCase:
    """One case of one configuration: as it stands, or made now."""
    origin = _origin(scan, configuration, labels)
    standing = _standing(scan.case, configuration, out)
    if standing is not None and standing.origin == origin:
        return standing.prepared
    record = out.record(configuration.name, scan.case)
    record.unlink(missing_ok=True)  # it vouches for the arrays that are replaced now
    prepared = _make(scan, configuration, source, out)
    records.write(record, PreparedFile(origin=origin, prepared=prepared))
    return prepared


def _standing(case: str, configuration: Configuration, out: PreparedFolder) -> PreparedFile | None:
    """What an earlier run left of a case; None if anything of it is missing or damaged."""
    record = out.record(configuration.name, case)
    if not (record.is_file() and all(map(_whole, _arrays(out, configuration, case)))):
        return None
    try:
        return records.read(record, PreparedFile)
    except DataError:
        return None  # a record of another version or cut short: the case is simply made again


def _whole(path: Path) -> bool:
    """Whether a file holds an array from end to end; its values are not looked at."""
    try:
        np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return False
    return True


def _make(scan: CaseScan, configuration: Configuration, source: DatasetFolder, out: PreparedFolder) -> PreparedCase:
    image, labels = _open(source.image(scan.case)), _open(source.label(scan.case))
    if image.shape[1:] != labels.shape:
        raise UnreadableFile(
            source.label(scan.case), f"shape {labels.shape}, expected the image's {image.shape[1:]}", _ANEW
        )
    try:
        values, geometry = prepare(
            image, scan.spacing_mm, configuration.spacing_mm, configuration.normalization, configuration.axes
        )
    except DataError as error:
        raise DataError(f"case {scan.case}, configuration {configuration.name}: {error}") from error
    records.write_array(out.image(configuration.name, scan.case), values)
    records.write_array(out.label(configuration.name, scan.case), prepare_labels(labels, geometry))
    return PreparedCase(
        case=scan.case,
        source_shape=geometry.source_shape,
        source_spacing_mm=geometry.source_spacing_mm,
        crop_box=geometry.crop_box,
        shape=geometry.shape,
        spacing_mm=geometry.spacing_mm,
        axes=geometry.axes,
    )


def _origin(scan: CaseScan, configuration: Configuration, labels: LabelSet) -> str:
    return records.digest(
        Origin(
            algorithm_version=algorithm_version,
            scan=records.digest(scan),
            labels=labels,
            spacing_mm=configuration.spacing_mm,
            normalization=configuration.normalization,
            axes=configuration.axes,
        )
    )


def _arrays(out: PreparedFolder, configuration: Configuration, case: str) -> tuple[Path, Path]:
    return out.image(configuration.name, case), out.label(configuration.name, case)


# ------------------------------------------------------------------------------------------------------------ files

_ANEW = "run the dataset stage again"


def _scan(source: DatasetFolder, case: str) -> CaseScan:
    path = source.scan(case)
    try:
        return records.read(path, CaseScan)
    except OSError as error:
        raise UnreadableFile(path, f"the scan of case {case} is missing ({error})", _ANEW) from error


def _open(path: Path) -> NDArray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UnreadableFile(path, f"not a whole canonical volume ({error})", _ANEW) from error
