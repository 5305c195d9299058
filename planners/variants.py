"""Variants of a plan, for a search to try: one main configuration with a few choices other than the rules made them.

A variant costs what the plan costs: its steps are as many as take the same predicted time, so that a wider network
trains fewer of them. Only the main configuration is tried, and only it is changed; another planner's plan is taken as a
whole, as far as it has the same configurations.
"""

from collections.abc import Iterator

from planners import cost, registry, schedule, validation
from planners.contracts import (
    NO_WISHES,
    Budget,
    Configuration,
    ConfigurationName,
    Fingerprint,
    Plan,
    Reason,
    TrainingPlan,
    Variation,
    Wishes,
)
from planners.errors import ImpossibleWish, InfeasibleBudget, PlanningError
from planners.memory import planned_bytes, usable_bytes
from planners.variation import AS_PLANNED, CHOICES, Value, changed, resampled_shapes

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
    draft = changed(start.configuration(before.name), variation, fingerprint)
    if draft == before:
        raise ImpossibleWish(f"{variation}: changes nothing here, where the plan has come to its limits")
    drafts = [draft if one.name == before.name else one for one in start.configurations]
    made = tuple(
        one if one == known[one.name] else _priced(one, known[one.name], fingerprint, budget) for one in drafts
    )
    folds = plan.folds or budget.folds
    now_s, then_s = (sum(_run_s(one, folds, fingerprint, budget) for one in each) for each in (made, known.values()))
    variant = start.model_copy(
        update={
            "configurations": made,
            "reasons": (*start.reasons, *_reasons(before, made[drafts.index(draft)], variation)),
            "predicted_hours": max(0.0, plan.predicted_hours + (now_s - then_s) / 3600),
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
    return cost.case_inference_s(one.network, one.training.patch_vox, resampled_shapes(one, fingerprint), budget)


def _run_s(one: Configuration, folds: int, fingerprint: Fingerprint, budget: Budget) -> float:
    """Seconds that a configuration adds to a run."""
    shapes = resampled_shapes(one, fingerprint)
    predictions = len(shapes) * (1 + schedule.HOLDOUT_ALLOWANCE * folds)
    training_s = schedule.rounds(budget, folds) * one.cost.fold_training_s
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
