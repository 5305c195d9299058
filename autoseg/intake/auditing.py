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
from autoseg.contracts import Case
from autoseg.errors import DataError, GeometryError, LabelError
from autoseg.formats import Volume
from autoseg.labelling import as_whole_numbers
from autoseg.volumes import geometry
from autoseg.volumes.geometry import Grid

RGB = ("R", "G", "B")

_MOST_BAD = 0.9  # of a channel's voxels; around a head that was cut out, NaN is common
_ROUNDING_DEG = 0.01  # headers in float32 are off by less
_MOST_TIMES = 8  # an upright grid may have so many times the voxels


@dataclass(frozen=True)
class Finding:
    """What was not as it should be, and what was done about it (empty: nothing had to be)."""

    reason: str
    repair: str = ""


@dataclass(frozen=True)
class Loaded:
    """One case in canonical orientation.

    Attributes:
        image: (C, z, y, x), the file's dtype in native byte order, finite; often a view of what was read.
        label: (z, y, x) whole numbers as in the file; None without a label; often a view too.
        grid: The canonical grid of both.
        spacing_known: False for formats without a voxel size.
        orientation: Axis codes of the source file.
        channels: Channel names that the format knows, e.g. R, G, B.
        content: SHA-256 over all files' bytes.
        image_content: SHA-256 over the image files' bytes.
        findings: Repairs.
        tilted: The canonical grid of the files' own voxels where their axes are not at right angles, so that image and
            label had to be resampled to an upright one; else None.
    """

    image: np.ndarray
    label: np.ndarray | None
    grid: Grid
    spacing_known: bool
    orientation: str
    channels: tuple[str, ...]
    content: str
    image_content: str
    findings: tuple[Finding, ...]
    tilted: Grid | None = None


def load(root: Path, case: Case) -> Loaded:
    """Read the files of a case and bring them together on one canonical grid.

    Raises:
        DataError: A file cannot be read, or the files do not fit together and no safe repair is known.
        RefusedError: A file is unsafe to read.
    """
    findings: list[Finding] = []
    volumes = [_read(root, file, findings) for file in case.images]
    image, grid = _image(case, volumes, findings)
    image = _finite(image, findings)
    digests = [volume.sha256 for volume in volumes]
    image_content = _joint(digests)
    label = None
    if case.label is not None:
        volume = _read(root, case.label, findings, mask=True)
        digests.append(volume.sha256)
        label = _label(case.label, volume, grid, volumes[0].spacing_known, findings)
    image, label, own, grid = _upright(image, label, grid, findings)
    return Loaded(
        image=image,
        label=label,
        grid=grid,
        spacing_known=volumes[0].spacing_known,
        orientation=volumes[0].grid.orientation,
        channels=volumes[0].channels if len(volumes) == 1 else (),
        content=_joint(digests),
        image_content=image_content,
        findings=tuple(findings),
        tilted=None if own is grid else own,
    )


def _read(root: Path, file: str, findings: list[Finding], *, mask: bool = False) -> Volume:
    """One file, and what was odd about it."""
    path = root / file
    if not path.resolve().is_relative_to(root.resolve()):
        findings.append(Finding(f"{file} is a link that leads out of the folder; it is only read"))
    volume = formats.read(path, mask=mask)
    findings += [Finding(f"{file}: {note}") for note in volume.notes]
    findings += [Finding(f"{file}: {reason}", repair) for reason, repair in volume.repairs]
    return volume


def _image(case: Case, volumes: Sequence[Volume], findings: list[Finding]) -> tuple[np.ndarray, Grid]:
    """All channels on the grid of the first file."""
    first, grid, _ = geometry.canonicalize(volumes[0].array, volumes[0].grid)
    parts = [first]
    for file, volume in zip(case.images[1:], volumes[1:], strict=True):
        array, own = geometry.canonicalize(volume.array, volume.grid)[:2]
        parts.append(_onto(array, own, grid, f"channel file {file}", findings, nearest=False))
    image = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return image.astype(image.dtype.newbyteorder("="), copy=False), grid


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


def _label(file: str, volume: Volume, grid: Grid, spacing_known: bool, findings: list[Finding]) -> np.ndarray:
    """The label (z, y, x) on the image's canonical grid, in whole numbers."""
    array = volume.array
    if len(array) > 1:
        if (array != array[:1]).any():
            raise LabelError(
                f"{file}: the label has {len(array)} different channels (colours or one mask per class); "
                "expected one channel with one value per class; convert it"
            )
        findings.append(Finding(f"the label has {len(array)} equal channels", "the first one is used"))
        array = array[:1]
    array, own, _ = geometry.canonicalize(array, volume.grid)
    whole, rounded = as_whole_numbers(array)
    if rounded:
        findings.append(Finding("label values deviate from whole numbers by less than 0.001", "rounded"))
    if not (spacing_known and volume.spacing_known):
        _require_equal_shapes(file, whole.shape[1:], grid.shape)
        if spacing_known or volume.spacing_known:
            findings.append(Finding("only one of image and label carries a voxel size", "the label is taken by index"))
        own = grid
    return _onto(whole, own, grid, f"label {file}", findings, nearest=True)[0]


def _require_equal_shapes(file: str, label: tuple[int, ...], image: tuple[int, ...]) -> None:
    """Where a file has no voxel size, only the number of pixels can be compared."""
    if label != image:
        raise GeometryError(
            f"{file}: the label has shape (z, y, x) {label}, the image {image}; expected the same shape, as the files "
            "carry no geometry to bring them together; draw the mask on this image"
        )


def _onto(array: np.ndarray, own: Grid, grid: Grid, what: str, findings: list[Finding], *, nearest: bool) -> np.ndarray:
    """Bring ``array`` (C, z, y, x) from its canonical grid onto ``grid``.

    Raises:
        GeometryError: They do not show the same place.
    """
    agreement = geometry.compare(grid, own)
    offset = f"{agreement.offset_vox:.3g} voxel"
    if agreement.kind == "same":
        return array
    if agreement.kind == "offset":
        findings.append(Finding(f"{what} lies {offset} beside the image", "taken by index"))
        return array
    if agreement.kind == "resample":
        way = "nearest neighbour" if nearest else "linear interpolation"
        findings.append(
            Finding(
                f"{what} lies on another grid: {_describe(own)} instead of {_describe(grid)}, "
                f"overlap {agreement.overlap:.1%}",
                f"resampled onto the image's grid ({way})",
            )
        )
        return geometry.resample_onto(array, own, grid, nearest=nearest)
    raise GeometryError(
        f"{what} does not lie where the image lies: {_describe(own)} instead of {_describe(grid)}, "
        f"overlap {agreement.overlap:.1%}; expected the same grid; export both from the same series"
    )


def _upright(
    image: np.ndarray, label: np.ndarray | None, grid: Grid, findings: list[Finding]
) -> tuple[np.ndarray, np.ndarray | None, Grid, Grid]:
    """Image and label with axes at right angles, their former grid, and their grid.

    Raises:
        GeometryError: The axes are so close to each other that no image can be meant.
    """
    angle = geometry.shear_deg(grid)
    if angle <= geometry.TOLERATED_SHEAR_DEG:
        if angle > _ROUNDING_DEG:
            findings.append(Finding(f"the axes are {angle:.2g} degrees off right angles", "taken as upright"))
        return image, label, grid, grid
    target = geometry.upright(grid)
    if np.prod(target.shape, dtype=np.int64) > _MOST_TIMES * np.prod(grid.shape, dtype=np.int64):
        raise GeometryError(
            f"the axes are {angle:.3g} degrees off right angles; upright, {_describe(grid)} would become "
            f"{_describe(target)}; repair the header"
        )
    findings.append(
        Finding(
            f"the axes are {angle:.3g} degrees off right angles, as of a tilted gantry",
            f"resampled from shape {grid.shape} to an upright grid of shape {target.shape}",
        )
    )
    moved = np.empty((len(image), *target.shape), image.dtype)
    for channel, result in zip(image, moved, strict=True):
        values = geometry.resample_onto(channel[None], grid, target, nearest=False, outside=float(channel.min()))[0]
        result[...] = np.rint(values, out=values) if image.dtype.kind in "iu" else values
    if label is not None:
        label = geometry.resample_onto(label[None], grid, target, nearest=True)[0]
    return moved, label, grid, target


def _describe(grid: Grid) -> str:
    spacing = " x ".join(f"{mm:.4g}" for mm in grid.spacing_mm)
    origin = ", ".join(f"{mm:.4g}" for mm in grid.origin_mm)
    return f"shape {grid.shape} at {spacing} mm from ({origin})"


def _joint(digests: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()
