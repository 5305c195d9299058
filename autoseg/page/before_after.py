"""A case before and after decision and post-processing, side by side, with what they change marked."""

from dataclasses import dataclass, replace

import numpy as np

from autoseg.contracts import LabelSet
from autoseg.page.camera import LEAST_PX, WHOLE, ZOOM, Camera, Panel, Window, densest_window, fullest, surroundings
from autoseg.page.drawing import Layer
from autoseg.page.overlays import Classes, Mask, Modality, OverlayInput, disagreement, outlined, target_masks


@dataclass(frozen=True)
class Comparison:
    """A case's class maps (z, y, x): ``before`` as the blend of the networks decides, and ``after`` with the rest."""

    before: Classes
    after: OverlayInput


@dataclass(frozen=True)
class Difference:
    """Voxels that change in the whole case: to background, from background, and from one label to another."""

    removed: int
    added: int
    relabelled: int


@dataclass(frozen=True)
class _Changed:
    """Where that is, (z, y, x) or slices of it."""

    removed: Mask
    added: Mask
    relabelled: Mask

    @classmethod
    def between(cls, before: Classes, after: Classes, labels: LabelSet) -> "_Changed":
        changed, was, now = before != after, outlined(before, labels), outlined(after, labels)
        return cls(changed & was & ~now, changed & ~was & now, changed & was & now)


def difference(case: Comparison, labels: LabelSet) -> Difference:
    """How many voxels change."""
    changed = _Changed.between(case.before, case.after.predicted, labels)
    counts = (int(np.count_nonzero(mask)) for mask in (changed.removed, changed.added, changed.relabelled))
    return Difference(*counts)


def side_by_side(case: Comparison, labels: LabelSet, modality: Modality) -> tuple[Panel, ...]:
    """The reference, before, and after, in the slice that changes most.

    Args:
        case: The arrays; the reference must be there.
        labels: Says which classes make up each target; voxels that nobody annotated are not looked for.
        modality: As for ``overlays.panels``.
    """
    after = case.after.predicted
    reference = np.zeros_like(after) if case.after.reference is None else case.after.reference
    camera = Camera.facing(case.after.image, case.after.spacing_mm, outlined(reference, labels), modality)
    truth, first, last = (camera.sliced(classes) for classes in (reference, case.before, after))
    changes = (first != last) & (disagreement(truth, first, labels) | disagreement(truth, last, labels))
    index = fullest(changes)
    seen = [classes[index] for classes in (truth, first, last)]
    window = _window(changes[index], np.any([outlined(classes, labels) for classes in seen], axis=0), camera)
    lines = [target_masks(classes, labels.members) for classes in seen]
    solid, dashed = Layer("reference", lines[0]), [Layer("prediction", line) for line in lines[1:]]
    changed = _Changed.between(seen[1], seen[2], labels)
    marked = (
        Layer("removed", changed.removed[None]),
        Layer("added", changed.added[None]),
        Layer("relabelled", changed.relabelled[None]),
    )
    return (
        camera.take(index, window, (solid,), f"{'image' if camera.flat else 'slice'} that changes most, reference"),
        replace(
            camera.take(index, window, (solid, dashed[0]), "before"), caption="Before: as the networks' blend decides"
        ),
        replace(camera.take(index, window, (*marked, solid, dashed[1]), "after"), caption="After, with changes marked"),
    )


def _window(changes: Mask, shown: Mask, camera: Camera) -> Window:
    if not camera.flat:
        return surroundings(shown)
    return densest_window(changes) if max(shown.shape) > ZOOM * LEAST_PX else WHOLE
