"""Predictions back on the grid of their image, piece by piece: the whole of many heads may exceed the memory."""

from collections.abc import Iterable, Iterator

import numpy as np

from autoseg.volumes.preparation import Geometry, in_canonical_order
from autoseg.volumes.resample import LINEAR, along, matrix, resample_probabilities

_MARGIN_ROWS = 32


def restored_pieces(rows: Iterable[np.ndarray], geometry: Geometry, background: int | None) -> Iterator[np.ndarray]:
    """Bring predictions back to the canonical source grid, in pieces along its axis ``geometry.axes[0]``.

    Args:
        rows: (H, n, ...) float32, pieces of the prepared grid along its first axis, in their order.
        geometry: From ``prepare``.
        background: The head that is certain outside the crop (exclusive labels: 0); None: all are 0 there (regions).

    Yields:
        (H, z, y, x) float32, C-contiguous; together they are the canonical source grid.
    """
    (start, stop), *plane = geometry.crop_box
    height, width = (end - begin for begin, end in plane)
    heads = 0
    for piece in _interpolated(rows, geometry.shape[0], stop - start):
        if not heads:
            heads = len(piece)
            yield from _margin(heads, start, geometry, background)
        inner = resample_probabilities(piece, (piece.shape[1], height, width))
        yield in_canonical_order(_embedded(inner, geometry, background), geometry.axes)
    yield from _margin(heads, geometry.source_shape[0] - stop, geometry, background)


def _interpolated(rows: Iterable[np.ndarray], source: int, target: int) -> Iterator[np.ndarray]:
    """Linear along the first axis: all that follows from the rows so far, of which only what is needed is kept."""
    if source == target:
        yield from rows
        return
    weights = matrix(source, target, LINEAR)
    used = weights != 0
    first_used, last_used = used.argmax(axis=1), source - 1 - used[:, ::-1].argmax(axis=1)
    done, begin, kept = 0, 0, None
    for piece in rows:
        kept = piece if kept is None else np.concatenate((kept, piece), axis=1)
        end = begin + kept.shape[1]
        ready = int(np.searchsorted(last_used, end))
        if ready > done:
            yield np.stack([along(head, weights[done:ready, begin:end], 0) for head in kept])
            done = ready
            needed = int(first_used[ready]) if ready < target else end
            begin, kept = needed, kept[:, needed - begin :]


def _embedded(inner: np.ndarray, geometry: Geometry, background: int | None) -> np.ndarray:
    """Rows of the crop with the rest of their planes around them."""
    _, height, width = geometry.source_shape
    if inner.shape[2:] == (height, width):
        return inner
    out = _nothing(len(inner), inner.shape[1], geometry, background)
    out[:, :, *(slice(*span) for span in geometry.crop_box[1:])] = inner
    return out


def _margin(heads: int, rows: int, geometry: Geometry, background: int | None) -> Iterator[np.ndarray]:
    """Rows outside the crop."""
    for begin in range(0, rows, _MARGIN_ROWS):
        piece = _nothing(heads, min(_MARGIN_ROWS, rows - begin), geometry, background)
        yield in_canonical_order(piece, geometry.axes)


def _nothing(heads: int, rows: int, geometry: Geometry, background: int | None) -> np.ndarray:
    out = np.zeros((heads, rows, *geometry.source_shape[1:]), np.float32)
    if background is not None:
        out[background] = 1.0
    return out
