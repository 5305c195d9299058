"""What a search is made from: the voxels of every case that a recipe can change, and who the cases are."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from autoseg.errors import DataError
from autoseg.events import Event, Notify
from autoseg.outoffold import OutOfFold, embed, joint_box, slices
from autoseg.selection.space import Recipe, Space
from autoseg.selection.store import Store
from autoseg.selection.voxels import CaseVoxels, VoxelTable, count_classes, rows_per_case, split
from planners.contracts import Plan

Rows = npt.NDArray[np.intp]
Table = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """All cases, as rows of tables.

    Attributes:
        space: What may be chosen.
        cases, subjects, folds: Of each row.
        occurs: (cases, T) whether the reference has the target.
        voxels: Knows the Dice of any recipe.
    """

    space: Space
    cases: tuple[str, ...]
    subjects: tuple[str, ...]
    folds: npt.NDArray[np.intp]
    occurs: npt.NDArray[np.bool_]
    voxels: VoxelTable
    _known: dict[Recipe, Table] = field(default_factory=dict)

    def dice(self, recipe: Recipe) -> Table:
        """Dice (cases, T) without post-processing; NaN where undefined. Looked up where it was asked for before."""
        if recipe not in self._known:
            self._known[recipe] = self.voxels.dice(recipe, self._columns(recipe))
        return self._known[recipe]

    def dice_with(self, recipe: Recipe, biases: Sequence[float]) -> Table:
        """The same with other biases, one per target."""
        return self.voxels.dice_of(recipe, self._columns(recipe), biases)

    def scorable(self, rows: Rows) -> npt.NDArray[np.bool_]:
        """(T,) whether a target occurs in any reference of these cases; others take no part in a choice."""
        return np.asarray(self.occurs[rows].any(axis=0))

    def mean(self, table: Table, rows: Rows) -> float:
        """Mean Dice of some cases: per target over the cases that define it, then over the scorable targets."""
        chosen = table[rows][:, self.scorable(rows)]
        defined = ~np.isnan(chosen)
        sums, counts = np.where(defined, chosen, 0.0).sum(axis=0), defined.sum(axis=0)
        return float((sums / counts).mean())

    def _columns(self, recipe: Recipe) -> list[int]:
        """Where the voxel table has the recipe's members: plain ones first, then those with mirrored copies."""
        plain = len(self.space.configurations)
        mirrored = [index for index, has in enumerate(self.space.mirrored) if has]
        return [plain + mirrored.index(i) if recipe.mirror else i for i in recipe.members]


def gather(store: Store, plan: Plan, notify: Notify) -> Evidence:
    """Read all out-of-fold predictions once. One case's volumes are in memory at a time.

    Raises:
        DataError: A prediction is missing, damaged or of another label set.
    """
    dataset = store.dataset
    mirrored = tuple(configuration.name in store.mirrored for configuration in plan.configurations)
    space = Space(plan.configurations, mirrored, dataset.labels, len(dataset.split.folds))
    most = rows_per_case(len(store.held), len(mirrored) + sum(mirrored), dataset.labels.heads)
    found: list[CaseVoxels] = []
    occurs = np.zeros((len(store.held), len(dataset.labels.targets)), dtype=bool)
    for index, (case, fold) in enumerate(store.held):
        voxels, occurs[index] = _case(store, space, case, fold, most)
        found.append(voxels)
        notify(Event(stage="select", done=index + 1, total=len(store.held), unit="cases", detail="reading"))
    cases = tuple(case for case, _ in store.held)
    return Evidence(
        space=space,
        cases=cases,
        subjects=tuple(dataset.case(case).subject for case in cases),
        folds=np.array([fold for _, fold in store.held], dtype=np.intp),
        occurs=occurs,
        voxels=VoxelTable(found, dataset.labels),
    )


def _case(store: Store, space: Space, case: str, fold: int, most: int) -> tuple[CaseVoxels, npt.NDArray[np.bool_]]:
    labels = store.dataset.labels
    stored = [_read(store, configuration.name, case, fold, mirror=False) for configuration in space.configurations]
    stored += [
        _read(store, configuration.name, case, fold, mirror=True)
        for configuration, has in zip(space.configurations, space.mirrored, strict=True)
        if has
    ]
    truth = store.reference(case)
    box = joint_box([each.box for each in stored])
    inside = truth[slices(box)]
    counts = count_classes(truth, labels)
    voxels = split(
        [embed(each, box, labels.kind) for each in stored], inside, labels, counts - count_classes(inside, labels), most
    )
    return voxels, np.array([counts[list(members)].sum() > 0 for members in labels.members])


def _read(store: Store, configuration: str, case: str, fold: int, *, mirror: bool) -> OutOfFold:
    found = store.read(configuration, case, fold, mirror=mirror)
    if len(found.probabilities) != store.dataset.labels.heads:
        raise DataError(
            f"case {case}, job {configuration}/fold_{fold}: the out-of-fold prediction has "
            f"{len(found.probabilities)} heads, expected {store.dataset.labels.heads}; train the job again"
        )
    return found
