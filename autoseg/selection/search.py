"""The empirical search: which ensemble and which post-processing do the out-of-fold predictions support?

An Optuna study over two choices: the ensemble, and the post-processing recipe (none; the largest component of one
target or of all; or, target by target, the best of all rules, which is exact because Dice adds up over targets). It
starts from the candidates everyone would try and goes on with the rest; where that is more than ``MOST_TRIALS``, a
seeded TPE sampler (Bergstra et al., NeurIPS 2011) decides which. Nothing here depends on the clock.

Among the candidates within one standard error of the best (of the paired difference, over subjects), the one with the
fewest members, then the fewest cleaned targets, is chosen (Breiman et al., CART, 1984, section 3.4.3).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
import optuna

from autoseg.selection.ensembles import Candidate, Evidence
from autoseg.volumes.components import Cleaning, PieceTable
from autoseg.volumes.statistics import mean_of_targets, paired_standard_error, target_means

MOST_TRIALS = 60
_WORTHWHILE = 1e-4  # a rule that gains less in mean Dice is not worth having
_ISLAND_QUANTILES = (0.25, 0.5, 0.75, 0.95)
_NONE, _LARGEST, _SEARCHED = "none", "largest", "searched"

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Tried:
    """A candidate and its mean Dice over the cases it was judged on."""

    candidate: Candidate
    mean_dice: float


@dataclass(frozen=True)
class Outcome:
    """What a search tried, in order; ``default`` is the best single configuration without post-processing."""

    tried: tuple[Tried, ...]
    default: Tried
    chosen: Tried


def search(evidence: Evidence, rows: Rows, seed: int) -> Outcome | None:
    """Choose on the cases ``rows`` alone; None where no target can be scored in any of them."""
    nothing = (Cleaning(),) * len(evidence.targets)
    singles = [Candidate(mix, nothing) for mix in evidence.singles()]
    scored = [(candidate, mean_of_targets(evidence.dice(candidate)[rows])) for candidate in singles]
    known = [Tried(candidate, mean) for candidate, mean in scored if mean is not None]
    if not known:
        return None
    default = max(known, key=lambda tried: tried.mean_dice)
    tried = _study(evidence, rows, default.candidate.mix, seed)
    return Outcome(tried, default, _simplest_good(evidence, rows, tried, seed))


def best_cleaning(table: PieceTable, rows: Rows) -> Cleaning:
    """The rule with the best mean Dice of one target over ``rows``; the simplest of equals."""
    best, best_mean = Cleaning(), _mean(table, Cleaning(), rows)
    for cleaning in _rules(table, rows):
        mean = _mean(table, cleaning, rows)
        if mean > best_mean + _WORTHWHILE:
            best, best_mean = cleaning, mean
    return best


def _study(evidence: Evidence, rows: Rows, best_single: int, seed: int) -> tuple[Tried, ...]:
    """Run the Optuna study; candidates that come out equal are listed once."""
    tried: dict[Candidate, Tried] = {}
    recipes = _recipes(evidence)

    def objective(trial: optuna.Trial) -> float:
        mix = trial.suggest_categorical("ensemble", list(range(len(evidence.mixes))))
        recipe = trial.suggest_categorical("postprocessing", recipes)
        candidate = Candidate(mix, _cleaning(evidence, mix, recipe, rows))
        if candidate not in tried:
            mean = mean_of_targets(evidence.dice(candidate)[rows])
            tried[candidate] = Tried(candidate, 0.0 if mean is None else mean)
        return tried[candidate].mean_dice

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    everything = list(_order(len(evidence.mixes), recipes, best_single))
    # All of it where that is little; else the first half as given, and the sampler learns from it.
    start = everything if len(everything) <= MOST_TRIALS else everything[: MOST_TRIALS // 2]
    for mix, recipe in start:
        study.enqueue_trial({"ensemble": mix, "postprocessing": recipe})
    study.optimize(objective, n_trials=min(len(everything), MOST_TRIALS))
    return tuple(tried.values())


def _order(mixes: int, recipes: list[str], best_single: int) -> Iterator[tuple[int, str]]:
    """All combinations: the default first, then other ensembles, then recipes for the default, then the rest."""
    others = [mix for mix in range(mixes) if mix != best_single]
    yield best_single, _NONE
    yield from ((mix, _NONE) for mix in others)
    yield from ((best_single, recipe) for recipe in recipes[1:])
    yield from ((mix, recipe) for recipe in reversed(recipes[1:]) for mix in others)


def _recipes(evidence: Evidence) -> list[str]:
    """None, the largest component of each target and of all, and the exact search."""
    each = [f"{_LARGEST} {index}" for index in range(len(evidence.targets))]
    return [_NONE, *each, *([_LARGEST] if len(each) > 1 else []), _SEARCHED]


def _cleaning(evidence: Evidence, mix: int, recipe: str, rows: Rows) -> tuple[Cleaning, ...]:
    """A recipe spelled out as one rule per target."""
    tables = evidence.tables[mix]
    if recipe == _SEARCHED:
        return tuple(best_cleaning(table, rows) for table in tables)
    return tuple(Cleaning(keep_largest=recipe in (_LARGEST, f"{_LARGEST} {index}")) for index in range(len(tables)))


def _rules(table: PieceTable, rows: Rows) -> Iterator[Cleaning]:
    """Every rule worth trying on a target, the simplest first."""
    islands = table.island_volumes_mm3(rows)
    minima = {float(f"{volume:.2g}") for volume in np.quantile(islands, _ISLAND_QUANTILES)} if len(islands) else set()
    largest = (False, True) if len(islands) else (False,)
    fill = (False, True) if table.has_holes() else (False,)
    rules = [Cleaning(*rule) for rule in product(largest, (0.0, *sorted(minima)), fill)]
    return iter(sorted(rules[1:], key=lambda rule: rule.keep_largest + (rule.minimum_mm3 > 0) + rule.fill_holes))


def _mean(table: PieceTable, cleaning: Cleaning, rows: Rows) -> float:
    mean = float(target_means(table.dice(cleaning)[rows, None])[0])
    return -1.0 if np.isnan(mean) else mean


def _simplest_good(evidence: Evidence, rows: Rows, tried: tuple[Tried, ...], seed: int) -> Tried:
    """The one-standard-error rule."""
    best = max(tried, key=lambda candidate: candidate.mean_dice)
    best_dice = evidence.dice(best.candidate)[rows]
    subjects = [evidence.subjects[row] for row in rows]

    def complexity(other: Tried) -> tuple[int, int, float]:
        cleaned = sum(cleaning != Cleaning() for cleaning in other.candidate.cleaning)
        return len(evidence.mixes[other.candidate.mix]), cleaned, -other.mean_dice

    good = [best]
    for other in tried:
        if complexity(other) < complexity(best):
            error = paired_standard_error(best_dice, evidence.dice(other.candidate)[rows], subjects, seed)
            if best.mean_dice - other.mean_dice <= error:
                good.append(other)
    return min(good, key=complexity)
