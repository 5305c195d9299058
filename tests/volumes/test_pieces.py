"""Members that tell of an image in pieces."""

import numpy as np

from autoseg.volumes.pieces import Canvas, Track, aligned

SHAPE = (7, 5, 6)


def track(heads, axis, sizes):
    return Track(axis, iter(np.split(heads, np.cumsum(sizes)[:-1], axis=1 + axis)))


def test_parts_of_all_members_lie_alike_whatever_their_pieces():
    one, other, third = np.random.default_rng(0).random((3, 2, *SHAPE), dtype=np.float32)
    tracks = track(one, 1, [1, 3, 1]), track(other, 1, [2, 3]), track(third, 0, [4, 3])
    canvases = [Canvas(SHAPE) for _ in tracks]
    for place, parts in aligned(tracks, SHAPE):
        assert len({part.shape for part in parts}) == 1
        for canvas, part in zip(canvases, parts, strict=True):
            canvas.put(place, part)
    for canvas, whole in zip(canvases, (one, other, third), strict=True):
        np.testing.assert_array_equal(canvas.array, whole)
