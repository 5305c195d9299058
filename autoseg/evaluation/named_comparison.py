"""Scores of masks that have names, DICOM structures on at least one side: one by one, as they may overlap."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from autoseg.contracts import CaseScore, Label, LabelSet, Scores, TargetScore
from autoseg.evaluation import named_masks
from autoseg.evaluation.mask_pairs import Pair
from autoseg.evaluation.named_masks import Named, key
from autoseg.evaluation.partners import partners
from autoseg.evaluation.scoring import default_tolerance_mm, score_case, summarize
from autoseg.events import Event, Notify
from autoseg.volumes import geometry
from autoseg.volumes.geometry import Grid
from autoseg.volumes.labels import Classes


@dataclass(frozen=True)
class _Sides:
    """Both sides of a case on one canonical grid."""

    predicted: Named
    expected: Named
    grid: Grid


def compare(pairs: Mapping[str, Pair], tolerance_mm: float | None, seed: int, notify: Notify) -> Scores:
    """Score all structures that the references have. A single one on either side is compared whatever it is called.

    Args:
        pairs: By case.
        tolerance_mm: Surface distance that NSD forgives; None: twice the median in-plane spacing.
        seed: Of the bootstrap.
        notify: Told of each case, and warned of what is odd.

    Raises:
        LabelError: No structure has a name that both sides know.
        GeometryError: The two sides of a case do not lie on one grid.
        UnreadableFile: A file cannot be read.
    """
    expected: dict[str, str] = {}
    predicted: dict[str, str] = {}
    spacings = []
    for case, pair in pairs.items():
        sides = _read(pair)
        expected |= {key(name): name for name in sides.expected.masks if key(name) not in expected}
        predicted |= {key(name): name for name in sides.predicted.masks}
        spacings.append(sides.grid.spacing_mm)
        for note in (*sides.expected.notes, *sides.predicted.notes):
            notify(_warning(f"{case}: {note}"))
    partner = partners(expected, predicted, notify)
    tolerance_mm = default_tolerance_mm(spacings) if tolerance_mm is None else tolerance_mm
    labels = LabelSet(labels=tuple(Label(name=expected[name], value=n) for n, name in enumerate(partner, start=1)))
    scores = []
    for done, (case, pair) in enumerate(pairs.items(), start=1):
        scores.append(_scored(case, pair, labels, tuple(partner.values()), tolerance_mm))
        notify(Event(stage="evaluate", done=done, total=len(pairs), unit="cases", detail=case))
    return summarize(scores, labels, tolerance_mm, seed)


def _read(pair: Pair) -> _Sides:
    prediction, reference = pair
    like = named_masks.common_grid(prediction, reference)
    strict = reference.image is None and prediction.image is None
    return _Sides(
        predicted=named_masks.of(prediction, like, strict=strict),
        expected=named_masks.of(reference, like, strict=strict),
        grid=geometry.canonical(like.grid)[0],
    )


def _scored(case: str, pair: Pair, labels: LabelSet, partners: tuple[str, ...], tolerance_mm: float) -> CaseScore:
    sides = _read(pair)
    targets = tuple(
        _target(label, sides, partner, tolerance_mm) for label, partner in zip(labels.labels, partners, strict=True)
    )
    return CaseScore(case=case, subject=pair[1].case.subject, targets=targets)


def _target(label: Label, sides: _Sides, partner: str, tolerance_mm: float) -> TargetScore:
    """One structure, scored as if it were the only one."""
    alone = LabelSet(labels=(label.model_copy(update={"value": 1}),))
    truth = _classes(sides.expected, key(label.name), sides.grid)
    guess = _classes(sides.predicted, partner, sides.grid)
    return score_case(truth, guess, alone, sides.grid.spacing_mm, tolerance_mm, "", "").targets[0]


def _classes(named: Named, wanted: str, grid: Grid) -> Classes:
    """Class indices (z, y, x): 1 in the structure; nothing where there is none of this name."""
    masks = [mask for name, mask in named.masks.items() if key(name) == wanted]
    return masks[0]().astype(np.uint8) if masks else np.zeros(grid.shape, np.uint8)


def _warning(detail: str) -> Event:
    return Event(stage="evaluate", what="warning", detail=detail)
