"""From probabilities to masks: deciding, painting, cleaning, and the values that stand in files.

A *class map* holds class indices (0 background, k the k-th label). Exclusive labels: each voxel takes the class of its
largest probability. Regions: each region has a mask of its own (probability over 0.5), and the masks are painted into
one class map in order, later ones over earlier ones.

Cleaning works on the mask of one target. Components are connected through faces, edges and corners (26 neighbours, 8 in
a plane); holes therefore are background pockets closed under the opposite rule, faces only. Volumes of one slice
(``z = 1``) are treated as planes, so that a hole in a 2D mask is a hole.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from autoseg.errors import LabelError
from autoseg.volumes.geometry import as_stored
from planners.contracts import LabelKind, Spacing

Mask = npt.NDArray[np.bool_]
Classes = npt.NDArray[np.unsignedinteger]
Probabilities = npt.NDArray[np.floating]
Slices = tuple[slice, slice, slice]

FULL = np.ones((3, 3, 3), dtype=bool)
"""26 neighbours: what counts as connected."""
FACES = ndimage.generate_binary_structure(3, 1)
"""6 neighbours: how background is connected around holes."""


# ------------------------------------------------------------------------------------------------------ deciding


def to_classes(
    probabilities: Probabilities,
    kind: LabelKind,
    writes: Sequence[int] = (),
    biases: Sequence[float] = (),
    parents: Sequence[int | None] = (),
) -> Classes:
    """The class map that probabilities (H, ...) stand for.

    Args:
        probabilities: Exclusive: head k is class k, ties go to the lower class. Regions: one head per region.
        kind: How heads compete.
        writes: Class index that each region paints, in painting order; not needed for exclusive labels.
        biases: One per target, as for ``over_threshold``; exclusive labels compete after it, background has none.
        parents: As for ``inside_parents``; empty: regions are left as they are.

    Returns:
        (...), uint8 or uint16.

    >>> to_classes(np.array([0.2, 0.5, 0.3]).reshape(3, 1, 1, 1), "exclusive").item()
    1
    >>> to_classes(np.array([0.9, 0.6, 0.3]).reshape(3, 1, 1, 1), "regions", writes=(2, 1, 3)).item()
    1
    """
    if kind == "regions":
        return paint(inside_parents(over_threshold(probabilities, biases), parents), writes)
    classes = np.zeros(probabilities.shape[1:], dtype=index_dtype(len(probabilities) - 1))
    best = np.array(probabilities[0])
    for head in range(1, len(probabilities)):  # a running maximum reads memory in order; argmax over axis 0 does not
        bias = biases[head - 1] if biases else 0.0
        one = probabilities[head] * np.float32(np.exp(bias)) if bias else probabilities[head]
        np.copyto(classes, head, where=one > best, casting="unsafe")
        np.maximum(best, one, out=best)
    return classes


def over_threshold(probabilities: Probabilities, biases: Sequence[float] = ()) -> npt.NDArray[np.bool_]:
    """Region masks (H, ...): where the logit plus the region's bias is above 0; without biases, probability over 0.5.

    >>> over_threshold(np.array([[0.4], [0.4]]), biases=(0.0, 0.5)).tolist()
    [[False], [True]]
    """
    if not any(biases):
        return probabilities > 0.5
    limits = (1 / (1 + np.exp(np.asarray(biases)))).astype(np.float32)
    return np.stack([head > limit for head, limit in zip(probabilities, limits, strict=True)])


def inside_parents(masks: npt.NDArray[np.bool_], parents: Sequence[int | None]) -> npt.NDArray[np.bool_]:
    """Region masks (T, ...) without what lies outside the region around them.

    Args:
        masks: One per region; changed in place.
        parents: Of each region, the one it must lie in, which comes before it; None: it lies in none. Empty: nobody.

    >>> inside_parents(np.array([[True, False], [True, True]]), parents=(None, 0)).tolist()
    [[True, False], [True, False]]
    """
    for mask, parent in zip(masks, parents, strict=bool(parents)):
        if parent is not None:
            mask &= masks[parent]
    return masks


def paint(masks: npt.NDArray[np.bool_], writes: Sequence[int]) -> Classes:
    """One class map from region masks (T, z, y, x); ``writes[t]`` is the class of region t, later ones win."""
    if len(masks) != len(writes):
        raise ValueError(f"{len(masks)} masks but {len(writes)} classes to write")
    classes = np.zeros(masks.shape[1:], dtype=index_dtype(max(writes, default=0)))
    for mask, index in zip(masks, writes, strict=True):
        classes[mask] = index
    return classes


def member_mask(classes: Classes, members: Sequence[int]) -> Mask:
    """Where a class map shows one of the ``members``: the mask of a target."""
    mask = classes == members[0]
    for member in members[1:]:
        mask |= classes == member
    return mask


def one_hot(classes: Classes, targets: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
    """One mask per target, (K, z, y, x) of 0 and 1.

    Args:
        classes: (z, y, x) class indices.
        targets: Class indices of each target.
    """
    return np.stack([member_mask(classes, members) for members in targets]).astype(np.float32)


def index_dtype(largest: int) -> type[np.unsignedinteger]:
    """The dtype of class maps: uint8 wherever it suffices."""
    return np.uint8 if largest < 256 else np.uint16


# ------------------------------------------------------------------------------------------------------ cleaning


def clean(
    mask: Mask,
    spacing_mm: Spacing,
    *,
    keep_largest: bool,
    minimum_mm3: float,
    fill_holes: bool,
    smooth_mm: float = 0.0,
) -> Mask:
    """A cleaned copy of one target's mask (z, y, x): smooth, then largest component, then minimum size, then holes."""
    if smooth_mm > 0:
        mask = smoothed(mask, smooth_mm, spacing_mm)
    if keep_largest:
        mask = largest_component(mask)
    if minimum_mm3 > 0:
        mask = without_small(mask, minimum_mm3, spacing_mm)
    if fill_holes:
        mask = with_holes_filled(mask)
    return mask.copy()


def smoothed(mask: Mask, smooth_mm: float, spacing_mm: Spacing) -> Mask:
    """Where a Gaussian average of the mask is over one half: corners are rounded, specks and thin bridges vanish.

    Nothing appears outside the mask's bounding box, and beyond the image counts as outside the mask; so a crop around
    the mask gives what the whole volume gives.

    Args:
        mask: (z, y, x).
        smooth_mm: Standard deviation of the Gaussian.
        spacing_mm: Size of a voxel.
    """
    inside = bounding_slices(mask)
    if inside is None:
        return mask
    plane = mask.shape[0] == 1
    sigma = [0.0 if plane and axis == 0 else smooth_mm / step for axis, step in enumerate(spacing_mm)]
    average = ndimage.gaussian_filter(mask[inside].astype(np.float32), sigma, mode="constant", truncate=3.0)
    result = np.zeros_like(mask)
    result[inside] = average > 0.5
    return result


def largest_component(mask: Mask) -> Mask:
    """Only the largest connected component; of equals, the first in array order. An empty mask stays empty."""
    return _keep(mask, lambda sizes: np.arange(len(sizes)) == np.argmax(sizes))


def without_small(mask: Mask, minimum_mm3: float, spacing_mm: Spacing) -> Mask:
    """Without connected components smaller than ``minimum_mm3``."""
    voxel_mm3 = float(np.prod(spacing_mm))
    return _keep(mask, lambda sizes: np.asarray(sizes * voxel_mm3 >= minimum_mm3))


def with_holes_filled(mask: Mask) -> Mask:
    """With background pockets filled that no path of face neighbours leads out of; open at the image border."""
    inside = bounding_slices(mask)
    if inside is None:
        return mask
    result = mask.copy()
    result[inside] |= holes(mask[inside]) > 0
    return result


def holes(mask: Mask) -> npt.NDArray[np.int32]:
    """The holes of a mask (z, y, x), numbered from 1. What touches the array's border is no hole."""
    plane = mask.shape[0] == 1
    padded = np.pad(~mask, ((0, 0) if plane else (1, 1), (1, 1), (1, 1)), constant_values=True)
    numbers, _ = ndimage.label(padded, structure=FACES)
    inner = numbers[:, 1:-1, 1:-1] if plane else numbers[1:-1, 1:-1, 1:-1]
    return np.maximum(inner.astype(np.int32) - 1, 0)  # the padding's pocket is number 1: it holds the first voxel


def bounding_slices(values: Mask | npt.NDArray[np.integer]) -> Slices | None:
    """The smallest box around what is not zero in a mask, or in whole numbers (z, y, x); None where all is."""
    if not values.size:
        return None
    spans = [slice(0)] * 3
    axes = sorted(range(3), key=lambda axis: -abs(values.strides[axis]))
    rest = as_stored(values)  # its axes are those, in this order
    for axis in axes:  # each pass projects away one axis, so that later passes are cheap
        hit = np.flatnonzero(np.bitwise_or.reduce(rest, axis=tuple(range(1, rest.ndim))))
        if not len(hit):
            return None
        first, last = int(hit[0]), int(hit[-1])
        rest = np.bitwise_or.reduce(rest[first : last + 1], axis=0)
        turned = values.strides[axis] < 0
        start = values.shape[axis] - 1 - last if turned else first
        spans[axis] = slice(start, start + last - first + 1)
    return (spans[0], spans[1], spans[2])


def _keep(mask: Mask, choose: Callable[[npt.NDArray[np.int64]], Mask]) -> Mask:
    """Keep the components whose sizes in voxels ``choose`` likes."""
    inside = bounding_slices(mask)
    if inside is None:
        return mask
    numbers, count = ndimage.label(mask[inside], structure=FULL)
    sizes = np.bincount(numbers.ravel(), minlength=count + 1)[1:]
    kept = np.concatenate([[False], choose(sizes)])
    result = np.zeros_like(mask)
    result[inside] = kept[numbers]
    return result


# --------------------------------------------------------------------------------------------------- file values


def to_file_values(classes: Classes, values: Sequence[int], background: int = 0) -> npt.NDArray[np.integer]:
    """Replace class indices by the values of the files; ``values[k - 1]`` belongs to class k.

    Returns:
        The narrowest of uint8, uint16, int16, int32 and int64 that holds every value of the label set, present or not,
        so that all masks of a data set have one dtype.

    Raises:
        LabelError: A value does not fit into 64 bits.

    >>> to_file_values(np.array([0, 1, 2], dtype=np.uint8), values=(255, 1000)).tolist()
    [0, 255, 1000]
    """
    table = [background, *values]
    for name in ("uint8", "uint16", "int16", "int32", "int64"):
        limits = np.iinfo(name)
        if limits.min <= min(table) and max(table) <= limits.max:
            return np.array(table, dtype=name)[classes]
    raise LabelError(f"label values {min(table)} to {max(table)} do not fit into 64 bits; renumber the labels")
