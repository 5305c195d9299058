"""What nnU-Net's procedure would choose from the same predictions, as a baseline with a name.

The best single configuration or equal pair by mean Dice, with mirrored copies where there are any; then the largest
component of all foreground, if the mean gains and no target loses; then of each target in turn, if it gains. Every gain
counts, however small. (nnU-Net v2: ``find_best_configuration``, ``determine_postprocessing``.)
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from autoseg.selection.evidence import Evidence, Rows
from autoseg.selection.finalists import Choice, Finalist
from autoseg.selection.space import Recipe, Space
from autoseg.volumes.components import Cleaning

NAME = "nnU-Net's procedure"


def recipe(evidence: Evidence, rows: Rows) -> Recipe:
    """The best single configuration or equal pair; the first of equals, singles before pairs."""
    return max(_candidates(evidence.space), key=lambda each: evidence.mean(evidence.dice(each), rows))


def choose(finalist: Finalist, evidence: Evidence, rows: Rows) -> Choice:
    """Its post-processing of that recipe."""
    choice, scorable = finalist.plain(), evidence.scorable(rows)
    if finalist.can_join:
        joint = Choice(choice.recipe, True, choice.rules)
        before, after = (_means(finalist, each, rows)[scorable] for each in (choice, joint))
        if after.mean() > before.mean() and (after >= before).all():
            choice = joint
    for target in np.flatnonzero(scorable):
        rules = (*choice.rules[:target], Cleaning(keep_largest=True), *choice.rules[target + 1 :])
        cleaned = Choice(choice.recipe, choice.joint, rules)
        if _means(finalist, cleaned, rows)[target] > _means(finalist, choice, rows)[target]:
            choice = cleaned
    return choice


def _means(finalist: Finalist, choice: Choice, rows: Rows) -> np.ndarray:
    table = finalist.dice(choice)[rows]
    defined = ~np.isnan(table)
    return np.where(defined, table, 0.0).sum(axis=0) / np.maximum(defined.sum(axis=0), 1)


def _candidates(space: Space) -> Iterator[Recipe]:
    mirror = any(space.mirrored)
    usable = [index for index, has in enumerate(space.mirrored) if has or not mirror]
    for members in [*combinations(usable, 1), *combinations(usable, 2)]:
        yield Recipe(tuple(int(i in members) for i in range(len(space.mirrored))), mirror)
