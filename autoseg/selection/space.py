"""What may be chosen: members and weights, how they are averaged, mirrored copies, and a bias per target.

A ``Recipe`` is one point of the space in a canonical form, so that two names of the same choice are one choice. The
space also lists the recipes that everybody would try first; a search begins with them.

Post-processing is no part of it: after blending it is searched exactly and for each target alone (``finalists``).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import combinations, product
from math import gcd

import optuna

from autoseg.contracts import Bias, Blend, ChoiceName, Decision, LabelSet, Member
from autoseg.postprocessing import parents_of
from autoseg.volumes.blending import Scale
from planners.contracts import Configuration, ConfigurationName

PARTS = 4
"""Weights are whole numbers from 0 to this; only their ratios count."""
BIAS_STEP = 0.25
BIAS_STEPS = 4
"""A bias is at most this many steps, either way: a region's threshold lies between 0.27 and 0.73."""
MOST_BIASES = 8
"""Targets beyond these share one bias with the last of them."""
SHARP = 0.5
"""The temperature that is tried beside 1."""


@dataclass(frozen=True)
class Recipe:
    """How probabilities of members become a decision.

    Attributes:
        weights: One per configuration of the space, whole numbers without a common divisor.
        mirror: Average each member over mirrored copies.
        scale, temperature: As in ``volumes.blending``; of one member alone they are the defaults.
        biases: Steps of ``BIAS_STEP`` per target; empty where all are 0.
        nested: Take from each region what lies outside the region around it.
    """

    weights: tuple[int, ...]
    mirror: bool = False
    scale: Scale = "probabilities"
    temperature: float = 1.0
    biases: tuple[int, ...] = ()
    nested: bool = False

    @property
    def members(self) -> tuple[int, ...]:
        """Indices of the configurations that take part."""
        return tuple(index for index, weight in enumerate(self.weights) if weight)

    @property
    def plain(self) -> bool:
        """One configuration, as its networks give it."""
        return len(self.members) == 1 and not self.mirror and not self.biases and not self.nested

    @property
    def strength(self) -> int:
        """How far the biases are from none."""
        return sum(abs(bias) for bias in self.biases)

    @property
    def knobs(self) -> int:
        """How many things differ from the equal mean of the members' probabilities; the fewer, the simpler."""
        uneven = len({weight for weight in self.weights if weight}) > 1
        odd = (uneven, self.scale != "probabilities", self.temperature != 1.0, self.nested)
        return sum(odd) + sum(bias != 0 for bias in self.biases)


@dataclass(frozen=True)
class Element:
    """One of the choices that make a pipeline.

    Attributes:
        name: What is chosen.
        targets: That it is chosen for; empty: for all together.
        parameters: Of a trial, that choose it; empty: no trial does.
        possible: Whether there is anything but the default.
    """

    name: ChoiceName
    targets: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    possible: bool = True


def canonical(recipe: Recipe) -> Recipe:
    """The one form of all recipes that decide alike.

    >>> canonical(Recipe((2, 2), scale="logits", temperature=0.5, biases=(0, 0)))
    Recipe(weights=(1, 1), mirror=False, scale='logits', temperature=1.0, biases=(), nested=False)
    """
    weights = recipe.weights if any(recipe.weights) else (1,) * len(recipe.weights)
    weights = tuple(weight // reduce(gcd, weights) for weight in weights)
    alone = sum(weight > 0 for weight in weights) == 1
    scale: Scale = "probabilities" if alone else recipe.scale
    temperature = 1.0 if alone or scale == "logits" else recipe.temperature
    biases = recipe.biases if any(recipe.biases) else ()
    return replace(recipe, weights=weights, scale=scale, temperature=temperature, biases=biases)


@dataclass(frozen=True)
class Space:
    """All recipes for a plan's configurations and a label set.

    Attributes:
        configurations: Possible members, in the plan's order, which is the order in which a model blends them.
        mirrored: Whether each has predictions that are averaged over mirrored copies.
        labels: The targets and their kind.
        folds: Models per member of the deployed ensemble.
    """

    configurations: tuple[Configuration, ...]
    mirrored: tuple[bool, ...]
    labels: LabelSet
    folds: int

    def suggest(self, trial: optuna.Trial) -> Recipe:
        """The recipe of a trial."""
        names = [configuration.name for configuration in self.configurations]
        several = len(names) > 1
        weights = tuple(trial.suggest_int(f"weight {name}", 0, PARTS) for name in names) if several else (1,)
        mirror = any(self.mirrored) and trial.suggest_categorical("mirror", [False, True])
        scale: Scale = trial.suggest_categorical("scale", ["probabilities", "logits"]) if several else "probabilities"
        temperature = trial.suggest_categorical("temperature", [1.0, SHARP]) if several else 1.0
        free = [trial.suggest_int(f"bias {name}", -BIAS_STEPS, BIAS_STEPS) for name in self._biased]
        nested = self.can_nest and trial.suggest_categorical("nested", [False, True])
        found = Recipe(self._allowed(weights, mirror), mirror, scale, temperature, self._shared(free), nested)
        return canonical(found)

    def elements(self) -> Iterator[Element]:
        """The choices that make a recipe."""
        several, mirror = len(self.configurations) > 1, any(self.mirrored)
        weights = tuple(f"weight {configuration.name}" for configuration in self.configurations)
        yield Element("members", (), weights if several else (), several)
        yield Element("scale", (), ("scale",) if several else (), several)
        yield Element("temperature", (), ("temperature",) if several else (), several)
        yield Element("mirror", (), ("mirror",) if mirror else (), mirror)
        biased = self._biased
        for index, name in enumerate(biased, start=1):
            shared = self.labels.targets[index:] if index == len(biased) else ()
            yield Element("bias", (name, *shared), (f"bias {name}",))
        if self.can_nest:
            yield Element("nested", (), ("nested",))

    def first(self) -> Iterator[Recipe]:
        """What everybody would try: each alone, equal pairs, all; then the same with mirrored copies, and on logits."""
        every = range(len(self.configurations))
        sets = [members for size in (1, 2, len(every)) for members in combinations(every, size)]
        for mirror in (False, True) if any(self.mirrored) else (False,):
            for members in dict.fromkeys(sets):
                weights = tuple(int(index in members) for index in every)
                if self._allowed(weights, mirror) == weights:
                    yield Recipe(weights, mirror)
                    if len(members) > 1:
                        yield Recipe(weights, mirror, "logits")

    @property
    def size(self) -> int:
        """How many trials would name every recipe; many of them name the same one."""
        several = len(self.configurations) > 1
        ways = ((PARTS + 1) ** len(self.configurations) - 1) * 4 if several else 1
        ways *= 2 if any(self.mirrored) else 1
        ways *= 2 if self.can_nest else 1
        return ways * (2 * BIAS_STEPS + 1) ** len(self._biased)

    def every(self) -> Iterator[Recipe]:
        """All recipes of a single configuration, the first ones first; several have too many to be listed."""
        yield from self.first()
        grid = range(-BIAS_STEPS, BIAS_STEPS + 1)
        flags = (False, True)
        for mirror in flags if any(self.mirrored) else flags[:1]:
            for nested in flags if self.can_nest else flags[:1]:
                for free in product(grid, repeat=len(self._biased)):
                    if any(free) or nested:
                        yield canonical(Recipe((1,), mirror, biases=self._shared(free), nested=nested))

    def parameters(self, recipe: Recipe) -> dict[str, object]:
        """What a trial must be given to suggest this recipe."""
        found: dict[str, object] = {f"bias {n}": b for n, b in zip(self._biased, recipe.biases, strict=False)}
        found |= {} if recipe.biases else {f"bias {name}": 0 for name in self._biased}
        if len(self.configurations) > 1:
            weights = zip(self.configurations, recipe.weights, strict=True)
            found |= {f"weight {configuration.name}": weight for configuration, weight in weights}
            found |= {"scale": recipe.scale, "temperature": recipe.temperature}
        found |= {"mirror": recipe.mirror} if any(self.mirrored) else {}
        return found | ({"nested": recipe.nested} if self.can_nest else {})

    @property
    def can_nest(self) -> bool:
        """Whether any region must lie in another."""
        return self.labels.kind == "regions" and any(parent is not None for parent in parents_of(self.labels))

    def members(self, recipe: Recipe) -> tuple[Member, ...]:
        """The recipe's members as a record; weights sum to 1."""
        total = sum(recipe.weights)
        names: list[ConfigurationName] = [configuration.name for configuration in self.configurations]
        return tuple(Member(configuration=names[i], weight=recipe.weights[i] / total) for i in recipe.members)

    def blend(self, recipe: Recipe) -> Blend:
        """How the recipe averages, as a record."""
        return Blend(scale=recipe.scale, temperature=recipe.temperature)

    def decision(self, recipe: Recipe, *, joint_largest: bool = False) -> Decision:
        """How the recipe decides, as a record."""
        pairs = zip(self.labels.targets, recipe.biases, strict=bool(recipe.biases))
        biases = tuple(Bias(target=target, logit=BIAS_STEP * steps) for target, steps in pairs if steps)
        return Decision(biases=biases, joint_largest=joint_largest, nested_regions=recipe.nested)

    def case_s(self, recipe: Recipe) -> float:
        """Predicted seconds to run all networks of the deployed ensemble over one case."""
        chosen = [self.configurations[index] for index in recipe.members]
        copies = [2 ** len(c.training.augmentation.mirror_axes) if recipe.mirror else 1 for c in chosen]
        return self.folds * sum(n * c.cost.case_inference_s for n, c in zip(copies, chosen, strict=True))

    @property
    def _biased(self) -> tuple[str, ...]:
        return self.labels.targets[:MOST_BIASES]

    def _shared(self, free: Sequence[int]) -> tuple[int, ...]:
        return (*free, *(free[-1],) * (len(self.labels.targets) - len(free)))

    def _allowed(self, weights: tuple[int, ...], mirror: bool) -> tuple[int, ...]:
        """Without configurations that have no mirrored predictions, where these are asked for."""
        usable = tuple(w if has or not mirror else 0 for w, has in zip(weights, self.mirrored, strict=True))
        return usable if any(usable) else tuple(int(has or not mirror) for has in self.mirrored)
