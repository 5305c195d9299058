"""Labels: the values that files hold and the class indices that autoseg computes with.

Files may hold 0 and 255, gaps, negative values, or whole numbers stored as floats. Inside, 0 is background and k is the
k-th label. Where nobody declared the labels, the values that occur are the labels.
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from autoseg.contracts import Coding, Label, LabelSet
from autoseg.errors import LabelError
from autoseg.volumes.geometry import as_stored

MOST_LABELS = 256
"""More different values than this in one file are an image's, not a mask's."""
_ROUNDING = 1e-3
_LARGEST_VALUE = 2.0**63
_TABLE_ENTRIES = 2**20
_PIECE_VOXELS = 2**22


def as_whole_numbers(label: np.ndarray) -> tuple[np.ndarray, bool]:
    """A label as an integer array, and whether values had to be rounded to get there.

    >>> as_whole_numbers(np.array([0.0, 0.9996, 2.0]))
    (array([0, 1, 2]), True)

    Raises:
        LabelError: Values lie further than 0.001 from whole numbers, or are not finite.
    """
    if label.dtype.kind in "bui":
        if label.dtype == np.uint64:  # so that no arithmetic with signed numbers falls back to floats
            return _within_64_bits(label).astype(np.int64), False
        return label.view(np.uint8) if label.dtype == bool else label, False
    if not np.isfinite(label).all():
        count = int((~np.isfinite(label)).sum())
        raise LabelError(
            f"the label has {count} NaN or infinite voxels; expected whole numbers; redraw or re-export it"
        )
    rounded = np.rint(label)
    error = float(np.abs(label - rounded).max(initial=0.0))
    if error > _ROUNDING:
        different = len(np.unique(label))
        raise LabelError(
            f"the label has {different} different values that are not whole numbers (off by up to {error:.3g}); it "
            "looks interpolated or like an image; export it again with nearest-neighbour interpolation"
        )
    return _within_64_bits(rounded).astype(np.int64), error > 0


def _within_64_bits(label: np.ndarray) -> np.ndarray:
    largest = max((abs(float(value)) for value in (label.min(), label.max())), default=0.0) if label.size else 0.0
    if largest >= _LARGEST_VALUE:
        raise LabelError(f"the label has values up to {largest:g}, which do not fit 64 bits; renumber its classes")
    return label


def colours_as_values(array: np.ndarray) -> np.ndarray:
    """Colours (3, z, y, x) of 8 bits as the numbers 0xRRGGBB, (1, z, y, x) int32; black is 0.

    >>> hex(colours_as_values(np.array([255, 128, 0], np.uint8).reshape(3, 1, 1, 1)).item())
    '0xff8000'

    Raises:
        LabelError: A channel exceeds 255.
    """
    if array.min(initial=0) < 0 or array.max(initial=0) > 255:
        raise LabelError("the mask's colours have more than 8 bits per channel; save it with 8 bits")
    red, green, blue = array.astype(np.int32)
    return (red << 16 | green << 8 | blue)[None]


def spelled(value: int, coding: Coding) -> str:
    """A value as its file shows it: ``128``, or ``#ff0000``.

    >>> spelled(0xFF0000, "rgb"), spelled(128, "values")
    ('#ff0000', '128')
    """
    return f"#{value:06x}" if coding == "rgb" else str(value)


def count_values(label: np.ndarray) -> dict[int, int]:
    """Voxels per value of an integer array, in ascending order of values.

    >>> count_values(np.array([0, 255, 255], np.uint8))
    {0: 1, 255: 2}
    """
    if label.size == 0:
        return {}
    drawn = np.concatenate(
        [piece[piece != 0] for piece in _pieces(as_stored(label))]
    )  # most of most labels is background
    counts = {0: label.size - drawn.size} if drawn.size < label.size else {}
    if drawn.size:
        counts |= _count_each(drawn)
    return dict(sorted(counts.items()))


def _count_each(values: np.ndarray) -> dict[int, int]:
    low, high = int(values.min()), int(values.max())
    if high - low >= _TABLE_ENTRIES:
        found, counts = np.unique(values, return_counts=True)
        return {int(value): int(count) for value, count in zip(found, counts, strict=True)}
    table = np.zeros(high - low + 1, np.int64)
    for piece in _pieces(values):
        table += np.bincount(piece.astype(np.int64) - low, minlength=len(table))
    return {low + int(value): int(table[value]) for value in np.flatnonzero(table)}


def infer(
    values: Iterable[int],
    background: int = 0,
    coding: Coding = "values",
    names: Mapping[int, str] | None = None,
) -> LabelSet:
    """The labels of a data set that declares none: every value but the background.

    Values that the files themselves name keep their ``names``; of others, a single one is called ``foreground``.

    >>> [(label.name, label.value) for label in infer([0, 255]).labels]
    [('foreground', 255)]
    >>> infer([0, 1, 3]).targets
    ('label_1', 'label_3')
    >>> infer([0, 0xFF0000, 0x00FF00], coding="rgb").targets
    ('colour_00ff00', 'colour_ff0000')

    Raises:
        LabelError: So many values that they cannot be classes.
    """
    found = sorted(set(values) - {background})
    if len(found) > MOST_LABELS:
        raise LabelError(
            f"the masks hold {len(found)} different values between {found[0]} and {found[-1]}; these look like "
            "numbered objects rather than classes; write masks with one value per class"
        )
    made_up = {value: "foreground" if len(found) == 1 else _name(value, coding) for value in found}
    labels = tuple(Label(name=(names or {}).get(value, made_up[value]), value=value) for value in found)
    return LabelSet(labels=labels, background_value=background, coding=coding)


def _name(value: int, coding: Coding) -> str:
    return f"colour_{value:06x}" if coding == "rgb" else f"label_{value}"


def class_of(labels: LabelSet) -> dict[int, int]:
    """Class index of each file value.

    >>> class_of(infer([0, 7, 9]))
    {0: 0, 7: 1, 9: 2}
    """
    classes = {labels.background_value: 0} | {label.value: k for k, label in enumerate(labels.labels, start=1)}
    if labels.ignore_value is not None and labels.ignore_index is not None:
        classes[labels.ignore_value] = labels.ignore_index
    return classes


def to_classes(label: np.ndarray, classes: Mapping[int, int], counts: Mapping[int, int] | None = None) -> np.ndarray:
    """Translate values by ``classes`` (value -> class index); same shape, uint8 or, beyond 255 classes, uint16.

    >>> to_classes(np.array([0, 255], np.uint8), {0: 0, 255: 1})
    array([0, 1], dtype=uint8)

    Args:
        label: Whole numbers of any shape; returned as it is where nothing changes.
        classes: Of each value.
        counts: Voxels per value, where they are known: of the label, or of a larger one that it is a part of.

    Raises:
        LabelError: A value has no class.
    """
    counts = count_values(label) if counts is None else counts
    unknown = [value for value in counts if value not in classes]
    if unknown:
        listed = ", ".join(f"{value} ({counts[value]} voxels)" for value in unknown[:5])
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        raise LabelError(
            f"the label has values that are not declared: {listed}{more}; expected {sorted(classes)[:20]}; declare "
            "them or correct the mask"
        )
    dtype = np.uint8 if max(classes.values(), default=0) < 256 else np.uint16
    if all(classes[value] == value for value in counts):
        return label.astype(dtype, copy=False)
    label = np.ascontiguousarray(label)
    present = np.array(sorted(counts))
    targets = np.array([classes[int(value)] for value in present], dtype)
    result = np.full(label.shape, classes.get(0, 0), dtype)
    for piece, translated in zip(_pieces(label), _pieces(result), strict=True):
        drawn = piece != 0
        translated[drawn] = targets[np.searchsorted(present, piece[drawn])]
    return result


def _pieces(array: np.ndarray) -> Iterator[np.ndarray]:
    """Views of a few million voxels each, so that wide intermediate results stay small."""
    flat = array.reshape(-1)
    for start in range(0, flat.size, _PIECE_VOXELS):
        yield flat[start : start + _PIECE_VOXELS]
