"""Post-processing of a few recipes, searched exactly and for each target alone; it needs no trials.

``measure`` segments every case once per recipe and notes the pieces of the masks (``volumes.components``): as they are,
smoothed, and with only the largest component of all foreground left. After that a rule is arithmetic on tables.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from autoseg.contracts import LabelSet, Postprocessing
from autoseg.events import Event, Notify
from autoseg.outoffold import slices
from autoseg.postprocessing import biases_of, parents_of
from autoseg.selection.evidence import Rows, Table
from autoseg.selection.space import Recipe, Space
from autoseg.selection.store import Pipeline, Predictions, Store
from autoseg.selection.voxels import count_classes
from autoseg.volumes import labels as volume_labels
from autoseg.volumes.components import Cleaning, Pieces, PieceTable, measure
from autoseg.volumes.labels import Classes, Mask
from autoseg.volumes.statistics import target_means
from planners.contracts import Spacing

_WORTHWHILE = 1e-4  # a rule that gains less in mean Dice is not worth having
_ISLAND_QUANTILES = (0.25, 0.5, 0.75, 0.95)
_MANY_VOXELS = 500_000_000  # of all cases: above, smoothing is not tried

Variant = tuple[bool, float]
"""Only the largest component of all foreground is left; standard deviation of the smoothing in mm."""


@dataclass(frozen=True)
class Choice:
    """A recipe with its post-processing: a rule per target."""

    recipe: Recipe
    joint: bool
    rules: tuple[Cleaning, ...]

    @property
    def knobs(self) -> int:
        """How many things differ from an equal mean without post-processing."""
        joined = len(self.rules) if self.joint else 0  # it touches all targets
        return self.recipe.knobs + joined + sum(rule != Cleaning() for rule in self.rules)


@dataclass(frozen=True)
class Finalist:
    """A recipe's pieces: ``tables[variant][target]``."""

    recipe: Recipe
    tables: dict[Variant, tuple[PieceTable, ...]]

    def dice(self, choice: Choice) -> Table:
        """Dice (cases, T) of a choice of this recipe; NaN where undefined."""
        pairs = enumerate(choice.rules)
        return np.stack([self.tables[choice.joint, rule.smooth_mm][t].dice(rule) for t, rule in pairs], axis=1)

    def plain(self) -> Choice:
        """Without post-processing."""
        return Choice(self.recipe, False, (Cleaning(),) * len(self.tables[False, 0.0]))

    def cleaned(self, rows: Rows, *, joint: bool) -> Choice:
        """With the rules that are best for each target on these cases."""
        targets = range(len(self.tables[False, 0.0]))
        smooth = sorted(sigma for together, sigma in self.tables if together == joint)
        rules = [best_rule([(sigma, self.tables[joint, sigma][t]) for sigma in smooth], rows) for t in targets]
        return Choice(self.recipe, joint, tuple(rules))

    @property
    def can_join(self) -> bool:
        """Whether there are several targets, of which the largest component of all could be kept."""
        return any(joint for joint, _ in self.tables)


def measure_all(store: Store, space: Space, recipes: Sequence[Recipe], notify: Notify) -> dict[Recipe, Finalist]:
    """Segment every case by every recipe, one case in memory at a time."""
    found = [variants(store) for _ in recipes]
    pieces: list[dict[Variant, list[list[Pieces]]]] = [
        {variant: [[] for _ in space.labels.targets] for variant in each} for each in found
    ]
    for done, (case, fold) in enumerate(store.held, start=1):
        reference = store.reference(case)
        predictions = store.predictions(case, fold)
        for recipe, kept in zip(recipes, pieces, strict=True):
            for variant, target, one in _case(predictions, space, recipe, list(kept), reference):
                kept[variant][target].append(one)
        notify(Event(stage="select", done=done, total=len(store.held), unit="cases", detail="measuring finalists"))
    return {
        recipe: Finalist(recipe, {v: tuple(PieceTable(cases) for cases in targets) for v, targets in kept.items()})
        for recipe, kept in zip(recipes, pieces, strict=True)
    }


def variants(store: Store) -> tuple[Variant, ...]:
    """What is measured of each recipe; known from the data alone."""
    spacings = [min(scan.spacing_mm) for scan in store.scans.values()]
    few = sum(int(np.prod(scan.shape)) for scan in store.scans.values()) <= _MANY_VOXELS
    smooth = ((False, float(f"{np.median(spacings):.2g}")),) if few else ()
    joint = ((True, 0.0),) if len(store.dataset.labels.targets) > 1 else ()
    return ((False, 0.0), *smooth, *joint)


def best_rule(tables: Sequence[tuple[float, PieceTable]], rows: Rows) -> Cleaning:
    """The rule with the best mean Dice of one target over some cases; the simplest of equals.

    Args:
        tables: By standard deviation of the smoothing, 0 first.
        rows: The cases.
    """
    best, best_mean = Cleaning(), _mean(tables[0][1], Cleaning(), rows)
    for smooth_mm, table in tables:
        for rule in _rules(table, rows, smooth_mm):
            mean = _mean(table, rule, rows)
            if mean > best_mean + _WORTHWHILE:
                best, best_mean = rule, mean
    return best


def pipeline_of(space: Space, choice: Choice) -> Pipeline:
    """A choice as what would ship; rules that do nothing are left out."""
    rules = zip(space.labels.targets, choice.rules, strict=True)
    return Pipeline(
        members=space.members(choice.recipe),
        mirror=choice.recipe.mirror,
        blend=space.blend(choice.recipe),
        decision=space.decision(choice.recipe, joint_largest=choice.joint),
        postprocessing=tuple(
            Postprocessing(target=target, **rule._asdict()) for target, rule in rules if rule != Cleaning()
        ),
    )


def _case(
    predictions: Predictions, space: Space, recipe: Recipe, wanted: Sequence[Variant], reference: Classes
) -> Iterator[tuple[Variant, int, Pieces]]:
    labels, spacing = space.labels, predictions.store.scans[predictions.case].spacing_mm
    decision = space.decision(recipe)
    pipeline = Pipeline(space.members(recipe), recipe.mirror, space.blend(recipe), decision)
    probabilities, box = predictions.blended(pipeline)
    masks, classes = _masks(probabilities, labels, biases_of(decision, labels), nested=recipe.nested)
    crop, counts = reference[slices(box)], count_classes(reference, labels)
    annotated = np.ones(crop.shape, dtype=bool) if labels.ignore_index is None else crop != labels.ignore_index
    kept = volume_labels.largest_component(np.asarray(masks.any(axis=0))) if any(joint for joint, _ in wanted) else None
    for target, members in enumerate(labels.members):
        truth, total = volume_labels.member_mask(crop, members), int(counts[list(members)].sum())
        for variant in wanted:
            mask, free = _as_varied(masks[target], variant, kept, classes, spacing)
            yield variant, target, measure(mask, truth, annotated, free, total, float(np.prod(spacing)))


def _masks(
    probabilities: npt.NDArray[np.float32], labels: LabelSet, biases: Sequence[float], *, nested: bool
) -> tuple[npt.NDArray[np.bool_], Classes | None]:
    """Each target's mask before post-processing, and the classes whose voxels no other label may take."""
    if labels.kind == "regions":
        masks = volume_labels.over_threshold(probabilities, biases)
        return volume_labels.inside_parents(masks, parents_of(labels) if nested else ()), None
    classes = volume_labels.to_classes(probabilities, "exclusive", biases=biases)
    return np.stack([classes == index for index in range(1, len(probabilities))]), classes


def _as_varied(
    mask: Mask, variant: Variant, kept: Mask | None, classes: Classes | None, spacing_mm: Spacing
) -> tuple[Mask, Mask]:
    """The mask in a variant, and where holes in it may be filled."""
    joint, smooth_mm = variant
    free = np.ones(mask.shape, dtype=bool) if classes is None else classes == 0
    if joint and kept is not None:
        return mask & kept, free | ~kept
    if smooth_mm > 0:
        return volume_labels.smoothed(mask, smooth_mm, spacing_mm) & (mask | free), free
    return mask, free


def _rules(table: PieceTable, rows: Rows, smooth_mm: float) -> Iterator[Cleaning]:
    """Every rule worth trying on a target, the simplest first."""
    islands = table.island_volumes_mm3(rows)
    minima = {float(f"{volume:.2g}") for volume in np.quantile(islands, _ISLAND_QUANTILES)} if len(islands) else set()
    largest = (False, True) if len(islands) else (False,)
    fill = (False, True) if table.has_holes() else (False,)
    rules = [Cleaning(*rule, smooth_mm) for rule in product(largest, (0.0, *sorted(minima)), fill)]
    return iter(sorted(rules, key=lambda rule: rule.keep_largest + (rule.minimum_mm3 > 0) + rule.fill_holes))


def _mean(table: PieceTable, rule: Cleaning, rows: Rows) -> float:
    mean = float(target_means(table.dice(rule)[rows, None])[0])
    return -1.0 if np.isnan(mean) else mean
