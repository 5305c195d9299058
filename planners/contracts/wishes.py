"""What is asked of a planner, and what a variant has otherwise."""

from planners.contracts.base import ConfigurationName, Record, Spacing
from planners.contracts.configuration import Configuration
from planners.contracts.training import LossName


class Wishes(Record):
    """What somebody asks of a plan instead of leaving it to the planner."""

    configurations: tuple[ConfigurationName, ...] | None = None  # null: as the planner finds right
    spacing_mm: Spacing | None = None  # of the full resolution, along canonical (z, y, x); null: the planner's
    folds: int | None = None  # null: the planner's, at most those of the split
    like: Configuration | None = None  # of a trained model whose network, and all that shaped it, is kept


NO_WISHES = Wishes()


class Variation(Record):
    """What a variant has otherwise than the plan. Factors multiply what is planned."""

    width: float = 1.0  # of the features of every stage
    spacing: float = 1.0  # of the voxels, along every axis that is resampled
    patch: float = 1.0  # of the voxels in a patch; the batch has as many patches fewer
    augmentation: float = 1.0  # of the probabilities
    rate: float = 1.0  # of the learning rate
    loss: LossName | None = None  # null: as planned, also below
    planner: str | None = None

    def __str__(self) -> str:
        """In words, e.g. ``width x 1.5, loss dice_topk``."""
        named = {name: value for name, value in self if value not in (1.0, None)}
        parts = [
            f"{name} {value}" if isinstance(value, str) else f"{name} x {value:g}" for name, value in named.items()
        ]
        return ", ".join(parts) or "as the rules plan"
