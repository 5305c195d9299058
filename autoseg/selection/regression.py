"""Ridge regression from what is seen of a mask to the Dice it has.

Each fold has a network of its own, and how sure a network is says more of the network than of the mask; so coefficients
are learned from differences within folds alone, as in a fixed-effects regression, and only means are taken over all.
The interval comes from the residuals of masks that the coefficients were not learned from, as in conformal prediction.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from autoseg.contracts import DicePredictor, DiceTerm
from autoseg.quality import Features, angle_of

LEAST_SUBJECTS = 19
"""With fewer, none of them can lie beyond an interval that holds nine in ten: 1 / (n + 1) on each side."""
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


def _tails(residuals: Values) -> tuple[float, float]:
    """What nine in ten residuals lie between, and of as many new ones: order statistics, as in conformal prediction."""
    ordered = np.sort(residuals)
    rank = max(1, int(_TAIL * (len(ordered) + 1)))
    return float(ordered[rank - 1]), float(ordered[-rank])
