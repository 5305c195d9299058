"""What Dice a mask is expected to have, from what can be seen of it without the truth.

    probabilities, class map, members' own class maps ─▶ features per target ─▶ expected Dice, its interval, a remark

Features are measured by the same lines where a predictor is learned (``autoseg.selection.foresight``) and where it is
used, on probabilities that are cut where out-of-fold predictions are. The predictor is plain numbers in a record.

An empty mask has no features and no expected Dice: it is right (no score) or wrong (0), and nothing here tells which.
Where nearly all development cases have the target, an empty mask is remarked upon.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from autoseg.contracts import DicePredictor, Expectation, ExpectedDice, FeatureName, LabelSet
from autoseg.volumes import doubt, shape_statistics
from autoseg.volumes.blending import Heads, tempered
from autoseg.volumes.labels import Classes, Mask, bounding_slices, member_mask
from autoseg.volumes.rounding import STEPS, as_probabilities, rounded
from planners.contracts import Box, LabelKind, Shape, Spacing

LEAST = 0.5 / STEPS
"""Smaller probabilities are rounded to 0."""
NEARLY_ALWAYS = 0.95
"""A target that so many of the development cases have is missed where nothing is outlined."""
FAR = 3.0
"""Standard deviations beyond the most extreme case that a predictor was learned from; farther it knows nothing."""
_SMALL = 1e-3  # keeps logarithms and logits finite

Features = Mapping[FeatureName, float]

_WORDS: Mapping[FeatureName, str] = {
    "expected_dice": "how sure the model is of it",
    "doubt_inside": "how sure the model is inside it",
    "doubt_outside": "how sure the model is around it",
    "doubt_outline": "how sure the model is of its outline",
    "agreement": "how well the networks agree on it",
    "volume": "its size",
    "components": "the number of its pieces",
    "largest_share": "the size of its pieces",
    "compactness": "its shape",
    "at_border": "its place at the image's border",
}


@dataclass(frozen=True, eq=False)
class Segmented:
    """What was made of one image, or of the box in it that holds all foreground.

    Attributes:
        probabilities: (H, z, y, x), the members' blend, as it was decided upon, or whole numbers of 1/255.
        classes: (z, y, x), the final class map.
        opinions: The class map of each member alone; may be empty where there is one member.
        spacing_mm: Size of a voxel.
        box: Where these arrays lie in the image.
        shape: Of the image.
    """

    probabilities: Heads | npt.NDArray[np.uint8]
    classes: Classes
    opinions: tuple[Classes, ...]
    spacing_mm: Spacing
    box: Box
    shape: Shape


def features(seen: Segmented, labels: LabelSet, temperature: float) -> tuple[Features | None, ...]:
    """What is seen of each target's mask; None where it is empty.

    Args:
        seen: The masks, and what they were made from.
        labels: The targets.
        temperature: That makes probabilities believable.
    """
    first = 1 if labels.kind == "exclusive" else 0
    return tuple(
        _of_target(seen, members, first + number, labels.kind, temperature)
        for number, members in enumerate(labels.members)
    )


def expect(known: Expectation, found: Features | None) -> ExpectedDice:
    """What to expect of one target's mask.

    Args:
        known: Of the target.
        found: What is seen of its mask; None: it is empty.
    """
    if found is None:
        missed = known.present >= NEARLY_ALWAYS
        words = f"nothing was outlined, though {known.present:.0%} of the cases the model was made from have it"
        return ExpectedDice(target=known.target, look=words if missed else "")
    if known.predictor is None:
        return ExpectedDice(target=known.target)
    strange = _strange(known.predictor, found)
    if strange:
        return ExpectedDice(target=known.target, look=strange)
    return _foreseen(known.target, known.predictor, found)


def angle_of(dice: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The arcsine of the root: differences mean about the same at every Dice, and nothing lies beyond 0 and 1."""
    return np.arcsin(np.sqrt(np.asarray(dice, dtype=np.float64)))


def dice_at(angle: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The Dice of an angle; beyond the ends it is 0 and 1."""
    return np.square(np.sin(np.clip(angle, 0, np.pi / 2)))


def _foreseen(target: str, predictor: DicePredictor, found: Features) -> ExpectedDice:
    parts = (t.coefficient * (found[t.feature] - t.mean) / t.scale for t in predictor.terms)
    angle = predictor.intercept + sum(parts)
    angles = (angle, angle + predictor.residual_low, angle + predictor.residual_high)
    dice, low, high = (float(dice_at(each)) for each in angles)
    low, high = min(low, dice), max(high, dice)
    look = ""
    if dice < predictor.low_dice:
        look = (
            f"probably outlined less well than usual: a Dice of about {dice:.2f} is expected, "
            f"where nine of ten validated cases reached {predictor.low_dice:.2f}"
        )
    return ExpectedDice(target=target, dice=dice, low=low, high=high, look=look)


def _strange(predictor: DicePredictor, found: Features) -> str:
    """Why nothing can be expected of a mask; empty: something can."""
    for term in predictor.terms:
        value, margin = found[term.feature], FAR * term.scale
        if not np.isfinite(value):
            return f"{_WORDS[term.feature]} could not be computed, so how good it is cannot be told"
        if not term.low - margin <= value <= term.high + margin:
            return f"{_WORDS[term.feature]} is unlike that in any validated case, so how good it is cannot be told"
    return ""


def _of_target(
    seen: Segmented, members: tuple[int, ...], head: int, kind: LabelKind, temperature: float
) -> Features | None:
    mask = member_mask(seen.classes, members)
    extent = bounding_slices(mask)
    around = bounding_slices(mask | ~(seen.probabilities[head] < LEAST))  # so that NaN is looked at
    if extent is None or around is None:
        return None
    plane, crop = seen.shape[0] == 1, mask[around]
    unsure = doubt.of(_calibrated(seen.probabilities[:, *around], head, kind, temperature), crop, plane=plane)
    shape = shape_statistics.of(mask[extent], seen.spacing_mm, plane=plane)
    opinions = [member_mask(opinion[around], members) for opinion in seen.opinions]
    return {
        "expected_dice": float(np.log((unsure.expected_dice + _SMALL) / (1 - unsure.expected_dice + _SMALL))),
        "doubt_inside": float(np.log(unsure.inside + _SMALL)),
        "doubt_outside": float(np.log(unsure.outside + _SMALL)),
        "doubt_outline": unsure.outline,
        "agreement": doubt.agreement(opinions),
        "volume": float(np.log(shape.volume_mm3)),
        "components": float(np.log(shape.components)),
        "largest_share": shape.largest_share,
        "compactness": float(np.log(shape.compactness)),
        "at_border": float(_at_border(extent, seen)),
    }


def _calibrated(
    probabilities: Heads | npt.NDArray[np.uint8], head: int, kind: LabelKind, temperature: float
) -> npt.NDArray[np.float32]:
    """(z, y, x) of one head, 0 where it is hardly likely; only the other voxels are worked on."""
    likely: Mask = ~(probabilities[head] < LEAST)
    result = np.zeros(likely.shape, dtype=np.float32)
    exclusive = kind == "exclusive"
    rows = as_probabilities(probabilities[:, likely] if exclusive else probabilities[head, likely][None])
    rows = rounded(rows, exclusive=exclusive)
    result[likely] = tempered(rows, kind, temperature)[head if exclusive else 0]
    return result


def _at_border(extent: tuple[slice, slice, slice], seen: Segmented) -> bool:
    """Whether a mask reaches the image's first or last voxel along an axis of more than one."""
    return any(
        start + part.start == 0 or start + part.stop == size
        for part, (start, _), size in zip(extent, seen.box, seen.shape, strict=True)
        if size > 1
    )
