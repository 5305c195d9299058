"""Variants of a plan, for a search to try: one main configuration with a few choices other than the rules made them.

A variant costs what the plan costs: its steps are as many as take the same predicted time, so that a wider network
trains fewer of them. Only the main configuration is tried, and only it is changed; another planner's plan is taken as a
whole, as far as it has the same configurations.
"""

from collections.abc import Iterator
from math import ceil, prod

from planners import axes, cost, registry, schedule, validation
from planners import spacing as spacings
from planners.contracts import (
    NO_WISHES,
    Budget,
    Configuration,
    ConfigurationName,
    Fingerprint,
    NetworkPlan,
    Plan,
    Reason,
    Record,
    Shape,
    TrainingPlan,
    Variation,
    Wishes,
)
from planners.errors import ImpossibleWish, InfeasibleBudget, PlanningError
from planners.memory import planned_bytes, usable_bytes

WIDTH_STEP = 4
"""Features of a stage are a multiple of it."""
FEWEST_VOXELS = 2
"""Along each axis, that a smaller patch leaves at the coarsest resolution."""
Value = float | str | None


AS_PLANNED = Variation()
CHOICES: dict[str, tuple[Value, ...]] = {
    "width": (1.0, 0.75, 1.25, 1.5),
    "spacing": (1.0, 0.8, 1.25),
    "patch": (1.0, 0.5, 2.0),
    "augmentation": (1.0, 0.5, 2.0),
    "rate": (1.0, 0.3, 3.0),
    "loss": (None, "dice_focal", "dice_topk", "tversky_ce"),
    "planner": (None, "nnunet_resenc_m"),
}
"""What is tried of each field of a variation; the first value is the plan's."""
FIRST = (
    Variation(rate=0.3),
    Variation(width=1.5),
    Variation(patch=2.0),
    Variation(augmentation=2.0),
    Variation(loss="dice_topk"),
    Variation(spacing=1.25),
    Variation(width=0.75),
    Variation(patch=0.5),
)
"""Tried before a search learns from what it tried: one thing at a time, so that the record tells what each is worth."""
BECAUSE = "varied by a search, to be judged by partial trainings; steps take the same predicted time"
SOURCE = "plan search: search.json has every trial"


def space(plan: Plan, fingerprint: Fingerprint, wishes: Wishes = NO_WISHES) -> dict[str, tuple[Value, ...]]:
    """The choices that make sense of a plan; what was asked for, or is unknown, is not varied."""
    fixed = {"planner"} if plan.planner != "auto" else set()
    if wishes.spacing_mm is not None or not fingerprint.spacing_known:
        fixed |= {"spacing"}
    if wishes.like is not None:  # a trained network goes on with the patch and the voxels it knows
        fixed |= {"width", "spacing", "patch", "planner"}
    return {name: values for name, values in CHOICES.items() if name not in fixed}


def main(plan: Plan) -> Configuration:
    """The configuration that is tried: the first that sees volumes, if any does, and builds on no other."""
    return max((one for one in plan.configurations if one.previous_stage is None), key=lambda one: one.dimension)


def varied(
    plan: Plan, variation: Variation, fingerprint: Fingerprint, budget: Budget, wishes: Wishes = NO_WISHES
) -> Plan:
    """Another plan, priced anew and checked, that says what was varied.

    Args:
        plan: As the rules made it, or somebody edited it.
        variation: What to change.
        fingerprint: The data.
        budget: What ``plan`` was made with.
        wishes: What is not left to planners.

    Raises:
        InfeasibleBudget: Memory or time do not allow it.
        ImpossibleWish: It would change nothing, or the other planner has no such configurations.
        PlanningError: The other planner has no plan for these data.
    """
    before, start = main(plan), _planned(plan, variation, fingerprint, budget, wishes)
    known = {one.name: one for one in plan.configurations}
    changed = _changed(start.configuration(before.name), variation, fingerprint)
    if changed == before:
        raise ImpossibleWish(f"{variation}: changes nothing here, where the plan has come to its limits")
    drafts = [changed if one.name == before.name else one for one in start.configurations]
    made = tuple(
        one if one == known[one.name] else _priced(one, known[one.name], fingerprint, budget) for one in drafts
    )
    pairs = [(one, known[one.name]) for one in made]
    more_s = sum(_run_s(one, fingerprint, budget) - _run_s(old, fingerprint, budget) for one, old in pairs)
    variant = start.model_copy(
        update={
            "configurations": made,
            "reasons": (*start.reasons, *_reasons(before, made[drafts.index(changed)], variation)),
            "predicted_hours": max(0.0, plan.predicted_hours + more_s / 3600),
            "folds": plan.folds,
            "parents": (),
            "provenance": None,
        }
    )
    _require_time(variant, variation, budget)
    validation.check(variant, fingerprint, budget)
    return variant


def partial(plan: Plan, name: ConfigurationName, seconds: float, budget: Budget) -> Plan:
    """One configuration alone, with as many steps as are predicted to take ``seconds``; no clock ends it."""
    one = plan.configuration(name)
    step_s = _step_s(one, budget)
    steps = max(1, int(seconds / step_s))
    share = steps / _trained(one.training.steps, one.training.seconds, step_s)
    training = _averaged(one.training, share).model_copy(update={"steps": steps, "seconds": None, "monitor_cases": 0})
    price = one.cost.model_copy(update={"step_s": step_s, "fold_training_s": steps * step_s})
    return plan.model_copy(
        update={
            "configurations": (one.model_copy(update={"training": training, "cost": price}),),
            "predicted_hours": steps * step_s / 3600,
            "parents": (),
            "provenance": None,
        }
    )


# -------------------------------------------------------------------------------------------------------- changes


def _planned(plan: Plan, variation: Variation, fingerprint: Fingerprint, budget: Budget, wishes: Wishes) -> Plan:
    """What the variation begins with: the plan, or another planner's for the same configurations."""
    if variation.planner is None:
        return plan
    names: tuple[ConfigurationName, ...] = tuple(one.name for one in plan.configurations)
    asked = wishes.model_copy(update={"configurations": names, "folds": plan.folds})
    made = registry.plan(fingerprint, budget, variation.planner, asked)
    if not made.trainable:
        raise PlanningError(f"planner {variation.planner} makes a network here that cannot be trained")
    return made


def _changed(configuration: Configuration, variation: Variation, fingerprint: Fingerprint) -> Configuration:
    changed = _resampled(configuration, variation.spacing, fingerprint)
    changed = _traded(changed, variation.patch)
    training = changed.training
    update: dict[str, object] = {"learning_rate": float(f"{variation.rate * training.learning_rate:.3g}")}
    if variation.augmentation != 1.0:
        update["augmentation"] = _augmented(training, variation.augmentation)
    if variation.loss is not None:
        update["loss"] = variation.loss
    widened = _widened(changed.network, variation.width)
    return changed.model_copy(update={"network": widened, "training": training.model_copy(update=update)})


def _widened(network: NetworkPlan, factor: float) -> NetworkPlan:
    if factor == 1.0:
        return network
    features = tuple(WIDTH_STEP * max(1, round(factor * count / WIDTH_STEP)) for count in network.features)
    return network.model_copy(update={"features": features})


def _resampled(configuration: Configuration, factor: float, fingerprint: Fingerprint) -> Configuration:
    """Other voxels of the same proportions, so that the network's strides suit them; no patch beyond the image."""
    if factor == 1.0:
        return configuration
    depth, height, width = configuration.spacing_mm
    z_mm = None if depth is None else float(f"{factor * depth:.6g}")
    spacing_mm = (z_mm, float(f"{factor * height:.6g}"), float(f"{factor * width:.6g}"))
    other = configuration.model_copy(update={"spacing_mm": spacing_mm})
    other = other.model_copy(update={"median_shape_vox": spacings.median_shape(_shapes(other, fingerprint))})
    limits = zip(other.training.patch_vox, _padded(other), _least(other), strict=True)
    return _with_patch(other, tuple(min(edge, max(padded, least)) for edge, padded, least in limits))


def _traded(configuration: Configuration, factor: float) -> Configuration:
    """A larger patch in a smaller batch, or the other way round: as many voxels per step, as far as both are whole."""
    if factor == 1.0:
        return configuration
    training, scale = configuration.training, factor ** (1 / configuration.dimension)
    limits = zip(
        training.patch_vox, _padded(configuration), _least(configuration), _divisors(configuration), strict=True
    )
    patch = tuple(
        min(max(edge, padded), max(least, by * round(scale * edge / by))) for edge, padded, least, by in limits
    )
    changed = _with_patch(configuration, patch)
    batch = max(1, round(training.batch * prod(training.patch_vox) / prod(patch)))
    return changed.model_copy(update={"training": changed.training.model_copy(update={"batch": batch})})


def _with_patch(configuration: Configuration, patch: tuple[int, ...]) -> Configuration:
    training = configuration.training
    if patch == training.patch_vox:
        return configuration
    update = {"patch_vox": patch, "smaller_patches": ()}
    return configuration.model_copy(update={"training": training.model_copy(update=update)})


def _divisors(configuration: Configuration) -> tuple[int, ...]:
    """What the strides divide each edge of a patch by."""
    return tuple(prod(strides) for strides in zip(*configuration.network.strides, strict=True))


def _padded(configuration: Configuration) -> tuple[int, ...]:
    """Edges of the patch that holds a whole typical image."""
    sizes = configuration.median_shape_vox[3 - configuration.dimension :]
    return tuple(by * ceil(size / by) for size, by in zip(sizes, _divisors(configuration), strict=True))


def _least(configuration: Configuration) -> tuple[int, ...]:
    """Edges that leave something to see at the coarsest resolution; never more than there are."""
    pairs = zip(configuration.training.patch_vox, _divisors(configuration), strict=True)
    return tuple(min(edge, FEWEST_VOXELS * by) for edge, by in pairs)


def _augmented(training: TrainingPlan, factor: float) -> Record:
    """All probabilities times a factor, at most 1; ranges, mirroring and what is done to masks stay."""
    known = training.augmentation
    names = (name for name in type(known).model_fields if name.endswith("_probability") and "mask" not in name)
    return known.model_copy(update={name: min(1.0, factor * getattr(known, name)) for name in names})


# ---------------------------------------------------------------------------------------------------------- price


def _priced(one: Configuration, before: Configuration, fingerprint: Fingerprint, budget: Budget) -> Configuration:
    """The configuration with the steps that take the time of ``before``, and what it costs now."""
    needed, usable = planned_bytes(one.network, one.training, fingerprint.kind), usable_bytes(budget)
    if needed > usable:
        raise InfeasibleBudget(
            f"{one.name}: the variant needs {needed / 1e9:.2f} GB to train, but only {usable / 1e9:.2f} GB may be used "
            f"on {budget.device}",
        )
    step_s, old_step_s, seconds = _step_s(one, budget), _step_s(before, budget), before.training.seconds
    steps = round(before.training.steps * old_step_s / step_s)
    trained, old_trained = _trained(steps, seconds, step_s), _trained(before.training.steps, seconds, old_step_s)
    if trained < min(schedule.FEWEST_STEPS, old_trained):
        raise InfeasibleBudget(
            f"{one.name}: in the time of the plan the variant trains {trained:.0f} steps of {step_s:.2g} s, and fewer "
            f"than {schedule.FEWEST_STEPS} teach nothing"
        )
    training = _averaged(one.training, trained / old_trained)
    kept = {"seconds": seconds, "monitor_cases": before.training.monitor_cases, "steps": steps}
    price = one.cost.model_copy(
        update={
            "memory_bytes": needed,
            "step_s": step_s,
            "fold_training_s": step_s * trained,
            "case_inference_s": _case_s(one, fingerprint, budget),
        }
    )
    return one.model_copy(update={"training": training.model_copy(update=kept), "cost": price})


def _averaged(training: TrainingPlan, share: float) -> TrainingPlan:
    """Weights averaged over the same part of a schedule of other length: ``share`` of what it was."""
    if training.ema_decay is None or share == 1.0:
        return training
    horizon = max(float(schedule.EMA_SHORTEST_HORIZON), share / (1.0 - training.ema_decay))
    return training.model_copy(update={"ema_decay": round(1.0 - 1.0 / horizon, 6)})


def _trained(steps: int, seconds: float | None, step_s: float) -> float:
    """Steps that are predicted to be trained: all, or until the clock ends the job."""
    return steps if seconds is None else min(steps, seconds / step_s)


def _step_s(one: Configuration, budget: Budget) -> float:
    return cost.step_s(one.network, one.training.patch_vox, one.training.batch, budget)


def _case_s(one: Configuration, fingerprint: Fingerprint, budget: Budget) -> float:
    return cost.case_inference_s(one.network, one.training.patch_vox, _shapes(one, fingerprint), budget)


def _shapes(one: Configuration, fingerprint: Fingerprint) -> tuple[Shape, ...]:
    return spacings.resampled_shapes(axes.reordered(fingerprint, one.axes), one.spacing_mm)


def _run_s(one: Configuration, fingerprint: Fingerprint, budget: Budget) -> float:
    """Seconds that a configuration adds to a run."""
    shapes = _shapes(one, fingerprint)
    predictions = len(shapes) * (1 + schedule.HOLDOUT_ALLOWANCE * budget.folds)
    training_s = schedule.rounds(budget, budget.folds) * one.cost.fold_training_s
    preparing_s = cost.preprocessing_s(shapes, one.network.in_channels, budget)
    return training_s + preparing_s + predictions * _case_s(one, fingerprint, budget)


def _require_time(variant: Plan, variation: Variation, budget: Budget) -> None:
    if budget.hours is not None and variant.predicted_hours > budget.hours:
        raise InfeasibleBudget(
            f"{variation}: the run is predicted to take {variant.predicted_hours:.2f} h, of which {budget.hours:.2f} "
            "are left to it"
        )


# -------------------------------------------------------------------------------------------------------- reasons


def _reasons(before: Configuration, now: Configuration, variation: Variation) -> Iterator[Reason]:
    """One for each thing that was varied, and one for the steps that pay for it."""
    old, new = before.training, now.training
    told = {
        "width": (f"{before.network.features[0]} features", f"{now.network.features[0]} features in the first stage"),
        "spacing": (_mm(before), _mm(now)),
        "patch": tuple(f"{one.batch} patches of {_times(one.patch_vox)} voxels" for one in (old, new)),
        "augmentation": ("probabilities as planned", f"{variation.augmentation:g} times as likely"),
        "rate": (f"learning rate {old.learning_rate:g}", f"learning rate {new.learning_rate:g}"),
        "loss": (old.loss, new.loss),
        "planner": ("another planner's plan", f"the plan of {variation.planner}"),
        "steps": (f"{old.steps} steps", f"{new.steps} steps"),
    }
    names = [name for name, value in variation if value != getattr(AS_PLANNED, name)]
    for name in (*names, *(["steps"] if old.steps != new.steps else [])):
        saw, chose = told[name]
        yield Reason(
            rule=f"search.{name}",
            configuration=before.name,
            saw=f"{saw} in the plan of the rules",
            chose=chose,
            because=BECAUSE,
            source=SOURCE,
        )


def _mm(one: Configuration) -> str:
    return _times(tuple("as it is" if mm is None else f"{mm:g}" for mm in one.spacing_mm)) + " mm"


def _times(values: tuple[object, ...]) -> str:
    return " x ".join(map(str, values))
