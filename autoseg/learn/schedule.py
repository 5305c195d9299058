"""How far training has come, and the learning rate and the patch at that point."""

import math

from planners.contracts import TrainingPlan

POLY_EXPONENT = 0.9


def progress(plan: TrainingPlan, step: int, seconds: float) -> float:
    """Share of the job that is done, from 0 to 1: of its steps or of its time, whichever is more.

    >>> progress(TrainingPlan(patch_vox=(8, 8), batch=1, steps=100, seconds=10.0), step=10, seconds=5.0)
    0.5
    """
    by_steps = step / plan.steps
    by_time = 0.0 if plan.seconds is None else seconds / plan.seconds
    return min(1.0, max(by_steps, by_time))


def left_s(plan: TrainingPlan, step: int, seconds: float, step_s: float) -> float:
    """Seconds of work that are left, at a pace, until steps or time are used up.

    >>> left_s(TrainingPlan(patch_vox=(8, 8), batch=1, steps=100, seconds=10.0), step=10, seconds=5.0, step_s=0.1)
    5.0
    """
    by_steps = (plan.steps - step) * step_s
    return by_steps if plan.seconds is None else min(by_steps, plan.seconds - seconds)


def learning_rate(plan: TrainingPlan, share: float) -> float:
    """A linear rise over the first ``warmup_share`` of the job, then a fall to zero along the plan's curve.

    >>> plan = TrainingPlan(patch_vox=(8, 8), batch=1, steps=9, learning_rate=0.1, warmup_share=0.1, schedule="cosine")
    >>> [round(learning_rate(plan, share), 3) for share in (0.0, 0.05, 0.1, 0.55, 1.0)]
    [0.001, 0.05, 0.1, 0.05, 0.0]
    """
    if share < plan.warmup_share:
        return plan.learning_rate * max(share / plan.warmup_share, 0.01)
    rest = (share - plan.warmup_share) / (1.0 - plan.warmup_share)
    if plan.schedule == "cosine":
        return plan.learning_rate * 0.5 * (1.0 + math.cos(math.pi * rest))
    return float(plan.learning_rate * (1.0 - rest) ** POLY_EXPONENT)


def patch(plan: TrainingPlan, share: float) -> tuple[int, ...]:
    """The patch to train on: the first of the smaller ones whose share is not over, or else the full one.

    >>> from planners.contracts import SmallerPatch
    >>> small = SmallerPatch(patch_vox=(4, 4), until_share=0.5)
    >>> plan = TrainingPlan(patch_vox=(8, 8), batch=1, steps=9, smaller_patches=(small,))
    >>> patch(plan, 0.4), patch(plan, 0.5)
    ((4, 4), (8, 8))
    """
    return next((small.patch_vox for small in plan.smaller_patches if share < small.until_share), plan.patch_vox)
