"""An image worked on piece by piece, so that the probabilities of many heads never lie in memory as a whole.

Each member of a model tells its probabilities in pieces along one axis of the image. ``aligned`` has all members tell
of the same part of the image at a time, and a ``Canvas`` puts together what is kept of the parts.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from planners.contracts import Shape

Heads = npt.NDArray[np.float32]
Place = tuple[slice, slice, slice]


class Track(NamedTuple):
    """What one member says of an image.

    Attributes:
        axis: Of (z, y, x), along which the pieces follow each other.
        pieces: (H, z, y, x), which together are the image.
    """

    axis: int
    pieces: Iterator[Heads]


def aligned(tracks: Sequence[Track], shape: Shape) -> Iterator[tuple[Place, list[Heads]]]:
    """Part by part, where it lies in an image of this shape, and what each member says of it.

    A member whose pieces lie along another axis than the first one's is waited for and kept as a whole.
    """
    axis = tracks[0].axis
    sources = [track.pieces if track.axis == axis else iter([_whole(track)]) for track in tracks]
    waiting = [next(source) for source in sources]
    done = 0
    while True:
        size = min(heads.shape[1 + axis] for heads in waiting)
        cuts = [np.split(heads, [size], axis=1 + axis) for heads in waiting]
        yield _place(axis, slice(done, done + size), shape), [now for now, _ in cuts]
        done += size
        if done == shape[axis]:
            return
        later = zip(cuts, sources, strict=True)
        waiting = [rest if rest.shape[1 + axis] else next(source) for (_, rest), source in later]


class Canvas:
    """An array (..., z, y, x) that is filled part by part, in the type of the first one.

    Args:
        shape: (z, y, x).
    """

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._array: npt.NDArray[Any] | None = None

    def put(self, place: Place, part: npt.NDArray[Any]) -> None:
        """Fill in a part (..., z, y, x)."""
        if self._array is None:
            self._array = np.empty((*part.shape[:-3], *self._shape), part.dtype)
        self._array[..., *place] = part

    @property
    def array(self) -> npt.NDArray[Any]:
        """What was filled in; nothing, of any shape, before the first part."""
        return np.zeros(0, np.uint8) if self._array is None else self._array


def _whole(track: Track) -> Heads:
    return np.concatenate(list(track.pieces), axis=1 + track.axis)


def _place(axis: int, along: slice, shape: Shape) -> Place:
    z, y, x = (along if one == axis else slice(0, size) for one, size in enumerate(shape))
    return z, y, x
