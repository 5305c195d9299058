"""Which configurations a plan has: the main one, and what else is worth its time.

The main configuration is ``3d_fullres`` (``2d`` for single slices). Where time leaves it a patch that sees too little
of the image, ``3d_lowres`` takes its place. Where there is time for more, preset ``max`` adds for such large images the
low resolution and a cascade, else the in-plane view ``2d``, which preset ``standard`` adds for thick slices.
Everything that is left out is left out for a reason that the plan tells.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from math import prod

from planners import cascade, schedule
from planners import size as sizing
from planners import spacing as spacings
from planners.augmentation import FLAT_RATIO
from planners.contracts import Budget, ConfigurationName, Fingerprint, Reason, Skipped
from planners.errors import ImpossibleWish, InfeasibleBudget
from planners.size import Size, Task, times
from planners.spacing import TargetSpacing

Sized = tuple[Task, Size]
NAMES: tuple[ConfigurationName, ...] = ("3d_fullres", "2d", "3d_lowres", "3d_cascade_fullres")
NARROW = 0.25  # of the typical image: a patch that covers less sees too little of what lies around it


def choose(
    fingerprint: Fingerprint, budget: Budget, asked: tuple[ConfigurationName, ...] | None = None
) -> tuple[list[Sized], tuple[Skipped, ...]]:
    """The configurations, main one first, and what was left out.

    Args:
        fingerprint: The data.
        budget: The machine.
        asked: Configurations that somebody wants; None leaves it to the rules.

    Raises:
        InfeasibleBudget: Memory does not allow even the smallest network of the main configuration, or of one that was
            asked for. What is beside the main one is left out where memory does not allow it.
        ImpossibleWish: The data do not allow what was asked for.
    """
    if asked is not None:
        return _asked(asked, fingerprint, budget)
    if fingerprint.dimension == 2:
        because = "the images are single slices: there is no depth to see"
        return [_sized("2d", fingerprint, budget)], _skipped(dict.fromkeys((*NAMES[:1], *NAMES[2:]), because))
    main = _sized("3d_fullres", fingerprint, budget)
    low = _low_view(main, fingerprint, budget)
    if not isinstance(low, str) and main[1].limit == "time":
        dear = "time is too short for the full resolution, and for a second view all the more"
        return [low], _skipped({"3d_fullres": _narrow(main, low), "2d": dear, "3d_cascade_fullres": dear})
    second = low if isinstance(low, str) else _second_stage(main, low, fingerprint, budget)
    if not isinstance(low, str) and not isinstance(second, str):
        because = "time goes into the low resolution and the cascade, which a large image needs more"
        return [main, low, second], _skipped({"2d": because})
    left_out: dict[ConfigurationName, str] = dict.fromkeys(("3d_lowres", "3d_cascade_fullres"), str(second))
    flat = _flat_view(main, fingerprint, budget)
    if isinstance(flat, str):
        return [main], _skipped({"2d": flat, **left_out})
    return [main, flat], _skipped(left_out)


def _asked(
    names: tuple[ConfigurationName, ...], fingerprint: Fingerprint, budget: Budget
) -> tuple[list[Sized], tuple[Skipped, ...]]:
    """Just these, where the data allow them."""
    if not names:
        raise ImpossibleWish(f"no configuration was asked for; name some of {', '.join(NAMES)}")
    if fingerprint.dimension == 2 and names != ("2d",):
        raise ImpossibleWish(
            f"{', '.join(names)} were asked for, but the images are single slices: only 2d is possible"
        )
    if "3d_lowres" in names and spacings.target_low(fingerprint) is None:
        raise ImpossibleWish(
            "3d_lowres: asked for, but coarser voxels would lose the thinnest label, or its size is unknown, or they "
            "would spare too little; ask for others"
        )
    if cascade.SECOND in names and cascade.FIRST not in names:
        raise ImpossibleWish(f"{cascade.SECOND} builds on {cascade.FIRST}; ask for both")
    sized: dict[ConfigurationName, Sized] = {}
    too_large: list[InfeasibleBudget] = []
    for name in (name for name in NAMES if name in names):
        try:
            sized[name] = _sized(name, fingerprint, budget)
        except InfeasibleBudget as error:
            too_large.append(error)
    if too_large:  # what does for the one that needs most does for all
        raise max(too_large, key=lambda error: error.smallest_bytes or 0)
    if cascade.SECOND in sized:
        sized[cascade.SECOND] = _after(sized[cascade.FIRST], sized[cascade.SECOND])
    left_out = dict.fromkeys((name for name in NAMES if name not in names), "it was not asked for")
    return list(sized.values()), _skipped(left_out)


def coverage(sized: Sized) -> float:
    """Share of the typical image that a patch holds."""
    task, size = sized
    return min(1.0, prod(size.patch) / prod(task.patch_shape))


def target(name: ConfigurationName, fingerprint: Fingerprint) -> tuple[TargetSpacing, Reason]:
    """Spacing of a configuration."""
    if name == "2d":
        return spacings.target_2d(fingerprint)
    low = spacings.target_low(fingerprint) if name == "3d_lowres" else None
    return low or spacings.target_3d(fingerprint)


def _sized(name: ConfigurationName, fingerprint: Fingerprint, budget: Budget) -> Sized:
    spacing_mm = target(name, fingerprint)[0]
    shapes = spacings.resampled_shapes(fingerprint, spacing_mm)
    task = Task(
        name=name,
        dimension=2 if name == "2d" else 3,
        spacing_mm=spacing_mm,
        shapes=shapes,
        median_shape=spacings.median_shape(shapes),
        channels=len(fingerprint.channels) + (len(fingerprint.labels) if name == "3d_cascade_fullres" else 0),
        heads=fingerprint.heads,
        labels=len(fingerprint.labels),
    )
    return task, sizing.choose(task, budget)


def _beside(name: ConfigurationName, fingerprint: Fingerprint, budget: Budget) -> Sized | str:
    """A configuration beside the main one; where memory does not allow it, why not."""
    try:
        return _sized(name, fingerprint, budget)
    except InfeasibleBudget as error:
        return str(error)


def _low_view(main: Sized, fingerprint: Fingerprint, budget: Budget) -> Sized | str:
    """The low resolution where the full one sees too little of the image; else why not."""
    if coverage(main) >= NARROW:
        return f"a patch of 3d_fullres holds {coverage(main):.0%} of a typical image, which is enough to see around"
    if spacings.target_low(fingerprint) is None:
        return "coarser voxels would lose the thinnest label, or its size is unknown, or they would spare too little"
    low = _beside("3d_lowres", fingerprint, budget)
    if isinstance(low, str) or coverage(low) > coverage(main):
        return low
    return "at low resolution a patch would see no more of the image"


def _narrow(main: Sized, low: Sized) -> str:
    return (
        f"in the time given a patch would be {times(main[1].patch)} voxels, {coverage(main):.0%} of a typical image; "
        f"at low resolution it is {coverage(low):.0%}, and what a network cannot see it cannot tell apart"
    )


def _second_stage(main: Sized, low: Sized, fingerprint: Fingerprint, budget: Budget) -> Sized | str:
    """The cascade's second stage, for which a large image is also seen at low resolution; else why not."""
    if budget.preset != "max":
        return f"preset {budget.preset} takes 3d_fullres where time allows it; preset max adds a cascade"
    second = _beside(cascade.SECOND, fingerprint, budget)
    if isinstance(second, str):
        return second
    second = _after(low, second)
    return _not_affordable((main, low, second), budget) or second


def _after(first: Sized, second: Sized) -> Sized:
    """A second stage with the time of what it runs after: the full resolution, with the low one's masks as input."""
    task, size = second
    return task, replace(size, case_inference_s=size.case_inference_s + first[1].case_inference_s)


def _flat_view(main: Sized, fingerprint: Fingerprint, budget: Budget) -> Sized | str:
    """``2d`` beside ``3d_fullres``; else why not."""
    because = _not_called_for(fingerprint, budget)
    if because is not None:
        return because
    flat = _beside("2d", fingerprint, budget)
    return flat if isinstance(flat, str) else _not_affordable((main, flat), budget) or flat


def _not_called_for(fingerprint: Fingerprint, budget: Budget) -> str | None:
    """Why the data and the preset do not call for ``2d`` beside ``3d_fullres``; None if they do."""
    if budget.preset == "fast":
        return "preset fast buys one configuration"
    ratio = spacings.slice_ratio(spacings.target_3d(fingerprint)[0])
    if budget.preset == "standard" and ratio < FLAT_RATIO:
        return (
            f"slices are {ratio:.2g} times as thick as pixels are wide; from {FLAT_RATIO:g} on, a network that ignores "
            "the neighbouring slices can add to one that sees them"
        )
    return None


def _not_affordable(views: Sequence[Sized], budget: Budget) -> str | None:
    """Why the time does not allow all of these configurations; None if it does."""
    task, size = views[0]
    if budget.preset == "standard" and size.limit == "time":
        return (
            f"{task.name} is itself limited by time ({size.next_rung}), and a larger network gains more than a "
            "second view"
        )
    share = schedule.ADMITTED_SHARE if budget.preset == "max" else 1.0
    seconds = schedule.job_seconds(budget, sizing.other_s(views, budget), len(views) * budget.folds)
    for task, size in views:
        steps = schedule.steps_within(seconds, size.step_s, budget)
        wanted = math.ceil(share * schedule.ambition(budget).target_steps[task.dimension])
        if steps < wanted:
            return f"with {len(views)} configurations {task.name} would get {steps} steps per fold, fewer than {wanted}"
    return None


def _skipped(because: dict[ConfigurationName, str]) -> tuple[Skipped, ...]:
    return tuple(Skipped(configuration=name, because=because[name]) for name in NAMES if name in because)
