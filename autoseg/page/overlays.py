"""Pictures of a case: a slice of the image with the outlines of reference and prediction drawn over it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from autoseg.contracts import LabelSet
from autoseg.page.camera import LEAST_PX, WHOLE, ZOOM, Camera, Modality, Panel, densest_window, fullest, surroundings
from autoseg.page.drawing import Layer
from planners.contracts import Spacing

Classes = npt.NDArray[np.integer]
Mask = npt.NDArray[np.bool_]

__all__ = ["Modality", "OverlayInput", "Panel", "disagreement", "outlined", "panels", "target_masks"]


@dataclass(frozen=True)
class OverlayInput:
    """One case's arrays on the canonical grid.

    Attributes:
        image: (z, y, x) or (C, z, y, x), any real dtype.
        reference: (z, y, x) class indices; None without a reference.
        predicted: (z, y, x) class indices.
        spacing_mm: (z, y, x).
    """

    image: npt.NDArray[np.generic]
    reference: Classes | None
    predicted: Classes
    spacing_mm: Spacing


def panels(case: OverlayInput, labels: LabelSet, modality: Modality) -> tuple[Panel, ...]:
    """Two pictures of a case: its largest slice, and where reference and prediction differ most.

    Args:
        case: The arrays.
        labels: Says which classes make up each target; unannotated voxels count as agreeing.
        modality: Of ``rgb`` the first three channels are shown in colour, of others the first in grey.
    """
    reference = np.zeros_like(case.predicted) if case.reference is None else case.reference
    known = outlined(reference, labels)
    shown = known if known.any() else outlined(case.predicted, labels)
    camera = Camera.facing(case.image, case.spacing_mm, shown, modality)
    truth, guess = camera.sliced(reference), camera.sliced(case.predicted)
    wrong = disagreement(truth, guess, labels)

    def take(index: int, window: tuple[slice, slice], what: str) -> Panel:
        members = labels.members
        outlines = (
            Layer("reference", target_masks(truth[index], members)),
            Layer("prediction", target_masks(guess[index], members)),
        )
        return camera.take(index, window, outlines, what)

    if camera.flat:
        whole = take(0, WHOLE, "whole image")
        if not wrong.any() or max(truth.shape) <= ZOOM * LEAST_PX:
            return (whole,)
        return (whole, take(0, densest_window(wrong[0]), "close-up where they differ most"))
    window = surroundings(np.any(outlined(truth, labels) | outlined(guess, labels), axis=0))
    largest, worst = fullest(camera.sliced(shown)), fullest(wrong)
    what = f"slice with the largest {'reference' if known.any() else 'predicted'} area"
    if not wrong.any():
        return (take(largest, window, what),)
    if worst == largest:
        return (take(largest, window, f"{what}, where they also differ most"),)
    return (take(largest, window, what), take(worst, window, "slice where they differ most"))


def target_masks(classes: Classes, members: Sequence[tuple[int, ...]]) -> Mask:
    """A mask per target, (T, ...)."""
    return np.stack([np.isin(classes, target) for target in members])


def disagreement(truth: Classes, guess: Classes, labels: LabelSet) -> Mask:
    """True where some target differs, unannotated voxels aside."""
    wrong = truth != guess
    return wrong if labels.ignore_index is None else wrong & (truth != labels.ignore_index)


def outlined(classes: Classes, labels: LabelSet) -> Mask:
    """True inside any target."""
    return np.isin(classes, sorted({index for target in labels.members for index in target}))
