"""Target spacing: the voxel size that all cases of a configuration are resampled to.

The per-axis median disturbs the fewest cases. Where slices are thick, the median would throw away the detail of the
thinner-sliced cases, so the percentile used along the thick axis slides from the 50th towards the 10th the thicker and
the fewer the slices are. It slides: similar data sets get similar spacings, on either side of any ratio. Structures too
small for the median make it finer, as far as the data have finer voxels.

The low resolution coarsens the finest axes first, to cubes where it can, until a small network sees the typical image
whole; but never so far that a label would be lost.
"""

from math import inf, pi, prod

import numpy as np

from planners.contracts import Fingerprint, LabelFingerprint, Reason, Shape, Spacing

RAMP = (2.0, 4.0)  # anisotropy at which the percentile starts to slide, and at which it arrives
THIN_PERCENTILE = 10.0  # also the finest that small structures may ask for: few cases have thinner slices
RESOLVING_VOXELS = 4.0  # across the smallest structures
LOW_VOXELS = 48**3  # of the typical image at low resolution: minutes on a CPU train a network that sees as many
LABEL_SHARE = 0.5  # of the thinnest label's thickness, that a voxel of the low resolution may measure
LEAST_REDUCTION = 2.0  # of voxels, for a low resolution to be another view at all
TargetSpacing = tuple[float | None, float, float]
"""Millimetres along (z, y, x); null along z: slices keep their own spacing."""


def target_3d(fingerprint: Fingerprint) -> tuple[Spacing, Reason]:
    """Spacing of ``3d_fullres``.

    Source: Isensee et al., Nature Methods 18 (2021), target spacing; its two hard tests at ratio 3 made continuous.
    """
    spacings = np.array([case.spacing_mm for case in fingerprint.cases])
    median = np.median(spacings, axis=0)
    size = np.median([case.cropped_shape for case in fingerprint.cases], axis=0)
    thick = int(np.argmax(median))
    others = [axis for axis in range(3) if axis != thick]
    anisotropy = min(median[thick] / median[others].max(), size[others].min() / size[thick])
    slide = float(np.clip((anisotropy - RAMP[0]) / (RAMP[1] - RAMP[0]), 0.0, 1.0))
    percentile = 50.0 - (50.0 - THIN_PERCENTILE) * slide
    chosen = median.copy()
    chosen[thick] = max(np.percentile(spacings[:, thick], percentile), median[others].max())
    resolving = _resolving_mm(fingerprint)
    finest = np.percentile(spacings, THIN_PERCENTILE, axis=0)
    usual, target = _tidied(chosen), _tidied(np.minimum(chosen, np.maximum(resolving, finest)))
    return target, _reason_3d(fingerprint, spacings, target, percentile, None if target == usual else resolving)


def _resolving_mm(fingerprint: Fingerprint) -> float:
    """The voxel size that puts RESOLVING_VOXELS across the smallest structures, as balls; infinite if they are unknown.

    A label's structures are its connected components, the median one; where those were not measured, the label itself.
    """
    volumes = [label.component_volume_mm3 or label.volume_mm3 for label in fingerprint.labels if label.cases]
    known = [volume for volume in volumes if volume]
    if not known or not fingerprint.spacing_known:
        return inf
    return (6 * min(known) / pi) ** (1 / 3) / RESOLVING_VOXELS


def target_2d(fingerprint: Fingerprint) -> tuple[TargetSpacing, Reason]:
    """Spacing of ``2d``: in-plane median; along z never resampled. Pixels stay as they are if no spacing is known."""
    if not fingerprint.spacing_known:
        return (None, 1.0, 1.0), Reason(
            rule="spacing.target",
            configuration="2d",
            saw="files that state no spacing",
            chose="the pixel grid as it is",
            because="without a physical size there is nothing to resample to",
            source="design: nothing is invented",
        )
    if fingerprint.dimension == 3:
        plane = target_3d(fingerprint)[0][1:]
    else:
        median = np.median([case.spacing_mm[1:] for case in fingerprint.cases], axis=0)
        plane = (_tidy(median[0]), _tidy(median[1]))
    return (None, *plane), Reason(
        rule="spacing.target",
        configuration="2d",
        saw=f"{len(fingerprint.cases)} cases",
        chose=f"{plane[0]:g} x {plane[1]:g} mm in plane; slices keep their own distance",
        because="the median resamples the fewest cases, and a 2D network never looks across slices",
        source="Isensee et al., Nature Methods 18 (2021), target spacing",
    )


def target_low(fingerprint: Fingerprint) -> tuple[Spacing, Reason] | None:
    """Spacing of ``3d_lowres``; None where the data leave no room for one.

    Source: own rule; that a whole view helps large images is from Isensee et al., Nature Methods 18 (2021), cascade.
    """
    fine = target_3d(fingerprint)[0]
    edges = median_shape(resampled_shapes(fingerprint, fine))
    thickness = [thickness_mm(label) for label in fingerprint.labels if label.cases]
    if not thickness or None in thickness or not fingerprint.spacing_known:
        return None
    thinnest = min(mm for mm in thickness if mm is not None)
    cube = min(_cube_mm(fine, edges), LABEL_SHARE * thinnest)
    z, y, x = (_tidy(max(mm, cube)) for mm in fine)
    if prod((z, y, x)) < LEAST_REDUCTION * prod(fine):
        return None
    return (z, y, x), Reason(
        rule="spacing.target",
        configuration="3d_lowres",
        saw=f"a typical image of {' x '.join(map(str, edges))} voxels; the thinnest label is {thinnest:.2g} mm thick",
        chose=f"{z:g} x {y:g} x {x:g} mm",
        because=f"finest axes are coarsened first, until {LOW_VOXELS:,} voxels hold the image or a voxel measures "
        f"{LABEL_SHARE:.0%} of that thickness",
        source="own experiment on sarcoma CT, benchmarks/results/real_tasks.md",
    )


def thickness_mm(label: LabelFingerprint) -> float | None:
    """How thick a label is, from its volume and its bounding box; None where they are unknown.

    Volume over the surface of a ball of the same extent: a ball gives a sixth of its diameter, a hollow sphere the
    thickness of its wall.
    """
    if label.volume_mm3 is None or label.extent_mm is None:
        return None
    a, b, c = label.extent_mm
    return label.volume_mm3 / (pi * (a * b + b * c + c * a) / 3)


def _cube_mm(fine: Spacing, edges: Shape) -> float:
    """The spacing that, on every axis finer than it, leaves LOW_VOXELS of an image."""
    axes = sorted(zip(fine, edges, strict=True))
    cube = axes[0][0]
    for count in range(1, 4):  # the finest one, two, three axes are coarsened
        length_mm = prod(mm * edge for mm, edge in axes[:count])
        cube = (length_mm * prod(edge for _, edge in axes[count:]) / LOW_VOXELS) ** (1 / count)
        if count == 3 or cube <= axes[count][0]:
            break
    return cube


def as_if(fingerprint: Fingerprint, spacing_mm: Spacing) -> Fingerprint:
    """The fingerprint as it would be if all cases had been resampled to a spacing that somebody asked for.

    Single slices stay single slices, whatever was asked for across them.
    """
    z_mm, y_mm, x_mm = spacing_mm
    shapes = resampled_shapes(fingerprint, (None if fingerprint.dimension == 2 else z_mm, y_mm, x_mm))
    cases = tuple(
        case.model_copy(update={"shape": shape, "cropped_shape": shape, "spacing_mm": spacing_mm})
        for case, shape in zip(fingerprint.cases, shapes, strict=True)
    )
    return fingerprint.model_copy(update={"cases": cases})


def asked_for(reason: Reason) -> Reason:
    """The reason of a full resolution that somebody asked for."""
    return reason.model_copy(update={"saw": "a spacing asked for", "because": "it was asked for", "source": "the user"})


def resampled_shapes(fingerprint: Fingerprint, target: TargetSpacing) -> tuple[Shape, ...]:
    """Shape of each case after cropping and resampling, at least one voxel along each axis."""
    edges = np.array([case.cropped_shape for case in fingerprint.cases])
    spacings = np.array([case.spacing_mm for case in fingerprint.cases])
    wanted = np.array([np.nan if mm is None else mm for mm in target], dtype=float)
    resampled = np.where(np.isnan(wanted), edges, np.maximum(1, np.rint(edges * spacings / wanted)))
    return tuple((z, y, x) for z, y, x in resampled.astype(int).tolist())


def median_shape(shapes: tuple[Shape, ...]) -> Shape:
    """Per-axis median, rounded."""
    z, y, x = (max(1, round(float(edge))) for edge in np.median(shapes, axis=0))
    return z, y, x


def slice_ratio(spacing_mm: Spacing) -> float:
    """How much thicker slices are than the coarser of the in-plane axes; 1 for isotropic voxels.

    >>> slice_ratio((5.0, 1.0, 1.25))
    4.0
    """
    return spacing_mm[0] / max(spacing_mm[1:])


def _reason_3d(
    fingerprint: Fingerprint, spacings: np.ndarray, target: Spacing, percentile: float, resolving_mm: float | None
) -> Reason:
    low, high = spacings.min(axis=0), spacings.max(axis=0)
    axes = [
        f"{name} {a:.3g} to {b:.3g}" if a < b else f"{name} {a:.3g}"
        for name, a, b in zip("zyx", low, high, strict=True)
    ]
    because = "the median resamples the fewest cases"
    if percentile < 50.0:
        because += f"; along the thick axis percentile {percentile:.0f} keeps the detail of thinner slices"
    if resolving_mm is not None:
        because += (
            f"; voxels up to {resolving_mm:.3g} mm put {RESOLVING_VOXELS:g} of them across the smallest structures, so "
            f"axes with coarser ones go down to it, or to percentile {THIN_PERCENTILE:.0f} of the cases"
        )
    if not fingerprint.spacing_known:
        because = "the files state no spacing, so voxels are taken as cubes and stay as they are"
    return Reason(
        rule="spacing.target",
        configuration="3d_fullres",
        saw=f"spacing in mm: {', '.join(axes)}, over {len(spacings)} cases",
        chose=" x ".join(f"{value:g}" for value in target) + " mm",
        because=because,
        source="Isensee et al., Nature Methods 18 (2021), target spacing; made continuous in anisotropy",
    )


def _tidied(spacing_mm: np.ndarray) -> Spacing:
    z, y, x = (_tidy(value) for value in spacing_mm)
    return z, y, x


def _tidy(value: float) -> float:
    """Six significant digits: no case is resampled for the sake of rounding noise."""
    return float(f"{value:.6g}")
