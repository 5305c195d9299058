"""Labels: the values that files hold and the class indices that autoseg computes with.

Files may hold 0 and 255, gaps, negative values, or whole numbers stored as floats. Inside, 0 is background and k is the
k-th label. Where nobody declared the labels, the values that occur are the labels.
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from autoseg.contracts import Label, LabelSet
from autoseg.errors import LabelError

MOST_LABELS = 256
"""More different values than this in one file are an image's, not a mask's."""
_ROUNDING = 1e-3
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
    return rounded.astype(np.int64), error > 0


def count_values(label: np.ndarray) -> dict[int, int]:
    """Voxels per value of an integer array, in ascending order of values.

    >>> count_values(np.array([0, 255, 255], np.uint8))
    {0: 1, 255: 2}
    """
    if label.size == 0:
        return {}
    low, high = int(label.min()), int(label.max())
    if high - low >= _TABLE_ENTRIES:
        values, counts = np.unique(label, return_counts=True)
        return {int(value): int(count) for value, count in zip(values, counts, strict=True)}
    table = np.zeros(high - low + 1, np.int64)
    for piece in _pieces(label):
        table += np.bincount(piece.astype(np.int64) - low, minlength=len(table))
    return {low + int(value): int(table[value]) for value in np.flatnonzero(table)}


def infer(values: Iterable[int]) -> LabelSet:
    """The labels of a data set that declares none: every value but 0. A single one is called ``foreground``.

    >>> [(label.name, label.value) for label in infer([0, 255]).labels]
    [('foreground', 255)]
    >>> infer([0, 1, 3]).targets
    ('label_1', 'label_3')

    Raises:
        LabelError: So many values that they cannot be classes.
    """
    found = sorted(set(values) - {0})
    if len(found) > MOST_LABELS:
        raise LabelError(
            f"the masks hold {len(found)} different values between {found[0]} and {found[-1]}; these look like "
            "numbered objects rather than classes; write masks with one value per class"
        )
    if len(found) == 1:
        return LabelSet(labels=(Label(name="foreground", value=found[0]),))
    return LabelSet(labels=tuple(Label(name=f"label_{value}", value=value) for value in found))


def named(labels: LabelSet, names: Mapping[int, str]) -> LabelSet:
    """Exclusive labels, called as ``names`` says of their values.

    >>> named(infer([0, 1, 3]), {1: "liver", 2: "spleen"}).targets
    ('liver', 'label_3')
    """
    called = tuple(label.model_copy(update={"name": names.get(label.value, label.name)}) for label in labels.labels)
    return labels.model_copy(update={"labels": called})


def class_of(labels: LabelSet) -> dict[int, int]:
    """Class index of each file value.

    >>> class_of(infer([0, 7, 9]))
    {0: 0, 7: 1, 9: 2}
    """
    classes = {labels.background_value: 0} | {label.value: k for k, label in enumerate(labels.labels, start=1)}
    if labels.ignore_value is not None and labels.ignore_index is not None:
        classes[labels.ignore_value] = labels.ignore_index
    return classes


def to_classes(label: np.ndarray, classes: dict[int, int]) -> np.ndarray:
    """Translate values by ``classes`` (value -> class index); same shape, uint8 or, beyond 255 classes, uint16.

    >>> to_classes(np.array([0, 255], np.uint8), {0: 0, 255: 1})
    array([0, 1], dtype=uint8)

    Raises:
        LabelError: A value has no class.
    """
    counts = count_values(label)
    unknown = [value for value in counts if value not in classes]
    if unknown:
        listed = ", ".join(f"{value} ({counts[value]} voxels)" for value in unknown[:5])
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        raise LabelError(
            f"the label has values that are not declared: {listed}{more}; expected {sorted(classes)[:20]}; declare "
            "them or correct the mask"
        )
    dtype = np.uint8 if max(classes.values(), default=0) < 256 else np.uint16
    if not counts:
        return label.astype(dtype)
    present = np.array(sorted(counts))
    targets = np.array([classes[int(value)] for value in present], dtype)
    result = np.empty(label.shape, dtype)
    for piece, translated in zip(_pieces(label), _pieces(result), strict=True):
        translated[...] = targets[np.searchsorted(present, piece)]
    return result


def _pieces(array: np.ndarray) -> Iterator[np.ndarray]:
    """Views of a few million voxels each, so that wide intermediate results stay small."""
    flat = array.reshape(-1)
    for start in range(0, flat.size, _PIECE_VOXELS):
        yield flat[start : start + _PIECE_VOXELS]
