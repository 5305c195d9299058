"""The windows that slide over an image: where they lie, how many go together, and what each voxel of one counts."""

import itertools
import math
from collections.abc import Sequence

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


def places(shape: Sequence[int], window: Sequence[int]) -> list[Place]:
    """The places of all windows over an image (z, y, x), along z first."""
    slices = [list(range(shape[0]))] if len(window) == 2 else []
    axes = slices + [starts(n, w) for n, w in zip(shape[3 - len(window) :], window, strict=True)]
    return list(itertools.product(*axes))


def together(most: int, left: int) -> int:
    """How many windows to take next, such that sizes are few: libraries prepare for each size anew.

    >>> together(5, 11), together(5, 3)
    (4, 2)
    """
    return 1 << (min(most, left).bit_length() - 1)


def cut(volume: Tensor, place: Place, window: Sequence[int]) -> Tensor:
    """The (C, *window) view of a volume at a place."""
    *plane, height, width = (slice(start, start + n) for start, n in zip(place[-len(window) :], window, strict=True))
    return volume[:, plane[0] if plane else place[0], height, width]


def _profile(size: int) -> Tensor:
    offset = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    return torch.exp(-0.5 * (offset / (SIGMA * size)) ** 2)


def gaussian(window: Sequence[int]) -> Tensor:
    """What each voxel of a window counts, (*window) float32: most in the middle."""
    return product([_profile(size) for size in window])


def covered(size: int, window: int) -> Tensor:
    """Sum of all windows' weights along an axis; that of a voxel is their product, because windows lie on a grid."""
    line, profile = torch.zeros(size, dtype=torch.float64), _profile(window)
    for start in starts(size, window):
        line[start : start + window] += profile
    return line


def product(lines: Sequence[Tensor]) -> Tensor:
    """The outer product of lines, float32."""
    found = lines[0]
    for line in lines[1:]:
        found = found.unsqueeze(-1) * line
    return found.float()
