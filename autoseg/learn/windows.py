"""The windows that slide over an image: where they lie, how many go together, and what each voxel of one counts."""

import itertools
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

STEP = 0.5
"""Distance of neighbouring windows, in window sizes."""
SIGMA = 0.125
"""Of the Gaussian weights, in window sizes."""

Place = tuple[int, ...]
"""First voxel of a window; in 2D (slice, y, x)."""


def pad(image: Tensor, window: Sequence[int]) -> tuple[Tensor, tuple[slice, ...]]:
    """Zeros around an image smaller than the window, and where the image then lies."""
    least = (1,) * (3 - len(window)) + tuple(window)
    before = [max(0, size - n) // 2 for n, size in zip(image.shape[1:], least, strict=True)]
    after = [max(0, size - n) - b for n, size, b in zip(image.shape[1:], least, before, strict=True)]
    inside = tuple(slice(b, b + n) for b, n in zip(before, image.shape[1:], strict=True))
    if not any(before) and not any(after):
        return image, inside
    widths = [w for pair in zip(reversed(before), reversed(after), strict=True) for w in pair]
    return functional.pad(image, widths), inside


def starts(size: int, window: int) -> list[int]:
    """Evenly spread window starts, at most ``STEP`` windows apart.

    >>> starts(110, 64)
    [0, 23, 46]
    """
    count = math.ceil((size - window) / (window * STEP)) + 1
    return [round(k * (size - window) / max(1, count - 1)) for k in range(count)]


def batches(shape: Sequence[int], window: Sequence[int], most: int) -> Iterator[list[Place]]:
    """The places of all windows, so many at a time that sizes are few: libraries prepare for each size anew.

    >>> [len(places) for places in batches((11, 8, 8), (8, 8), most=5)]
    [4, 4, 2, 1]
    """
    slices = [list(range(shape[0]))] if len(window) == 2 else []
    axes = slices + [starts(n, w) for n, w in zip(shape[3 - len(window) :], window, strict=True)]
    left, places = math.prod(len(axis) for axis in axes), itertools.product(*axes)
    while left:
        count = 1 << (min(most, left).bit_length() - 1)
        left -= count
        yield list(itertools.islice(places, count))


def cut(volume: Tensor, place: Place, window: Sequence[int]) -> Tensor:
    """The (C, *window) view of a volume at a place."""
    *plane, height, width = (slice(start, start + n) for start, n in zip(place[-len(window) :], window, strict=True))
    return volume[:, plane[0] if plane else place[0], height, width]


def _profile(size: int) -> Tensor:
    offset = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    return torch.exp(-0.5 * (offset / (SIGMA * size)) ** 2)


def gaussian(window: Sequence[int]) -> Tensor:
    """What each voxel of a window counts, (*window) float32: most in the middle."""
    profiles = [_profile(size) for size in window]
    product = profiles[0]
    for profile in profiles[1:]:
        product = product.unsqueeze(-1) * profile
    return product.float()


def coverage(shape: Sequence[int], window: Sequence[int]) -> Tensor:
    """Sum of all windows' weights at each voxel; it is a product over axes because windows lie on a grid."""
    sums = []
    for n, size in zip(shape[3 - len(window) :], window, strict=True):
        line, profile = torch.zeros(n, dtype=torch.float64), _profile(size)
        for start in starts(n, size):
            line[start : start + size] += profile
        sums.append(line)
    product = sums[0]
    for line in sums[1:]:
        product = product.unsqueeze(-1) * line
    return product.float()
