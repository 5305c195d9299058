"""Whether the Dice of a mask can be foreseen, counted on folds that taught nothing, and the predictor that ships.

Rows are the development cases with a mask, segmented out of fold by what ships. For each fold a predictor
(``regression``) is learned on the other folds, whole, interval and all, and asked about this one. A predictor ships
only if the mean error is below that of always saying the others' median, and if masks are put in order, the interval of
the rank correlation over subjects lying above ``USEFUL_ORDER``. The error alone cannot decide: a few masks that went
wrong make most of it, and those are what one wants pointed out. The temperature and the pipeline saw all folds; they
are a few numbers.
"""

from collections.abc import Sequence

import numpy as np

from autoseg.contracts import CaseScore, Expectation, ExpectationError, ExpectedDice, Foresight
from autoseg.evaluation.foresight import compare
from autoseg.evaluation.scoring import to_interval
from autoseg.events import Event, Notify, silent
from autoseg.quality import Features, expect, features
from autoseg.selection.regression import LEAST_SUBJECTS, Examples, Values, learn
from autoseg.selection.store import Pipeline, Store
from autoseg.volumes.statistics import Estimate, paired_interval, rank_interval

USEFUL_ORDER = 0.3
"""A rank correlation below this explains less than a tenth of the order."""


def foresee(
    store: Store,
    pipeline: Pipeline,
    scores: Sequence[CaseScore],
    temperature: float,
    seed: int,
    notify: Notify = silent,
) -> tuple[Foresight, ...]:
    """Learn what to expect of each target.

    Args:
        store: Out-of-fold predictions.
        pipeline: What ships.
        scores: Of the store's cases.
        temperature: That makes probabilities believable.
        seed: Of the bootstrap.
        notify: Told of each case.
    """
    labels = store.dataset.labels
    seen: list[tuple[Features | None, ...]] = []
    for case, fold in store.held:
        seen.append(features(store.segmented(case, fold, pipeline), labels, temperature))
        notify(Event(stage="select", done=len(seen), total=len(store.held), unit="cases", detail="judging masks"))
    folds, score_of = [fold for _, fold in store.held], {score.case: score for score in scores}
    ordered = [score_of[case] for case, _ in store.held]
    return tuple(
        _of_target(name, index, [row[index] for row in seen], ordered, folds, seed)
        for index, name in enumerate(labels.targets)
    )


def crossfit(target: str, examples: Examples) -> tuple[list[ExpectedDice], Values, Values] | None:
    """What predictors of the other folds say of each mask, the median there and what is low; None: too few others."""
    if examples.too_few:
        return None
    expected: dict[int, ExpectedDice] = {}
    median, low = (np.zeros(len(examples.dice)) for _ in range(2))
    for fold in np.unique(examples.folds):
        held = examples.folds == fold
        others = examples.of(~held)
        if others.too_few:
            return None
        predictor = learn(others)
        known = Expectation(target=target, present=1.0, predictor=predictor)
        expected |= {int(row): expect(known, examples.seen[row]) for row in np.flatnonzero(held)}
        median[held], low[held] = predictor.median_dice, predictor.low_dice
    return [expected[row] for row in range(len(expected))], median, low


def _of_target(
    name: str,
    index: int,
    seen: Sequence[Features | None],
    scores: Sequence[CaseScore],
    folds: Sequence[int],
    seed: int,
) -> Foresight:
    truths = [score.targets[index] for score in scores]
    present = float(np.mean([truth.reference_mm3 > 0 for truth in truths]))
    examples = _examples(index, seen, scores, folds)
    untold = Expectation(target=name, present=present)
    tried = crossfit(name, examples)
    if tried is None:
        subjects = len(set(examples.subjects.tolist()))
        return Foresight(expectation=untold, oof=ExpectationError(cases=0), because=_too_few(name, subjects))
    expected, median, low = tried
    error = compare(expected, examples.dice.tolist(), median.tolist(), low.tolist())
    guess = np.array([m if one.dice is None else one.dice for one, m in zip(expected, median, strict=True)])
    gain, order = _gain(guess, median, examples, seed), _order(guess, examples, seed)
    helps = gain.value is not None and gain.value > 0 and order.low is not None and order.low > USEFUL_ORDER
    known = untold.model_copy(update={"predictor": learn(examples)}) if helps else untold
    return Foresight(
        expectation=known,
        oof=error,
        gain=to_interval(gain),
        order=to_interval(order),
        because=_told(name, error) if helps else _untold(name, gain, order),
    )


def _examples(
    index: int, seen: Sequence[Features | None], scores: Sequence[CaseScore], folds: Sequence[int]
) -> Examples:
    kept = [
        (found, score.targets[index].dice, fold, score.subject)
        for found, score, fold in zip(seen, scores, folds, strict=True)
        if found is not None and score.targets[index].dice is not None and np.isfinite(list(found.values())).all()
    ]
    return Examples(
        seen=tuple(found for found, _, _, _ in kept),
        dice=np.array([dice for _, dice, _, _ in kept], dtype=np.float64),
        folds=np.array([fold for _, _, fold, _ in kept], dtype=np.intp),
        subjects=np.array([subject for _, _, _, subject in kept], dtype=str),
    )


def _gain(guess: Values, median: Values, examples: Examples, seed: int) -> Estimate:
    """How much nearer to the truth a guess is than the median; a mask of which nothing is told counts as the median."""
    nearer, plain = (-np.abs(each - examples.dice)[:, None] for each in (guess, median))
    return paired_interval(nearer, plain, examples.subjects.tolist(), seed)


def _order(guess: Values, examples: Examples, seed: int) -> Estimate:
    return rank_interval(guess, examples.dice, examples.subjects.tolist(), seed)


def _too_few(name: str, subjects: int) -> str:
    return (
        f"Masks of {name} are not judged: {subjects} subjects have one with a known Dice, and with fewer than "
        f"{LEAST_SUBJECTS} beside those of any fold nothing can be learned from them."
    )


def _untold(name: str, gain: Estimate, order: Estimate) -> str:
    return (
        f"Masks of {name} are not judged: on folds it was not learned from, a predicted Dice is nearer to the truth "
        f"than the median by {_number(gain.value)} on average, and its rank correlation with the truth is "
        f"{_number(order.value)} (95 % interval from {_number(order.low)}); the first would have to be "
        f"above zero and the interval above {USEFUL_ORDER}."
    )


def _told(name: str, error: ExpectationError) -> str:
    return (
        f"The Dice of {name} is foreseen within {_number(error.error)} on average, where always saying the median is "
        f"off by {_number(error.constant_error)}. It was learned from single fold models. The mean of several, which "
        "ships, is better and less sure by itself, so masks tend to be better than expected."
    )


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"
