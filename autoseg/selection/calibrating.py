"""The temperature of what ships, fitted on out-of-fold voxels, and what it does to the calibration error.

A temperature is fitted without each fold in turn, and the mildest of them, the one nearest to 1, is taken: where folds
differ much, how sure networks are hangs on the images, and the mean of several networks, which ships, needs less of it
than the single ones do. Its error is counted with others: those of each fold by what the same rule gives without it. It
ships only if that makes the error smaller. Counted are the annotated voxels in the box around what is predicted, each
with its most probable class; of regions, each with being in or out.

Masks do not change: they are decided on the probabilities that thresholds were fitted on.
"""

import math
from collections.abc import Sequence

import numpy as np

from autoseg.contracts import Calibration, LabelSet
from autoseg.events import Event, Notify, silent
from autoseg.outoffold import slices
from autoseg.selection.store import Pipeline, Store
from autoseg.volumes import temperature
from autoseg.volumes.blending import Heads
from autoseg.volumes.calibration import Reliability
from autoseg.volumes.labels import Classes, member_mask
from autoseg.volumes.rounding import rounded
from autoseg.volumes.temperature import Rows, Sample

MOST_VALUES = 1_000_000
"""Probabilities kept of all cases: enough for a temperature that another sample would change by less than 1 %."""
_DIGITS = 4


def calibrate(store: Store, pipeline: Pipeline, seed: int, notify: Notify = silent) -> Calibration:
    """Fit the temperature of a pipeline.

    Args:
        store: Out-of-fold predictions and the truth.
        pipeline: What ships.
        seed: Of the sample of voxels.
        notify: Told of each case.
    """
    labels = store.dataset.labels
    most = max(1, MOST_VALUES // (max(1, len(store.held)) * max(2, labels.heads)))
    samples: list[tuple[int, Sample]] = []
    for done, (case, fold) in enumerate(store.held, start=1):
        probabilities, box = store.predictions(case, fold).blended(pipeline)
        heads, truth = competing(probabilities, store.reference(case)[slices(box)], labels)
        samples.append((fold, temperature.draw(heads, truth, most, (seed, done))))
        notify(Event(stage="select", done=done, total=len(store.held), unit="cases", detail="calibrating"))
    return from_samples(samples)


def competing(probabilities: Heads, truth: Classes, labels: LabelSet) -> tuple[Heads, Rows]:
    """Rounded heads (H, N) of the annotated voxels, and which is right (N,); a region competes with its absence.

    Args:
        probabilities: (H, z, y, x).
        truth: Classes (z, y, x).
        labels: What heads and classes mean.
    """
    known = truth != labels.ignore_index if labels.ignore_index is not None else np.ones(truth.shape, dtype=bool)
    exclusive = labels.kind == "exclusive"
    rows, true = rounded(probabilities[:, known], exclusive=exclusive), truth[known]
    if exclusive:
        return rows, true.astype(np.intp)
    inside = np.concatenate([member_mask(true, members) for members in labels.members])
    return np.stack([1 - rows.ravel(), rows.ravel()]), inside.astype(np.intp)


def from_samples(samples: Sequence[tuple[int, Sample]]) -> Calibration:
    """What samples of cases, each with the fold that held it out, say of the temperature."""
    every = [sample for _, sample in samples]
    count = sum(sample.count for sample in every)
    before = _error([sample.reliability(1.0) for sample in every])
    if before is None:
        return Calibration(because="Nothing was predicted that could be compared with the truth, so no temperature.")
    temperatures = Temperatures(samples)
    fitted = float(f"{temperatures.mildest():.{_DIGITS}g}")
    after = _crossfitted(samples, temperatures)
    helps = after is not None and after < before
    return Calibration(
        temperature=fitted if helps else 1.0,
        fitted=fitted,
        ece_before=before,
        ece_after=after,
        predictions=count,
        because=_because(fitted, before, after),
    )


class Temperatures:
    """What the samples of some folds ask for; no set of folds is fitted twice."""

    def __init__(self, samples: Sequence[tuple[int, Sample]]) -> None:
        self._samples = samples
        self._known: dict[frozenset[int], float] = {}
        self.folds = frozenset(fold for fold, _ in samples)

    def mildest(self, without: frozenset[int] = frozenset()) -> float:
        """The one nearest to 1 of those that are fitted without each fold; 1 where they lie on both sides of it."""
        rest = self.folds - without
        found = [self._fitted(rest - {fold}) for fold in rest] if len(rest) > 1 else [self._fitted(rest)]
        if min(found) < 1 < max(found):
            return 1.0
        return min(found, key=lambda each: abs(math.log(each)))

    def _fitted(self, folds: frozenset[int]) -> float:
        if folds not in self._known:
            self._known[folds] = temperature.fit([sample for fold, sample in self._samples if fold in folds])
        return self._known[folds]


def _crossfitted(samples: Sequence[tuple[int, Sample]], temperatures: Temperatures) -> float | None:
    """The calibration error of each fold by the temperature that the others give; None where there are no others."""
    if len(temperatures.folds) < 2:
        return None
    others = {fold: temperatures.mildest(frozenset({fold})) for fold in temperatures.folds}
    return _error([sample.reliability(others[fold]) for fold, sample in samples])


def _error(parts: Sequence[Reliability]) -> float | None:
    total = parts[0] if parts else None
    for part in parts[1:]:
        total = part if total is None else total + part
    return None if total is None else total.expected_error()


def _because(fitted: float, before: float, after: float | None) -> str:
    start = f"Probabilities are off by {before:.4f} on average (expected calibration error). "
    if after is None:
        return start + "There is one fold only, so no temperature could be tried on others, and none ships."
    measured = f"Temperatures fitted on other folds make that {after:.4f}, "
    if after >= before:
        return start + measured + "which is no less, so probabilities are shown as they are."
    return (
        f"{start}{measured}so probabilities are shown at temperature {fitted:g}; masks do not change. It was fitted on "
        "outputs of single fold models. The mean of several, which ships, is a little less sure by itself and would "
        "need a slightly lower one; hold-out cases, where there are any, show what is left."
    )
