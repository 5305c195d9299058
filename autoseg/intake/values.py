"""Which of the values in masks are labels, and which are strays: traces of lossy saving, smoothing or interpolation.

A label is drawn in areas, so most of its voxels are *solid*: surrounded by their own value. Strays line borders or are
specks. So a value is a label if a tenth of its voxels is solid; the background and the most frequent other value always
are. Strays are looked for only where labels are coded as grey levels or colours, far apart: next to labels 1, 2, 3 the
value 4 is another label and not a stray of 3.

The rule: strays that are less than 1 % of a mask, each within 10 grey levels of a label, are taken for that label. More
of them, or others, make the mask unusable, unless it was asked that all snap.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from autoseg.contracts import Coding
from autoseg.intake.findings import Finding
from autoseg.labelling import count_values, spelled

NEAR_LEVELS = 10
"""Strays this close to a label are taken for it."""
STRAY_SHARE = 0.01
"""Of a mask's voxels; more strays than this are no accident."""

_SOLID_SHARE = 0.1
_LOSSY_FROM = 8  # so many values without solid voxels come from a process, not from a brush
_OUTSHONE = 0.2  # in such masks, a value near another one so much more frequent is part of its noise
_MASK_VALUES = 64  # no mask drawn by hand has more grey levels
_IMAGE_COVER = 0.5
_SURROUNDING = 0.9
_LARGEST_GREY = 65_535


@dataclass(frozen=True)
class Tally:
    """One value in one mask: its voxels, how many of them in the outermost rows and columns, how many solid."""

    value: int
    voxels: int
    border: int
    solid: int


@dataclass(frozen=True)
class Sorted:
    """Values that are labels (the background among them), and for each stray the label next to it."""

    labels: tuple[int, ...]
    nearest: Mapping[int, int]


def tally(label: np.ndarray, voxels: Mapping[int, int], coding: Coding) -> tuple[Tally, ...]:
    """Describe the values of a mask (z, y, x), whose voxels per value have been counted.

    Solid voxels are counted only where strays are possible at all.
    """
    border = count_values(_border(label))
    solid = _solid(label) if _may_be_grey(voxels, coding) else {}
    return tuple(Tally(v, n, border.get(v, 0), solid.get(v, 0)) for v, n in voxels.items())


def sort_out(masks: Sequence[Sequence[Tally]], coding: Coding, *, snap: bool = False) -> Sorted:
    """Tell labels from strays.

    Args:
        masks: The values of each mask of the data set.
        coding: How values stand for grey levels or colours.
        snap: Whatever is not solid is a stray, even where it is frequent.
    """
    pooled, solid, share = _pool(masks)
    if not _may_be_grey(pooled, coding):
        return Sorted(tuple(sorted(pooled)), {})
    firm = _firm(pooled, solid, coding)
    if any(_distance(a, b, coding) <= 2 * NEAR_LEVELS for n, a in enumerate(firm) for b in firm[:n]):
        return Sorted(tuple(sorted(pooled)), {})  # values are numbers, not grey levels
    rest = [value for value in pooled if value not in firm]
    thin = [v for v in rest if share[v] >= STRAY_SHARE and _from_nearest(v, firm, coding) > NEAR_LEVELS]
    if snap or len(rest) >= _LOSSY_FROM:
        thin = []
    labels = (*firm, *thin)
    return Sorted(tuple(sorted(labels)), {v: nearest(v, labels, coding) for v in rest if v not in thin})


def sort_declared(mask: Sequence[Tally], declared: Iterable[int], coding: Coding, *, snap: bool = False) -> Sorted:
    """The same where labels are declared: all other values are strays, if the labels lie far enough apart for that."""
    labels = tuple(sorted(declared))
    apart = all(_distance(a, b, coding) > 2 * NEAR_LEVELS for n, a in enumerate(labels) for b in labels[:n])
    others = [item.value for item in mask if item.value not in labels]
    return Sorted(labels, {v: nearest(v, labels, coding) for v in others} if apart or snap else {})


def judge(mask: Sequence[Tally], found: Sorted, coding: Coding, *, snap: bool = False) -> tuple[str, Finding | None]:
    """What the rule says of a mask: a problem (empty: none), and what is told of strays that become labels."""
    total = sum(item.voxels for item in mask)
    strays = [item for item in mask if item.value in found.nearest]
    if not strays:
        return "", None
    voxels = sum(item.voxels for item in strays)
    far = [item for item in strays if _distance(item.value, found.nearest[item.value], coding) > NEAR_LEVELS]
    said = f"the mask has {len(strays)} stray values in {voxels} of {total} voxels ({voxels / total:.2g}): "
    said += _listed(strays, found, coding)
    if snap or (not far and voxels < STRAY_SHARE * total):
        return "", Finding(said, "each is taken for the nearest label")
    why = f"{voxels / total:.1%} of the voxels is more than {STRAY_SHARE:.0%}"
    if far:
        why = f"{_listed(far, found, coding)}: more than {NEAR_LEVELS} levels from any label"
    return (
        f"{said}; {why}; it looks saved with loss (JPEG), smoothed or interpolated; save it as PNG, or resample it "
        "with nearest neighbours; or declare its values; or add --snap-labels to take each for the nearest label",
        None,
    )


def looks_like_image(mask: Sequence[Tally], found: Sorted, coding: Coding) -> bool:
    """Many values, and few of the voxels outside the most frequent value have one that is a label or next to one."""
    if len(mask) <= _MASK_VALUES:
        return False
    ground = max(mask, key=lambda item: item.voxels).value
    drawn = [item for item in mask if item.value != ground]
    solid = [item.value for item in drawn if item.solid >= max(1, _SOLID_SHARE * item.voxels)]
    known = solid or [max(drawn, key=lambda item: item.voxels).value]
    reach = NEAR_LEVELS if found.nearest else 0
    near = sum(item.voxels for item in drawn if _from_nearest(item.value, known, coding) <= reach)
    return near < _IMAGE_COVER * sum(item.voxels for item in drawn)


def background(masks: Sequence[Sequence[Tally]], labels: Sequence[int]) -> int | None:
    """The label that lies around everything else: 0 if it is one, else the one that fills most borders; or None."""
    if 0 in labels:
        return 0
    tops = Counter(_around(mask) for mask in masks)
    value, votes = tops.most_common(1)[0] if tops else (None, 0)
    known = value in labels and len(labels) > 1
    return value if known and votes >= _SURROUNDING * len(masks) else None


def surrounds(value: int, masks: Sequence[Sequence[Tally]]) -> bool:
    """Whether a value fills nine tenths of the borders, in nine tenths of the masks."""
    shares = []
    for mask in masks:
        border = sum(item.border for item in mask)
        shares.append(sum(item.border for item in mask if item.value == value) >= _SURROUNDING * border)
    return sum(shares) >= _SURROUNDING * len(shares)


def nearest(value: int, labels: Iterable[int], coding: Coding) -> int:
    """The label closest to a value, the smaller one of two."""
    return min(sorted(labels), key=lambda label: _distance(value, label, coding))


def _around(mask: Sequence[Tally]) -> int | None:
    """The value that fills more than half of the border."""
    border = sum(item.border for item in mask)
    return next((item.value for item in mask if 2 * item.border > border), None)


def _firm(pooled: Mapping[int, int], solid: Mapping[int, int], coding: Coding) -> list[int]:
    """Background, most frequent other value, and all that are solid enough, most frequent first."""
    by_count = sorted(pooled, key=lambda value: (-pooled[value], value))
    ground = by_count[0] if _shadowed(0, pooled, coding) else 0
    first = next(value for value in by_count if value != ground)
    firm = [v for v in by_count if v in (ground, first) or solid[v] >= max(1, _SOLID_SHARE * pooled[v])]
    if len(pooled) - len(firm) < _LOSSY_FROM:
        return firm
    kept: list[int] = []
    for value in firm:
        outshone = any(
            _distance(value, other, coding) <= NEAR_LEVELS and pooled[value] < _OUTSHONE * pooled[other]
            for other in kept
        )
        if not outshone or value in (ground, first):
            kept.append(value)
    return kept


def _shadowed(value: int, pooled: Mapping[int, int], coding: Coding) -> bool:
    """Whether a value is absent, or next to one that is more frequent."""
    near = (v for v in pooled if _distance(v, value, coding) <= NEAR_LEVELS)
    return value not in pooled or any(pooled[v] > pooled[value] for v in near)


def _pool(masks: Sequence[Sequence[Tally]]) -> tuple[dict[int, int], dict[int, int], dict[int, float]]:
    """Voxels and solid voxels of each value, and its largest share of any mask."""
    voxels, solid, share = Counter[int](), Counter[int](), dict[int, float]()
    for mask in masks:
        total = sum(item.voxels for item in mask)
        for item in mask:
            voxels[item.value] += item.voxels
            solid[item.value] += item.solid
            share[item.value] = max(share.get(item.value, 0.0), item.voxels / total)
    return dict(voxels), dict(solid), share


def _border(label: np.ndarray) -> np.ndarray:
    """Voxels in the outermost rows and columns of every slice."""
    edges = (label[:, 0], label[:, -1], label[:, 1:-1, 0], label[:, 1:-1, -1])
    return np.concatenate([edge.ravel() for edge in edges])


def _solid(label: np.ndarray) -> dict[int, int]:
    """Voxels of each value whose eight neighbours in the slice have the same value."""
    found = Counter[int]()
    for plane in label:
        inner = plane[1:-1, 1:-1]
        same = np.ones(inner.shape, bool)
        for row in range(3):
            for column in range(3):
                same &= plane[row : row + inner.shape[0], column : column + inner.shape[1]] == inner
        found.update(count_values(inner[same]))
    return dict(found)


def _may_be_grey(values: Iterable[int], coding: Coding) -> bool:
    """Whether values can be grey levels with strays: more than two, far apart, and none that no picture could hold."""
    listed = sorted(values)
    if len(listed) <= 2:
        return False
    if coding == "values":
        return listed[0] >= 0 and 2 * NEAR_LEVELS < listed[-1] <= _LARGEST_GREY
    channels = np.array(listed)[:, None] >> np.array([16, 8, 0]) & 255
    return int((channels.max(axis=0) - channels.min(axis=0)).max()) > 2 * NEAR_LEVELS


def _distance(a: int, b: int, coding: Coding) -> int:
    """In grey levels; of colours, the largest over the channels."""
    if coding == "values":
        return abs(a - b)
    return max(abs((a >> shift & 255) - (b >> shift & 255)) for shift in (16, 8, 0))


def _from_nearest(value: int, labels: Iterable[int], coding: Coding) -> int:
    return min((_distance(value, label, coding) for label in labels), default=NEAR_LEVELS + 1)


def _listed(items: Sequence[Tally], found: Sorted, coding: Coding) -> str:
    shown = sorted(items, key=lambda item: -item.voxels)[:5]
    near = {item.value: spelled(found.nearest[item.value], coding) for item in shown}
    texts = [f"{spelled(i.value, coding)} ({i.voxels} voxels, nearest label {near[i.value]})" for i in shown]
    return ", ".join(texts) + (f" and {len(items) - 5} more" if len(items) > 5 else "")
