"""Stage 2: what planning must know of the data, merged from the ``CaseScan`` of each development case.

No file is opened, so it takes milliseconds. Hold-out cases have no part in it. Intensities are merged from per-case
sketches, weighted by voxels; sizes and volumes are medians over cases, so that a few odd cases do not matter; those are
listed as outliers instead.
"""

from collections.abc import Iterable, Sequence
from statistics import median

import numpy as np

from autoseg.contracts import CaseScan, Dataset, IntensitySketch, TargetScan, alike
from autoseg.intake import modality, outliers
from autoseg.volumes import intensity
from autoseg.volumes.symmetry import Body, Placed, partners
from planners.augmentation import named_partners
from planners.contracts import (
    Box,
    CaseFingerprint,
    ChannelFingerprint,
    Fingerprint,
    IntensityStatistics,
    LabelFingerprint,
)

algorithm_version = 2


def fingerprint(dataset: Dataset, scans: Sequence[CaseScan]) -> Fingerprint:
    """Merge the scans of the development cases.

    Args:
        dataset: The data set; its split says which cases are development cases.
        scans: In any order; scans of other cases are ignored.
    """
    wanted = set(dataset.development)
    chosen = sorted((scan for scan in scans if scan.case in wanted), key=lambda scan: scan.case)
    names = tuple(channel.name for channel in dataset.channels)
    modalities = modality.of_channels(names, chosen)
    channels = tuple(_channel(name, modalities[number], chosen, number) for number, name in enumerate(names))
    sides = _partners(dataset, chosen)
    return Fingerprint(
        dimension=dataset.dimension,
        spacing_known=all(scan.spacing_known for scan in chosen),
        kind=dataset.labels.kind,
        heads=dataset.labels.heads,
        has_ignore=dataset.labels.ignore_value is not None,
        subjects=len({dataset.case(scan.case).subject for scan in chosen}),
        channels=channels,
        labels=tuple(
            _label(name, chosen, number, sides.get(name)) for number, name in enumerate(dataset.labels.targets)
        ),
        cases=tuple(_case(scan) for scan in alike(chosen)),
        outliers=outliers.measured(chosen, names),
    )


def _case(scan: CaseScan) -> CaseFingerprint:
    z, y, x = ((end - start) for start, end in scan.nonzero_box)
    return CaseFingerprint(
        case=scan.case,
        shape=scan.shape,
        spacing_mm=scan.spacing_mm,
        orientation=scan.orientation,
        cropped_shape=(z, y, x),
        foreground_box=_union([target.box for target in scan.targets if target.box is not None]),
    )


def _union(boxes: Sequence[Box]) -> Box | None:
    if not boxes:
        return None
    z, y, x = ((min(box[axis][0] for box in boxes), max(box[axis][1] for box in boxes)) for axis in range(3))
    return z, y, x


# ------------------------------------------------------------------------------------------------------ channels


def _channel(name: str, shows: modality.Modality, scans: Sequence[CaseScan], number: int) -> ChannelFingerprint:
    inside = [sketch for scan in scans if (sketch := scan.foreground[number]) is not None]
    return ChannelFingerprint(
        name=name,
        modality=modality.planned(shows),
        overall=_statistics([scan.overall[number] for scan in scans]),
        foreground=_statistics(inside) if inside else None,
    )


def _statistics(sketches: Sequence[IntensitySketch]) -> IntensityStatistics:
    parts = [(sketch.count, sketch.mean, sketch.std, np.array(sketch.quantiles)) for sketch in sketches]
    merged = intensity.merge(parts)
    return IntensityStatistics(
        count=int(merged[0]),
        mean=float(merged[1]),
        std=float(merged[2]),
        minimum=min(sketch.quantiles[0] for sketch in sketches),
        percentile_00_5=float(intensity.percentile(merged, 0.5)),
        median=float(intensity.percentile(merged, 50.0)),
        percentile_99_5=float(intensity.percentile(merged, 99.5)),
        maximum=max(sketch.quantiles[-1] for sketch in sketches),
    )


# -------------------------------------------------------------------------------------------------------- labels


def _partners(dataset: Dataset, scans: Sequence[CaseScan]) -> dict[str, str]:
    """The label on the other side of the body: by name, and where names say nothing, by mirror symmetry."""
    names = dataset.labels.targets
    found = named_partners(names)
    if dataset.dimension == 2:
        return found  # nobody knows which way a picture shows the body
    for first, second in partners([_body(scan) for scan in scans if scan.targets]).items():
        if names[first] not in found and names[second] not in found.values():
            found[names[first]] = names[second]
    return {name: other for name, other in found.items() if found.get(other) == name}


def _body(scan: CaseScan) -> Body:
    left, right = scan.nonzero_box[2]
    mm = scan.spacing_mm[2]
    return Body(left * mm, (right - 1) * mm, tuple(_placed(target, scan) for target in scan.targets))


def _placed(target: TargetScan, scan: CaseScan) -> Placed | None:
    if target.centroid_vox is None:
        return None
    z, y, x = (index * mm for index, mm in zip(target.centroid_vox, scan.spacing_mm, strict=True))
    return Placed(target.voxels * _voxel_mm3(scan), (z, y, x))


def _label(name: str, scans: Sequence[CaseScan], number: int, partner: str | None) -> LabelFingerprint:
    present = [(scan, scan.targets[number]) for scan in scans if scan.targets[number].voxels]
    voxels = sum(int(np.prod(scan.shape)) for scan in scans)
    component_mm3 = [size * _voxel_mm3(scan) for scan, target in present for size in target.component_voxels]
    return LabelFingerprint(
        name=name,
        cases=len(present),
        voxel_fraction=sum(target.voxels for _, target in present) / max(1, voxels),
        volume_mm3=_median(target.voxels * _voxel_mm3(scan) for scan, target in present),
        components=_median(target.components for _, target in present),
        component_volume_mm3=_median(component_mm3),
        extent_mm=_median_extent(present),
        partner=partner,
    )


def _median_extent(present: Sequence[tuple[CaseScan, TargetScan]]) -> tuple[float, float, float] | None:
    extents = [
        [(end - start) * mm for (start, end), mm in zip(target.box, scan.spacing_mm, strict=True)]
        for scan, target in present
        if target.box is not None
    ]
    if not extents:
        return None
    z, y, x = (float(median(axis)) for axis in zip(*extents, strict=True))
    return z, y, x


def _median(values: Iterable[float]) -> float | None:
    listed = list(values)
    return float(median(listed)) if listed else None


def _voxel_mm3(scan: CaseScan) -> float:
    return float(np.prod(scan.spacing_mm))
