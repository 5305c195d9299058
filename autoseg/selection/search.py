"""The empirical search: which recipe and which post-processing do the out-of-fold predictions support?

    trials (``trials``) ─▶ finalists: the best recipe of each price, and what others would ship ─▶ post-processing,
    exact and per target (``finalists``) ─▶ no lucky biases ─▶ the best: mean Dice; ties by NSD, then by cost ─▶ the
    one-standard-error rule

Biases are many, and the best of them is lucky: of N equals, each off by a standard error, the best looks better by
about sqrt(2 ln N) of these. So biases have to gain more than that over none at the same price (of the paired
difference, over subjects). The rule then chooses, among the candidates within one standard error of the best, the
cheapest at inference, then the simplest (Breiman et al., CART, 1984, section 3.4.3). Nothing here depends on the clock.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import log, sqrt

from autoseg.selection import nnunet
from autoseg.selection.evidence import Evidence, Rows
from autoseg.selection.finalists import Choice, Finalist
from autoseg.selection.journal import Journal
from autoseg.selection.space import Recipe
from autoseg.selection.trials import Effort, Tried, run
from autoseg.volumes.statistics import paired_standard_error

TIE = 1e-4
"""Mean Dice this close is no difference: the store's rounding can move it as much."""
_MOST_TIED = 3
_MOST_LEVELS = 6

Nsd = Callable[[Choice, Rows], float]
"""Mean NSD of a choice over some cases."""


@dataclass(frozen=True)
class Scored:
    """A candidate and its mean Dice over the cases it was judged on."""

    choice: Choice
    mean_dice: float


@dataclass(frozen=True)
class Outcome:
    """What a search found; ``default`` is the best single configuration as it is, ``nnunet`` the baseline."""

    candidates: tuple[Scored, ...]
    default: Scored
    nnunet: Scored
    chosen: Scored


@dataclass(frozen=True)
class Search:
    """One search: on some of the cases, under a name, with a seed."""

    evidence: Evidence
    rows: Rows
    name: str
    seed: int

    def trials(self, journal: Journal, effort: Effort) -> tuple[Tried, ...]:
        """Try recipes without post-processing."""
        evidence, rows = self.evidence, self.rows
        return run(
            evidence.space,
            lambda recipe: evidence.mean(evidence.dice(recipe), rows),
            journal,
            self.name,
            self.seed,
            effort,
        )

    def finalists(self, tried: tuple[Tried, ...]) -> tuple[Recipe, ...]:
        """The best recipe of each price, with biases and without, the best single one as it is, and nnU-Net's."""
        levels: dict[tuple[float, bool], list[Tried]] = {}
        for each in tried:
            levels.setdefault((self.evidence.space.case_s(each.recipe), bool(each.recipe.biases)), []).append(each)
        ranked = sorted(map(_simplest, levels.values()), key=lambda each: -each.mean_dice)[:_MOST_LEVELS]
        everybodys = (self._default().recipe, nnunet.recipe(self.evidence, self.rows))
        return tuple(dict.fromkeys([*everybodys, *(each.recipe for each in ranked)]))

    def choose(self, finalists: Mapping[Recipe, Finalist], tried: tuple[Tried, ...], nsd: Nsd) -> Outcome:
        """Post-process the finalists and choose among them."""
        recipes = self.finalists(tried)
        baseline = nnunet.choose(finalists[nnunet.recipe(self.evidence, self.rows)], self.evidence, self.rows)
        choices = [finalists[self._default().recipe].plain(), baseline]
        for recipe in recipes:
            each = finalists[recipe]
            choices += [each.plain(), each.cleaned(self.rows, joint=False)]
            choices += [each.cleaned(self.rows, joint=True)] if each.can_join else []
        scored = {choice: Scored(choice, self._mean(finalists, choice)) for choice in choices}
        biased = len({each.recipe for each in tried if each.recipe.biases})
        chosen = self._simplest_good(finalists, tuple(scored.values()), nsd, biased)
        return Outcome(tuple(scored.values()), scored[choices[0]], scored[baseline], chosen)

    def _default(self) -> Tried:
        space, evidence = self.evidence.space, self.evidence
        singles = [recipe for recipe in space.first() if recipe.plain]
        scored = [Tried(recipe, evidence.mean(evidence.dice(recipe), self.rows)) for recipe in singles]
        return max(scored, key=lambda each: each.mean_dice)

    def _mean(self, finalists: Mapping[Recipe, Finalist], choice: Choice) -> float:
        return self.evidence.mean(finalists[choice.recipe].dice(choice), self.rows)

    def _simplest_good(
        self, finalists: Mapping[Recipe, Finalist], scored: tuple[Scored, ...], nsd: Nsd, biased: int
    ) -> Scored:
        """The one-standard-error rule, among candidates that owe nothing to luck; so many recipes had biases."""
        candidates = self._without_luck(finalists, scored, biased)
        best = self._best(candidates, nsd)
        good = [best]
        for other in candidates:
            simpler = self._simplicity(other) < self._simplicity(best)
            if simpler and best.mean_dice - other.mean_dice <= self._error(finalists, best, other):
                good.append(other)
        return min(good, key=self._simplicity)

    def _without_luck(
        self, finalists: Mapping[Recipe, Finalist], scored: tuple[Scored, ...], biased: int
    ) -> tuple[Scored, ...]:
        """Candidates without biases, and those whose biases gain more than the best of so many does by luck."""
        luck = sqrt(2 * log(max(biased, 2)))  # in standard errors
        plain = [each for each in scored if not each.choice.recipe.biases]

        def believed(one: Scored) -> bool:
            price = self._simplicity(one)[0]
            rival = max(plain, key=lambda each: (self._simplicity(each)[0] == price, each.mean_dice))
            return one.mean_dice - rival.mean_dice > luck * self._error(finalists, one, rival)

        return tuple(one for one in scored if not one.choice.recipe.biases or believed(one))

    def _error(self, finalists: Mapping[Recipe, Finalist], one: Scored, other: Scored) -> float:
        """Standard error of the difference of two, paired over subjects."""
        subjects, scorable = [self.evidence.subjects[row] for row in self.rows], self.evidence.scorable(self.rows)
        first, second = (
            finalists[each.choice.recipe].dice(each.choice)[self.rows][:, scorable] for each in (one, other)
        )
        return paired_standard_error(first, second, subjects, self.seed)

    def _best(self, scored: tuple[Scored, ...], nsd: Nsd) -> Scored:
        """The highest mean Dice; of those as good, the highest NSD, then the cheapest."""
        top = max(scored, key=lambda each: each.mean_dice)
        tied = sorted((s for s in scored if s.mean_dice >= top.mean_dice - TIE), key=lambda each: -each.mean_dice)
        if len(tied) == 1:
            return top
        surface = {each.choice: nsd(each.choice, self.rows) for each in tied[:_MOST_TIED]}
        closest = max(surface.values())
        return min((s for s in tied[:_MOST_TIED] if surface[s.choice] >= closest - TIE), key=self._simplicity)

    def _simplicity(self, scored: Scored) -> tuple[float, int, float]:
        return self.evidence.space.case_s(scored.choice.recipe), scored.choice.knobs, -scored.mean_dice


def _simplest(tried: list[Tried]) -> Tried:
    """The simplest of the best."""
    enough = max(each.mean_dice for each in tried) - TIE
    good = (each for each in tried if each.mean_dice >= enough)
    return min(good, key=lambda each: (each.recipe.knobs, each.recipe.strength, -each.mean_dice))
