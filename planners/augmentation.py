"""Augmentation: which transformations leave an image plausible, and how much of them a schedule can digest.

Four facts decide. Repetition: what is seen a few times cannot be learned by heart, and changing it only slows learning
down. Time: a short schedule cannot afford to learn mirrored patients, whom it will never meet. Names: if labels speak
of left and right (or anterior and posterior, ...), mirroring that axis would teach the wrong answer.
Geometry: rotating thick slices out of their plane smears them, so the range shrinks as slices get thicker; and scans
are upright after reorientation, whereas microscopy knows no up.
"""

import math
import re
from collections.abc import Iterable

from planners.contracts import Augmentation, Axes, Fingerprint, Reason, Spacing

LARGEST_ROTATION_DEG = 30.0  # of upright images
FREE_ROTATION_DEG = 180.0  # of images that know no up
FLAT_RATIO = 3.0  # slices this much thicker than wide are rotated in their plane only
ELONGATED = 1.5  # a patch with a longer aspect ratio would turn its content out of itself
MIRRORING_STEPS = 5_000  # shorter schedules learn upright patients better without their mirror images
PASSES = (10.0, 200.0)  # how often a schedule shows each voxel: up to where none, from where all of it pays

Z, Y, X = 0, 1, 2
AXIS_NAMES = ("superior/inferior", "anterior/posterior", "left/right")
AXIS_OF_WORD = {
    **dict.fromkeys(("superior", "inferior", "upper", "lower", "cranial", "caudal"), Z),
    **dict.fromkeys(("anterior", "posterior", "ventral", "dorsal"), Y),
    **dict.fromkeys(("left", "right"), X),
}
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")


def augmentation(
    fingerprint: Fingerprint,
    dimension: int,
    patch: tuple[int, ...],
    spacing_mm: Spacing,
    steps: int,
    passes: float,
    order: Axes | None = (0, 1, 2),
) -> tuple[Augmentation, tuple[Reason, ...]]:
    """Ranges, probabilities and mirror axes of one configuration.

    Args:
        fingerprint: The data.
        dimension: Of the patch.
        patch: Edges along the working axes.
        spacing_mm: Voxel size along them.
        steps: Of the schedule.
        passes: How often it shows each voxel of a training case, on average.
        order: The canonical axis of each working axis; None: it differs from case to case.
    """
    oriented = directed_axes(fingerprint)
    upright = fingerprint.dimension == 3
    too_short = upright and steps < MIRRORING_STEPS
    lie = order or (Z, Y, X)
    axes = [axis for axis in range(3 - dimension, 3) if lie[axis] not in oriented and not too_short]
    mirror = tuple(axis - (3 - dimension) for axis in axes)
    rotation = _rotation(fingerprint, dimension, patch, spacing_mm, bool(oriented))
    chosen = weakened(Augmentation(rotation_deg=rotation, mirror_axes=mirror), strength(passes))
    along = [lie[axis] for axis in axes]
    return chosen, (_mirror_reason(oriented, along, too_short), _strength_reason(rotation, passes))


def strength(passes: float) -> float:
    """Share of the full augmentation's probabilities that a schedule gets; grows with the logarithm of the passes.

    >>> strength(5.0), strength(44.72), strength(1000.0)
    (0.0, 0.5, 1.0)
    """
    none, everything = (math.log(times) for times in PASSES)
    share = (math.log(max(passes, PASSES[0])) - none) / (everything - none)
    return round(min(1.0, share), 3)


def weakened(full: Augmentation, share: float) -> Augmentation:
    """The same ranges with a share of the probabilities; mirroring, and what is done to masks, stay."""
    chances = (name for name in type(full).model_fields if name.endswith("_probability") and "mask" not in name)
    return full.model_copy(update={name: round(share * getattr(full, name), 4) for name in chances})


def directed_axes(fingerprint: Fingerprint) -> dict[int, tuple[str, ...]]:
    """Axes that labels depend on: by their names, or left/right because two of them mirror each other in the body."""
    found = oriented_axes((label.name for label in fingerprint.labels), fingerprint.dimension)
    sided = {label.name for label in fingerprint.labels if label.partner is not None}
    if sided:
        found[X] = tuple(sorted(sided.union(found.get(X, ()))))
    return dict(sorted(found.items()))


def oriented_axes(names: Iterable[str], dimension: int = 3) -> dict[int, tuple[str, ...]]:
    """Array axes (z, y, x as 0, 1, 2) that the labels' names depend on, with those names.

    Single letters count only in pairs: ``l_kidney`` needs an ``r_kidney``. In a two-dimensional image, up and down lie
    along y, and front and back may lie along either axis.

    >>> oriented_axes(["kidney_left", "kidney_right", "cleft"])
    {2: ('kidney_left', 'kidney_right')}
    """
    words = {name: tuple(word.lower() for word in _WORDS.findall(name)) for name in names}
    all_words = set(words.values())
    found: dict[int, set[str]] = {}
    for name, parts in words.items():
        axes = {AXIS_OF_WORD[part] for part in parts if part in AXIS_OF_WORD}
        if _partner(parts) in all_words:
            axes.add(X)
        if dimension == 2:
            axes = {flat for axis in axes for flat in {Z: (Y,), Y: (Y, X), X: (X,)}[axis]}
        for axis in axes:
            found.setdefault(axis, set()).add(name)
    return {axis: tuple(sorted(found[axis])) for axis in sorted(found)}


def named_partners(names: Iterable[str]) -> dict[str, str]:
    """Names that differ in left and right only, each with the other.

    >>> named_partners(["kidney_left", "kidney_right", "liver", "l_lung", "r_lung"])["l_lung"]
    'r_lung'
    """
    by_words = {tuple(word.lower() for word in _WORDS.findall(name)): name for name in names}
    other = {"left": "right", "right": "left", "l": "r", "r": "l"}
    mirrored = {words: tuple(other.get(word, word) for word in words) for words in by_words}
    return {by_words[a]: by_words[b] for a, b in mirrored.items() if a != b and b in by_words}


def _partner(parts: tuple[str, ...]) -> tuple[str, ...] | None:
    """The same name with ``l`` and ``r`` exchanged; None if it has neither."""
    if not {"l", "r"} & set(parts):
        return None
    return tuple({"l": "r", "r": "l"}.get(part, part) for part in parts)


def _rotation(
    fingerprint: Fingerprint, dimension: int, patch: tuple[int, ...], spacing_mm: Spacing, oriented: bool
) -> tuple[float, float, float]:
    """Largest angles about z, y, x."""
    if dimension == 2:
        upright = oriented or fingerprint.dimension == 3
        if max(patch) / min(patch) > ELONGATED:
            return (LARGEST_ROTATION_DEG / 2, 0.0, 0.0)
        return (LARGEST_ROTATION_DEG if upright else FREE_ROTATION_DEG, 0.0, 0.0)
    thick = max(range(3), key=lambda axis: (spacing_mm[axis], -axis))
    ratio = spacing_mm[thick] / max(spacing_mm[axis] for axis in range(3) if axis != thick)
    tilt = LARGEST_ROTATION_DEG * min(1.0, max(0.0, (FLAT_RATIO - ratio) / (FLAT_RATIO - 1)))
    z, y, x = (LARGEST_ROTATION_DEG if axis == thick else round(tilt, 1) for axis in range(3))
    return z, y, x


def _mirror_reason(oriented: dict[int, tuple[str, ...]], axes: list[int], too_short: bool) -> Reason:
    if too_short:
        saw = f"upright images, fewer than {MIRRORING_STEPS} steps"
        because = "mirrored patients are one more thing to learn; in few steps the real ones are learned better alone"
    elif oriented:
        words = [f"{AXIS_NAMES[axis]} ({', '.join(names[:4])})" for axis, names in oriented.items()]
        saw = f"labels that depend on {'; '.join(words)}, by name or because they mirror each other"
        because = "mirrored along such an axis, an image would carry the wrong names"
    else:
        saw, because = "no label that depends on a direction", "a mirrored image is as plausible as the original"
    return Reason(
        rule="augmentation.mirror",
        saw=saw,
        chose="mirroring along " + (", ".join("zyx"[axis] for axis in axes) or "no axis"),
        because=because,
        source="labels' names; users' reports of exchanged sides; one hippocampus run, yet to be isolated",
    )


def _strength_reason(rotation: tuple[float, float, float], passes: float) -> Reason:
    return Reason(
        rule="augmentation.strength",
        saw=f"each voxel is shown {passes:.3g} times",
        chose=f"{strength(passes):.0%} of the full probabilities; rotation up to "
        + ", ".join(f"{angle:g}" for angle in rotation)
        + " degrees about z, y, x",
        because=f"what is seen up to {PASSES[0]:g} times is not learned by heart, and changing it only slows learning "
        f"down; from {PASSES[1]:g} times on all of it pays; thick slices turned out of their plane are smeared",
        source="benchmarks/results/recipe.md; ranges and full probabilities: Isensee et al., Nature Methods 18 (2021)",
    )
