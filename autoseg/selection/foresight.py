"""Learns what Dice a mask is expected to have: ridge regression on what is seen of masks whose truth is known.

Rows are the development cases with a mask, segmented out of fold by what ships. Each fold has a network of its own, and
how sure a network is says more of the network than of the mask; so coefficients are learned from differences within
folds alone, as in a fixed-effects regression, and only means are taken over all.

Whether the Dice can be foreseen is counted with others: for each fold a predictor is learned on the other folds, whole,
interval and all, and asked about this one. It ships only if its mean error is below that of always saying the others'
median, and if it puts masks in order, the interval of the rank correlation over subjects lying above ``USEFUL_ORDER``.
The error alone cannot decide: a few masks that went wrong make most of it, and those are what one wants pointed out.
The temperature and the pipeline saw all folds; they are a few numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from autoseg.contracts import (
    CaseScore,
    DicePredictor,
    DiceTerm,
    Expectation,
    ExpectationError,
    ExpectedDice,
    Foresight,
)
from autoseg.evaluation.foresight import compare
from autoseg.evaluation.scoring import to_interval
from autoseg.events import Event, Notify, silent
from autoseg.quality import Features, angle_of, expect, features
from autoseg.selection.store import Pipeline, Store
from autoseg.volumes.statistics import Estimate, paired_interval, rank_interval

LEAST_SUBJECTS = 19
"""With fewer, none of them can lie beyond an interval that holds nine in ten: 1 / (n + 1) on each side."""
USEFUL_ORDER = 0.3
"""A rank correlation below this explains less than a tenth of the order."""
_TAIL = 0.05
_LOW_SHARE = 0.1
_PENALTIES = np.logspace(-1, 4, 16)
_STILL = 1e-9  # a feature that varies less tells nothing
_PARTS = 5  # of the subjects, where there is one fold only

Values = npt.NDArray[np.float64]
Rows = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Examples:
    """One target's masks with a known Dice.

    Attributes:
        seen: Features of each mask.
        dice: (N,).
        folds, subjects: (N,) of each.
    """

    seen: tuple[Features, ...]
    dice: Values
    folds: npt.NDArray[np.intp]
    subjects: npt.NDArray[np.str_]

    def of(self, rows: Rows) -> "Examples":
        """Some of them."""
        kept = tuple(one for one, take in zip(self.seen, rows, strict=True) if take)
        return Examples(kept, self.dice[rows], self.folds[rows], self.subjects[rows])

    @property
    def too_few(self) -> bool:
        """Whether nothing can be learned from them."""
        return len(set(self.subjects.tolist())) < LEAST_SUBJECTS


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


@dataclass(frozen=True, eq=False)
class Line:
    """A linear rule from features to an angle.

    Attributes:
        mean, scale, coefficients: (F,) of the features.
        intercept: The angle of a mask with mean features.
    """

    mean: Values
    scale: Values
    coefficients: Values
    intercept: float

    def at(self, table: Values) -> Values:
        """The angles (N,) of masks with features (N, F)."""
        angles: Values = self.intercept + (table - self.mean) / self.scale @ self.coefficients
        return angles


def learn(examples: Examples) -> DicePredictor:
    """A predictor, with an interval from masks that its parts were not learned from."""
    from sklearn.model_selection import GroupKFold, LeaveOneGroupOut  # here: who only predicts needs no scikit-learn

    names = tuple(examples.seen[0])
    table = np.array([[one[name] for name in names] for one in examples.seen], dtype=np.float64)
    angles, folds = angle_of(examples.dice), examples.folds
    several = len(set(folds.tolist())) > 1
    groups, parts = (folds, LeaveOneGroupOut()) if several else (examples.subjects, GroupKFold(_PARTS))
    residuals = np.zeros(len(angles))
    for others, held in parts.split(table, angles, groups):
        residuals[held] = angles[held] - fit(table[others], angles[others], folds[others]).at(table[held])
    low, high = _tails(residuals)
    line = fit(table, angles, folds)
    rows = zip(names, line.mean, line.scale, line.coefficients, table.min(axis=0), table.max(axis=0), strict=True)
    return DicePredictor(
        intercept=line.intercept,
        terms=tuple(
            DiceTerm(feature=name, mean=mean, scale=scale, coefficient=weight, low=least, high=most)
            for name, mean, scale, weight, least, most in rows
            if most > least
        ),
        residual_low=low,
        residual_high=high,
        median_dice=float(np.median(examples.dice)),
        low_dice=float(np.quantile(examples.dice, _LOW_SHARE)),
    )


def fit(table: Values, angles: Values, folds: npt.NDArray[np.intp]) -> Line:
    """Ridge regression on differences within folds; the penalty is chosen by leaving out one mask at a time.

    Args:
        table: (N, F) features.
        angles: (N,) of the true Dice.
        folds: (N,) of each mask.
    """
    from sklearn.linear_model import RidgeCV

    inside, apart = table.copy(), angles.copy()
    for fold in np.unique(folds):
        inside[folds == fold] -= inside[folds == fold].mean(axis=0)
        apart[folds == fold] -= apart[folds == fold].mean()
    spread = inside.std(axis=0)
    scale = np.where(spread > _STILL, spread, 1.0)
    inside[:, spread <= _STILL] = 0
    ridge = RidgeCV(_PENALTIES, fit_intercept=False).fit(inside / scale, apart)
    return Line(table.mean(axis=0), scale, ridge.coef_, float(angles.mean()))


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


def _tails(residuals: Values) -> tuple[float, float]:
    """What nine in ten residuals lie between, and of as many new ones: order statistics, as in conformal prediction."""
    ordered = np.sort(residuals)
    rank = max(1, int(_TAIL * (len(ordered) + 1)))
    return float(ordered[rank - 1]), float(ordered[-rank])


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
