"""What is tried: each variant changes one thing of a planned configuration, and nothing that is prepared."""

from collections.abc import Callable
from itertools import pairwise
from math import prod
from typing import Literal, get_args

from planners import schedule
from planners.contracts import Configuration, LossName, SmallerPatch

BASE = "base"
"""The plan as it is."""
WIDTH_STEP = 4
"""Features of a stage are a multiple of it."""
FEWEST_VOXELS = 2
"""Along each axis, that a smaller patch leaves at the coarsest resolution."""
Change = Callable[[Configuration], Configuration]


def _training(**changes: object) -> Change:
    """Other values in the training plan."""
    return lambda planned: _with_training(planned, changes)


def _with_training(planned: Configuration, changes: dict[str, object]) -> Configuration:
    return planned.model_copy(update={"training": planned.training.model_copy(update=changes)})


def _optimizer(kind: Literal["sgd", "adamw"]) -> Change:
    """Another optimizer, with the numbers that the planner gives it."""

    def change(planned: Configuration) -> Configuration:
        training = planned.training
        numbers = {
            "optimizer": kind,
            "learning_rate": schedule.learning_rate(kind, training.batch, len(training.patch_vox)),
            "momentum": schedule.MOMENTUM[kind],
            "weight_decay": schedule.WEIGHT_DECAY[kind],
        }
        return planned if kind == training.optimizer else _with_training(planned, numbers)

    return change


def _rate(factor: float) -> Change:
    return lambda planned: _with_training(planned, {"learning_rate": factor * planned.training.learning_rate})


def _decay(factor: float) -> Change:
    return lambda planned: _with_training(planned, {"weight_decay": factor * planned.training.weight_decay})


def _batch(factor: float) -> Change:
    """The rate stays as it is."""
    return lambda planned: _with_training(planned, {"batch": max(1, round(factor * planned.training.batch))})


def _augmentation(factor: float) -> Change:
    """All probabilities times a factor, at most 1; ranges, mirroring and what is done to masks stay."""

    def change(planned: Configuration) -> Configuration:
        known = planned.training.augmentation
        chances = (name for name in type(known).model_fields if name.endswith("_probability") and "mask" not in name)
        return _with_augmentation(planned, {name: min(1.0, factor * getattr(known, name)) for name in chances})

    return change


def _augmented(**changes: object) -> Change:
    """Other values in the augmentation."""
    return lambda planned: _with_augmentation(planned, changes)


def _with_augmentation(planned: Configuration, changes: dict[str, object]) -> Configuration:
    return _with_training(planned, {"augmentation": planned.training.augmentation.model_copy(update=changes)})


def _mirrored(planned: Configuration) -> Configuration:
    """Along all axes; along none, where that is the plan."""
    axes = tuple(range(planned.dimension))
    wanted = () if planned.training.augmentation.mirror_axes == axes else axes
    return _with_augmentation(planned, {"mirror_axes": wanted})


def _other_batch_dice(planned: Configuration) -> Configuration:
    return _with_training(planned, {"batch_dice": not planned.training.batch_dice})


def _growing(smallest: float, share: float, sizes: int = 3) -> Change:
    """Patches that begin with a share of each edge and grow in so many sizes, over a share of the schedule."""

    def change(planned: Configuration) -> Configuration:
        full = planned.training.patch_vox
        divisors = [prod(strides) for strides in zip(*planned.network.strides, strict=True)]

        def shrunk(part: float) -> tuple[int, ...]:
            pairs = zip(full, divisors, strict=True)
            return tuple(min(edge, by * max(FEWEST_VOXELS, round(part * edge / by))) for edge, by in pairs)

        parts = (smallest + (1.0 - smallest) * index / sizes for index in range(sizes))
        steps = [
            SmallerPatch(patch_vox=shrunk(part), until_share=share * (index + 1) / sizes)
            for index, part in enumerate(parts)
        ]
        last = SmallerPatch(patch_vox=full, until_share=1.0)
        kept = tuple(one for one, after in pairwise([*steps, last]) if one.patch_vox != after.patch_vox)
        return _with_training(planned, {"smaller_patches": kept})

    return change


def _width(factor: float) -> Change:
    def change(planned: Configuration) -> Configuration:
        scaled = (WIDTH_STEP * max(1, round(factor * count / WIDTH_STEP)) for count in planned.network.features)
        return planned.model_copy(update={"network": planned.network.model_copy(update={"features": tuple(scaled)})})

    return change


def _final_output_alone(planned: Configuration) -> Configuration:
    return planned.model_copy(update={"network": planned.network.model_copy(update={"deep_supervision": False})})


VARIANTS: dict[str, Change] = {
    BASE: lambda planned: planned,
    "adamw": _optimizer("adamw"),
    "sgd": _optimizer("sgd"),
    "rate_x0.3": _rate(0.3),
    "rate_x3": _rate(3.0),
    "poly": _training(schedule="poly"),
    "cosine": _training(schedule="cosine"),
    "warmup_none": _training(warmup_share=0.0),
    "weight_decay_none": _decay(0.0),
    "weight_decay_x5": _decay(5.0),
    "ema_none": _training(ema_decay=None),
    "ema_0.99": _training(ema_decay=0.99),
    "augmentation_none": _augmentation(0.0),
    "augmentation_x0.5": _augmentation(0.5),
    "augmentation_x2": _augmentation(2.0),
    "scale_wide": _augmented(scale=(0.5, 2.0), scale_probability=0.5),
    "gamma_wide": _augmented(gamma=(0.4, 2.5), gamma_probability=0.5),
    "mirroring": _mirrored,
    "batch_x0.5": _batch(0.5),
    "batch_x2": _batch(2.0),
    "width_x0.5": _width(0.5),
    "width_x0.75": _width(0.75),
    "width_x1.25": _width(1.25),
    "width_x1.5": _width(1.5),
    "no_deep_supervision": _final_output_alone,
    "foreground_0.1": _training(foreground_fraction=0.1),
    "foreground_0.67": _training(foreground_fraction=0.67),
    "batch_dice": _other_batch_dice,
    "growing_0.5_0.3": _growing(0.5, 0.3),
    "growing_0.5_0.6": _growing(0.5, 0.6),
    "growing_0.75_0.6": _growing(0.75, 0.6),
    **{f"loss_{name}": _training(loss=name) for name in get_args(LossName)},
}
"""By name. Where a variant is what the plan says anyway, it is left out, and that is said."""
AND = "+"
"""Between the names of variants that are tried together, applied in this order."""


def varied(name: str, planned: Configuration) -> Configuration:
    """The configuration with a variant's change, or with those of several: ``poly+rate_x3``."""
    for part in name.split(AND):
        planned = VARIANTS[part](planned)
    return planned


SAME_WORK = (
    *("optimizer", "learning_rate", "momentum", "weight_decay", "schedule", "warmup_share", "gradient_clip"),
    *("ema_decay", "foreground_fraction"),
)
"""Fields of a training plan that change numbers, and not what a step computes with them."""


def same_work(one: Configuration, other: Configuration) -> bool:
    """Whether a step of both takes equally long, by what they compute."""
    neutral = {name: getattr(one.training, name) for name in SAME_WORK}
    return _with_training(other, neutral) == one


def phases(configuration: Configuration) -> tuple[tuple[float, Configuration], ...]:
    """The stretches of a schedule during which all steps compute the same: their share of the steps, and what."""
    training = configuration.training
    sizes = [*((small.until_share, small.patch_vox) for small in training.smaller_patches), (1.0, training.patch_vox)]
    begins = [0.0, *(until for until, _ in sizes)]
    return tuple(
        (until - begin, _with_training(configuration, {"patch_vox": patch, "smaller_patches": ()}))
        for begin, (until, patch) in zip(begins, sizes, strict=False)
    )
