"""The order of axes that a network works in: thick slices first, whatever plane they were taken in.

Sagittal, coronal and oblique scans have their thick slices along x or y of the patient. Worked on as they lie, they
would be averaged with others along the wrong axis, and a two-dimensional network would look at the wrong planes.
"""

import numpy as np

from planners.augmentation import directed_axes
from planners.contracts import Axes, Fingerprint, Reason, Shape, Spacing

AS_THEY_ARE: Axes = (0, 1, 2)
THICK = 1.5  # times as thick as wide: from here on slices are slices


def thickest_first(spacing_mm: Spacing) -> Axes:
    """The axis with the largest voxels, then the others in their order.

    >>> thickest_first((0.8, 0.8, 4.0))
    (2, 0, 1)
    """
    thickest = max(range(3), key=lambda axis: (spacing_mm[axis], -axis))
    first, second = (axis for axis in range(3) if axis != thickest)
    return thickest, first, second


def working_axes(fingerprint: Fingerprint) -> tuple[Axes | None, Reason]:
    """The order for all cases, or None: each case's thickest axis first."""
    spacings = np.array([case.spacing_mm for case in fingerprint.cases])
    ordered = np.sort(spacings, axis=1)
    ratio = float(np.median(ordered[:, 2] / ordered[:, 1]))
    orders = [thickest_first(case.spacing_mm) for case in fingerprint.cases]
    counts = {axis: sum(order[0] == axis for order in orders) for axis in range(3)}
    saw = f"slices {ratio:.2g} times as thick as wide; thickest along " + ", ".join(
        f"{'zyx'[axis]} in {count} cases" for axis, count in counts.items() if count
    )
    if fingerprint.dimension == 2 or not fingerprint.spacing_known or ratio < THICK:
        return AS_THEY_ARE, _reason(saw, AS_THEY_ARE, "voxels are about as thick as wide, so any order will do")
    if len(set(orders)) == 1:
        return orders[0], _reason(saw, orders[0], "thick slices are worked on as slices, whichever way they lie")
    if directed_axes(fingerprint):
        because = "cases differ, but labels are named after sides of the patient, which must lie alike in all"
        return AS_THEY_ARE, _reason(saw, AS_THEY_ARE, because)
    return None, _reason(saw, None, "cases were taken in different planes; alike they are in their slices")


def reordered(fingerprint: Fingerprint, axes: Axes | None) -> Fingerprint:
    """The fingerprint with its cases' axes in working order; None: each case's thickest first."""
    if axes == AS_THEY_ARE:
        return fingerprint
    cases = []
    for case in fingerprint.cases:
        order = thickest_first(case.spacing_mm) if axes is None else axes
        z_mm, y_mm, x_mm = (case.spacing_mm[axis] for axis in order)
        update = {
            "shape": _ordered(case.shape, order),
            "cropped_shape": _ordered(case.cropped_shape, order),
            "spacing_mm": (z_mm, y_mm, x_mm),
        }
        cases.append(case.model_copy(update=update))
    return fingerprint.model_copy(update={"cases": tuple(cases)})


def _ordered(shape: Shape, order: Axes) -> Shape:
    return shape[order[0]], shape[order[1]], shape[order[2]]


def _reason(saw: str, axes: Axes | None, because: str) -> Reason:
    chose = "each case's thickest axis first" if axes is None else ", ".join("zyx"[axis] for axis in axes)
    return Reason(rule="axes.order", saw=saw, chose=chose, because=because, source="own rule")
