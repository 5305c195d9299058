"""Why a label does not lie where its image lies: headers have a few common faults, and each can be tried out.

A *guess* is a change of the label's header after which it would fit. None is ever made on its own: a header that is
wrong and an annotation of another patient look the same from here.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from autoseg.volumes.geometry import Agreement, Grid, canonical, compare

_AXES = "zyx"
_TELLING = 0.1
_FITS = ("same", "offset", "resample")


@dataclass(frozen=True)
class Guess:
    """A change of the label's header that would make it fit.

    Attributes:
        change: In words, to follow "it would fit if".
        agreement: How well it would.
    """

    change: str
    agreement: Agreement


def best_guess(image: Grid, label: Grid) -> Guess | None:
    """The change that makes the label fit best; None if none of those that are tried makes it fit.

    Args:
        image: The image's grid, file axis order.
        label: The label's, file axis order.
    """
    tried = [Guess(change, compare(image, grid)) for change, grid in _changed(image, label)]
    fitting = [guess for guess in tried if guess.agreement.kind in _FITS]
    return min(fitting, key=lambda guess: _FITS.index(guess.agreement.kind), default=None)


def in_the_body(image: np.ndarray, label: np.ndarray) -> str:
    """How much of a label lies in the body if it is taken voxel for voxel, and if its voxels are mirrored, in words.

    Where the data were mirrored and not only the header, headers cannot tell, but a label beside the body can. The body
    is what is brighter than the mean of the image.

    Args:
        image: (z, y, x).
        label: (z, y, x) of the same shape and axis order; not zero where anything is drawn.

    Returns:
        Empty, unless one way is better than all others by a tenth of the label.
    """
    drawn, body = label != 0, image > image.mean()
    if not drawn.any():
        return ""
    shares = {"taken voxel for voxel": float(body[drawn].mean())}
    for axis, name in enumerate(_AXES):
        shares[f"mirrored along {name}"] = float(body[np.flip(drawn, axis)].mean())
    best, *others = sorted(shares, key=lambda way: -shares[way])
    if shares[best] - shares[others[0]] < _TELLING:
        return ""
    return f"{best}, {shares[best]:.0%} of it lies in the body; {others[0]}, {shares[others[0]]:.0%}"


def _changed(image: Grid, label: Grid) -> Iterator[tuple[str, Grid]]:
    for axis, name in enumerate(_AXES):
        yield f"its {name} axis ran the other way from the same first voxel", _reversed(label, axis)
    yield "its first voxel lay where the image's lies", _moved(label, image)
    if image.shape == label.shape:
        yield "it had the image's header", image


def _reversed(grid: Grid, axis: int) -> Grid:
    affine = grid.affine.copy()
    affine[:, axis] *= -1.0
    return Grid(grid.shape, affine)


def _moved(label: Grid, image: Grid) -> Grid:
    """Both canonical, so that their first voxels mean the same corner."""
    here, there = canonical(label)[0], canonical(image)[0]
    affine = here.affine.copy()
    affine[:3, 3] = there.affine[:3, 3]
    return Grid(here.shape, np.asarray(affine))
