"""Sums of what windows say, kept only for the rows of an image that windows still add to."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autoseg.learn.windows import Place, covered, cut, product

Home = Callable[[int], torch.device]
"""Where to keep so many values."""


class Sums:
    """Weighted probabilities of all windows so far, along z from the first row that windows still add to.

    Args:
        window: Its size.
        shape: (z, y, x) of the padded image.
        inside: Where the image lies in it.
    """

    def __init__(self, window: Sequence[int], shape: Sequence[int], inside: tuple[slice, ...]) -> None:
        self._window, self._plane, self._inside = window, tuple(shape[1:]), inside
        self._depth = window[0] if len(window) == 3 else 1
        self._coverage = [covered(n, size) for n, size in zip(shape[3 - len(window) :], window, strict=True)]
        self._first = 0
        self._kept: Tensor | None = None

    @torch.inference_mode()
    def add(self, places: Sequence[Place], weighted: Tensor, home: Home) -> None:
        """Add windows (B, heads, *window) at places; where memory does not suffice, none is added."""
        kept = self._reaching(places[-1][0] + self._depth - self._first, weighted.shape[1], home)
        for (first, *rest), one in zip(places, weighted.to(kept.device), strict=True):
            cut(kept, (first - self._first, *rest), self._window).add_(one)

    @torch.inference_mode()
    def closed(self, row: int) -> NDArray[np.float32] | None:
        """Probabilities (heads, n, y, x) of the rows before ``row``, where the next window begins; None: of no row."""
        if self._kept is None or row <= self._first:
            return None
        begin, self._first = self._first, row
        sums, self._kept = self._kept, self._kept[:, row - begin :].clone()
        depth, height, width = self._inside
        inside = slice(max(begin, depth.start), min(row, depth.stop))
        if inside.start >= inside.stop:
            return None
        rows = slice(inside.start - begin, inside.stop - begin)
        found = np.ascontiguousarray(sums[:, rows, height, width].cpu().numpy())
        along = [self._coverage[0][inside]] if len(self._window) == 3 else []
        found /= product([*along, *self._coverage[-2:]])[..., height, width].numpy()
        return found

    def _reaching(self, rows: int, heads: int, home: Home) -> Tensor:
        """The sums, of so many rows at least."""
        if self._kept is None or self._kept.shape[1] < rows:
            shape = heads, rows, *self._plane
            longer = torch.zeros(shape, device=home(math.prod(shape)))
            if self._kept is not None:
                longer[:, : self._kept.shape[1]] = self._kept
            self._kept = longer
        return self._kept
