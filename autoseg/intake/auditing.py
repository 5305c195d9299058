"""Reading one case and judging it: every file is opened once, every doubt is repaired and recorded, or an error.

A *repair* is safe, reversible and written down as a ``Finding``. Whatever cannot be repaired raises a ``DataError``;
whoever asked then quarantines the case.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autoseg import formats
from autoseg.contracts import Axis4, Case
from autoseg.errors import DataError, GeometryError
from autoseg.formats import Structures, Volume
from autoseg.intake import axis4, frames
from autoseg.intake.findings import Finding
from autoseg.intake.gantry import upright
from autoseg.intake.masks import RGB, Annotation, Reader, open_first
from autoseg.intake.opening import tell
from autoseg.intake.placing import Frame, Misplaced, place_channel
from autoseg.volumes import geometry
from autoseg.volumes.geometry import Grid
from autoseg.volumes.misplacement import in_the_body
from autoseg.volumes.spikes import clipped

__all__ = ["RGB", "Finding", "Loaded", "MisplacedLabel", "Reading", "load"]

_MOST_BAD = 0.9  # of a channel's voxels; around a head that was cut out, NaN is common


@dataclass(frozen=True)
class Reading:
    """What was asked for, and is declared.

    Attributes:
        snap: Stray values become the nearest label, however many there are.
        trust_grid: A label of the image's shape is taken voxel for voxel, whatever its header says.
        declared: The values of the labels are declared.
        channels: How many are declared, or needed by a model; None: nobody declared any.
        axis4: What a fourth axis counts, where neither files nor declarations tell.
    """

    snap: bool = False
    trust_grid: bool = False
    declared: bool = False
    channels: int | None = None
    axis4: Axis4 | None = None


@dataclass(frozen=True)
class Loaded:
    """One case in canonical orientation.

    Attributes:
        image: (C, z, y, x), the file's dtype in native byte order, finite; often a view of what was read.
        annotation: What is drawn; None without a label.
        grid: The canonical grid of both.
        spacing_known: False for formats without a voxel size.
        orientation: Axis codes of the source file.
        channels: Channel names that the format knows, e.g. R, G, B.
        content: SHA-256 over all files' bytes.
        findings: Repairs.
        reference: The image file whose grid this is.
        tilted: The canonical grid of the files' own voxels where their axes are not at right angles, so that image and
            label had to be resampled to an upright one; else None.
    """

    image: np.ndarray
    annotation: Annotation | None
    grid: Grid
    spacing_known: bool
    orientation: str
    channels: tuple[str, ...]
    content: str
    findings: tuple[Finding, ...]
    reference: int = 0
    tilted: Grid | None = None

    @property
    def label(self) -> np.ndarray | None:
        """(z, y, x) whole numbers, see ``Annotation.values``; None without a label."""
        return None if self.annotation is None else self.annotation.values


class MisplacedLabel(GeometryError):
    """A label lies elsewhere than its image; carries what a picture of that needs."""

    def __init__(self, misplaced: Misplaced, image: np.ndarray, grid: Grid, hint: str = "") -> None:
        super().__init__(f"{misplaced}; {hint}" if hint else str(misplaced))
        self.misplaced = misplaced
        self.image = image
        self.grid = grid


def load(root: Path, case: Case, reading: Reading = Reading()) -> Loaded:
    """Read the files of a case and bring them together on one canonical grid.

    Args:
        root: Folder that the case's paths are relative to.
        case: The case.
        reading: What was asked for.

    Raises:
        DataError: A file cannot be read, or the files do not fit together and no safe repair is known.
        RefusedError: A file is unsafe to read.
    """
    findings: list[Finding] = []
    volumes = [_read(root, file, case.frame, findings) for file in case.images]
    axis4.require_told(case, volumes, reading.channels, reading.axis4)
    drawn = open_first(root, case, volumes[case.reference])
    reference = _reference(case, volumes, drawn, findings)
    frame = Frame(volumes[reference].grid, volumes[reference].spacing_known, reading.trust_grid)
    image, spikes = clipped(_finite(_image(case, volumes, reference, frame, findings), findings))
    findings += [Finding(reason, repair, "outlier") for reason, repair in spikes]
    digests = tuple(volume.sha256 for volume in volumes)
    annotation, label_digests = None, tuple[str, ...]()
    if drawn is not None:
        reader = Reader(root, case, frame, volumes[reference], reading.snap, reading.declared, findings.append)
        try:
            annotation, label_digests = reader.read(drawn)
        except Misplaced as misplaced:
            raise MisplacedLabel(misplaced, image[0], frame.grid, _placed_by_content(misplaced, image, frame)) from None
    own = frame.canonical
    image, annotation, grid = upright(image, annotation, own, findings.append)
    return Loaded(
        image=image,
        annotation=annotation,
        grid=grid,
        spacing_known=frame.spacing_known,
        orientation=frame.grid.orientation,
        channels=volumes[0].channels if len(volumes) == 1 else (),
        content=_joint((*digests, *label_digests)),
        findings=tuple(findings),
        reference=reference,
        tilted=None if grid is own else own,
    )


def _placed_by_content(misplaced: Misplaced, image: np.ndarray, frame: Frame) -> str:
    """What the voxels say of a label whose header places it elsewhere, where it has the image's shape."""
    if misplaced.array.shape[1:] != frame.grid.shape:
        return ""
    label = geometry.canonicalize(misplaced.array, frame.grid)[0]
    return in_the_body(image[0], label.max(axis=0))


def _reference(
    case: Case, volumes: Sequence[Volume], drawn: Volume | Structures | None, findings: list[Finding]
) -> int:
    """The image file whose grid counts: the one that is named if the label lies on it, else the first it lies on."""
    if drawn is None or len(volumes) == 1:
        return case.reference
    fits = [geometry.compare(volume.grid, drawn.grid).kind in ("same", "offset") for volume in volumes]
    chosen = case.reference if fits[case.reference] or not any(fits) else fits.index(True)
    if chosen != case.reference:
        findings.append(
            Finding(
                f"the label lies on the grid of {case.images[chosen]}, not on that of {case.images[case.reference]}",
                "the other channels are brought onto that grid",
            )
        )
    return chosen


def _read(root: Path, file: str, frame: int | None, findings: list[Finding]) -> Volume:
    volume = formats.read(root / file) if frame is None else frames.at(root / file, frame)
    tell(root, file, volume, findings.append)
    return volume


def _image(case: Case, volumes: Sequence[Volume], reference: int, frame: Frame, findings: list[Finding]) -> np.ndarray:
    """All channels, in their order, on the grid of the reference."""
    parts = [
        geometry.canonicalize(volume.array, volume.grid)[0]
        if number == reference
        else place_channel(file, volume, frame, findings.append)
        for number, (file, volume) in enumerate(zip(case.images, volumes, strict=True))
    ]
    image = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return image.astype(image.dtype.newbyteorder("="), copy=False)


def _finite(image: np.ndarray, findings: list[Finding]) -> np.ndarray:
    """Replace NaN and -Inf by the channel's smallest, +Inf by its largest finite value.

    Raises:
        DataError: A channel has hardly any finite value.
    """
    if image.dtype.kind != "f" or np.isfinite(image).all():
        return image
    repaired = image.copy()
    for number, channel in enumerate(repaired):
        finite = np.isfinite(channel)
        if finite.all():
            continue
        bad = int((~finite).sum())
        if bad > _MOST_BAD * channel.size:
            raise DataError(
                f"{bad} of {channel.size} voxels of channel {number} are NaN or infinite, more than {_MOST_BAD:.0%}; "
                "restore the file from its source"
            )
        low, high = channel[finite].min(), channel[finite].max()
        np.nan_to_num(channel, copy=False, nan=low, neginf=low, posinf=high)
        findings.append(
            Finding(
                f"{bad} of {channel.size} voxels of channel {number} are NaN or infinite",
                f"replaced by the smallest ({low:g}) or largest ({high:g}) finite value",
            )
        )
    return repaired


def _joint(digests: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()
