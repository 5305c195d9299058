"""What the choices of a pipeline are worth: each by itself over all cases, and those after the blend case by case."""

from typing import Literal

from planners.contracts import Record

ChoiceName = Literal["members", "scale", "temperature", "mirror", "bias", "nested", "joint_largest", "postprocessing"]


class Importance(Record):
    """What one choice is worth, measured in two ways on the cases that chose, and so slightly optimistic."""

    choice: ChoiceName
    targets: tuple[str, ...] = ()  # that it is made for; empty: for all together
    possible: bool = True  # false: there was nothing but the default to choose
    variance_share: float | None = None  # of the trials' scores, that it explains alone; null: no trial varies it
    default_oof_mean_dice: float | None = None  # of the preferred pipeline with this at its default; null: it is there


class CaseChange(Record):
    """A case that decision and post-processing change, by its out-of-fold Dice per target; null: undefined."""

    case: str
    before: tuple[float | None, ...]  # as the blend of the members decides
    after: tuple[float | None, ...]
