"""The model card: what a stranger must know before using a model (Mitchell et al., Model Cards, FAT* 2019).

It travels inside ``model.json`` and stands in the report. It names no cases, so it can leave the house with the model.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from autoseg.contracts import CaseScan, CaseScore, Dataset, Interval, ModelCard, Scores, Selection
from autoseg.model import population
from autoseg.page import wording
from planners.contracts import CaseFingerprint, Fingerprint, Shape, Spacing

HonestKind = Literal["holdout", "nested", "none"]

FAILED_DICE = 0.5
"""A case below this mean Dice counts as failed: less than half of the two outlines' volume is shared."""
_FEW_SUBJECTS = 20
_RARE_CASES = 5
_LOW_DICE = 0.8
_QUARTER_CASES = 12  # fewer cases have no quarter worth a mean
_QUARTER_GAP = 0.05
_MOST_LABELS = 3
_KIND_WORDS = {
    "holdout": "on hold-out cases that no choice saw",
    "nested": "by nested cross-validation",
    "none": "no honest score exists",
}
_MODALITY_WORDS = {"ct": "CT", "mri": "MRI", "rgb": "colour", "other": "unknown modality"}


def make(
    dataset: Dataset,
    fingerprint: Fingerprint,
    selection: Selection | None,
    holdout: Scores | None,
    scans: Sequence[CaseScan] = (),
    *,
    continued: bool = False,
) -> ModelCard:
    """Write the card of a model.

    Args:
        dataset: The cases; labels and channels are taken from it.
        fingerprint: Of the development cases, which are the population the model has seen.
        selection: The empirical choice with its scores; None before there is one.
        holdout: Scores on hold-out cases; None where nothing was held out, or it is not predicted yet.
        scans: Of the development cases, for the intensities seen; empty: the card keeps none.
        continued: Training went on from another model.
    """
    value, kind = honest(selection, holdout)
    shapes = np.array([case.shape for case in fingerprint.cases])
    spacings = np.array([case.spacing_mm for case in fingerprint.cases])
    extents = shapes * spacings
    return ModelCard(
        intended_use=_intended_use(dataset, fingerprint),
        cases=len(fingerprint.cases),
        subjects=fingerprint.subjects,
        modalities=tuple(_MODALITY_WORDS[channel.modality] for channel in fingerprint.channels),
        shape_min=_shape(shapes.min(axis=0)),
        shape_max=_shape(shapes.max(axis=0)),
        spacing_min_mm=_spacing(spacings.min(axis=0)),
        spacing_max_mm=_spacing(spacings.max(axis=0)),
        spacing_known=fingerprint.spacing_known,
        mean_dice=value,
        mean_dice_kind=kind,
        weakest=_weakest(fingerprint, judged(selection, holdout), continued=continued),
        extent_min_mm=_spacing(extents.min(axis=0)),
        extent_max_mm=_spacing(extents.max(axis=0)),
        intensities=tuple(
            population.of_channel([scan.overall[number] for scan in scans], hounsfield=channel.modality == "ct")
            for number, channel in enumerate(fingerprint.channels)
            if scans
        ),
        sided=tuple(label.name for label in fingerprint.labels if label.partner is not None),
    )


def honest(selection: Selection | None, holdout: Scores | None) -> tuple[Interval, HonestKind]:
    """The mean Dice that no choice has seen: of the hold-out if there is one, else nested, else none."""
    if holdout is not None and holdout.mean_dice.value is not None:
        return holdout.mean_dice, "holdout"
    if selection is not None and selection.nested_mean_dice.value is not None:
        return selection.nested_mean_dice, "nested"
    return Interval(), "none"


def judged(selection: Selection | None, holdout: Scores | None) -> Scores | None:
    """The per-case scores to show and to learn weaknesses from: of the hold-out if there is one, else out-of-fold."""
    for scores in (holdout, None if selection is None else selection.oof):
        if scores is not None and scores.cases:
            return scores
    return None


def case_dice(case: CaseScore) -> float | None:
    """Mean Dice over the targets that are defined in a case; None: none is."""
    values = [target.dice for target in case.targets if target.dice is not None]
    return float(np.mean(values)) if values else None


def rows(card: ModelCard) -> tuple[tuple[str, str], ...]:
    """The card as (heading, words) pairs, for a page or a terminal."""
    unit = "mm" if card.spacing_known else "unknown; sizes count in voxels"
    spacing = _span(card.spacing_min_mm, card.spacing_max_mm) + f" {unit}" if card.spacing_known else unit
    return (
        ("Intended use", card.intended_use),
        ("Population seen", f"{wording.plural(card.cases, 'case')} of {wording.plural(card.subjects, 'subject')}"),
        ("Modality", ", ".join(card.modalities)),
        ("Image size (z × y × x)", _span(card.shape_min, card.shape_max)),
        ("Spacing (z × y × x)", spacing),
        ("Mean Dice", _dice_words(card)),
        ("Known weaknesses", "; ".join(card.weakest) + "."),
        ("Status", "Research software. Not a medical device; not cleared for diagnosis or treatment."),
    )


def text(card: ModelCard) -> str:
    """The card as plain text, one heading per line."""
    return "\n".join(f"{heading}: {words}" for heading, words in rows(card)) + "\n"


def _intended_use(dataset: Dataset, fingerprint: Fingerprint) -> str:
    targets = wording.listing(dataset.labels.targets, most=6)
    modalities = wording.listing(list(dict.fromkeys(_MODALITY_WORDS[c.modality] for c in fingerprint.channels)))
    channels = wording.listing([channel.name for channel in dataset.channels])
    return (
        f"Proposes outlines of {targets} in {dataset.dimension}D images ({modalities}; channels {channels}) "
        "like those described here, for a qualified person to check."
    )


def _dice_words(card: ModelCard) -> str:
    if card.mean_dice.value is None:
        return _KIND_WORDS["none"]
    value, span = wording.score(card.mean_dice.value), wording.interval(card.mean_dice)
    return f"{value} (95% CI {span}) {_KIND_WORDS[card.mean_dice_kind]}, n = {card.mean_dice.n}"


def _weakest(fingerprint: Fingerprint, scores: Scores | None, *, continued: bool) -> tuple[str, ...]:
    """Known failures in plain words, without case names."""
    found = ["untested on other scanners, protocols and populations than those it was made from"]
    if continued:
        found.append("went on from another model, so that its score is too good if that had seen the cases")
    if fingerprint.subjects < _FEW_SUBJECTS:
        found.append(f"made from {wording.plural(fingerprint.subjects, 'subject')} only")
    rare = [label for label in fingerprint.labels if label.cases < min(_RARE_CASES, len(fingerprint.cases))]
    found += [f"{label.name} was seen in {wording.plural(label.cases, 'case')} only" for label in rare[:_MOST_LABELS]]
    if not fingerprint.spacing_known:
        found.append("the size of a voxel is unknown, so images of another magnification may fail")
    if scores is None:
        return (*found, "no case could be scored, so its failures are unknown")
    return (*found, *_low_labels(scores), *_failed_cases(scores.cases), *_small_targets(scores.cases))


def _low_labels(scores: Scores) -> list[str]:
    scored = [(target.dice.value, target.target) for target in scores.targets if target.dice.value is not None]
    return [f"{name} reaches a mean Dice of {value:.2f} only" for value, name in sorted(scored) if value < _LOW_DICE][
        :_MOST_LABELS
    ]


def _failed_cases(cases: Sequence[CaseScore]) -> list[str]:
    dice = [value for case in cases if (value := case_dice(case)) is not None]
    failed = sum(value < FAILED_DICE for value in dice)
    return [f"{failed} of {wording.plural(len(dice), 'scored case')} stayed below a Dice of 0.5"] if failed else []


def _small_targets(cases: Sequence[CaseScore]) -> list[str]:
    """Whether the quarter of cases with the smallest targets is outlined less well than the rest."""
    pairs = sorted(
        (sum(target.reference_mm3 for target in case.targets), value)
        for case in cases
        if (value := case_dice(case)) is not None
    )
    if len(pairs) < _QUARTER_CASES:
        return []
    quarter = len(pairs) // 4
    small, rest = (float(np.mean([dice for _, dice in part])) for part in (pairs[:quarter], pairs[quarter:]))
    if rest - small < _QUARTER_GAP:
        return []
    return [f"small targets are outlined less well (mean Dice {small:.2f} in the smallest quarter, else {rest:.2f})"]


def _span(low: Sequence[float], high: Sequence[float]) -> str:
    return wording.sizes(low) if tuple(low) == tuple(high) else f"{wording.sizes(low)} to {wording.sizes(high)}"


def _shape(values: np.ndarray) -> Shape:
    z, y, x = (int(value) for value in values)
    return (z, y, x)


def _spacing(values: np.ndarray) -> Spacing:
    z, y, x = (float(value) for value in values)
    return (z, y, x)


def representative(cases: Sequence[CaseFingerprint]) -> tuple[Shape, Spacing]:
    """Median shape and spacing of the cases seen, each axis by itself."""
    shapes = np.median([case.shape for case in cases], axis=0)
    return _shape(np.rint(shapes)), _spacing(np.median([case.spacing_mm for case in cases], axis=0))
