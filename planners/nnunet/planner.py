"""A Plan of what nnU-Net would decide, trained by our engine: what comparisons at equal time need.

Grid, patch, batch, network and normalization are the incumbent's. So are optimizer, loss, sampling and augmentation as
far as our engine has them. Steps are its 250 000, or as many as the hours allow.
"""

import math

from planners import cascade, schedule
from planners import size as sizing
from planners.axes import reordered
from planners.contracts import (
    NO_WISHES,
    Augmentation,
    Budget,
    ChannelFingerprint,
    Configuration,
    Cost,
    Fingerprint,
    Normalization,
    Plan,
    TrainingPlan,
    Wishes,
)
from planners.errors import InfeasibleBudget, PlanningError
from planners.nnunet import reasons, translation
from planners.nnunet.decisions import Decisions, Measured, decide
from planners.nnunet.spacing import Vector
from planners.nnunet.translation import Part
from planners.nnunet.variants import Variant

STEPS = 250_000
FLAT_PATCH = 3.0  # a patch this much longer than thick is turned in its plane only
ELONGATED = 1.5  # a plane longer than this is turned a little only


def plan(fingerprint: Fingerprint, budget: Budget, wishes: Wishes = NO_WISHES, *, variant: Variant) -> Plan:
    """What the incumbent would decide, as a Plan.

    Args:
        fingerprint: The data.
        budget: Gives time, and memory where it was asked for; the incumbent measures neither.
        wishes: What is not left to it.
        variant: One of its planners.

    Raises:
        InfeasibleBudget: The hours do not allow a useful number of steps, or the memory no patch.
        ImpossibleWish: It plans no such configuration here.
        PlanningError: Its rules give no plan for voxels of this shape.
    """
    made = _decided(fingerprint, budget, wishes, variant)
    along = reordered(fingerprint, made.grid.forward)
    parts = translation.asked(translation.parts(made, along, budget), wishes.configurations)
    left_out = translation.skipped(made, parts)
    steps, seconds, other_s = _steps(parts, budget)
    configurations = tuple(
        _configuration(part, own, seconds, made, along, budget) for part, own in zip(parts, steps, strict=True)
    )
    training_s = sum(budget.folds * configuration.cost.fold_training_s for configuration in configurations)
    return Plan(
        planner=variant.name,
        trainable=all(len(configuration.network.strides) > 1 for configuration in configurations),
        configurations=configurations,
        skipped=left_out,
        reasons=(
            *reasons.common(made, along, budget),
            *(reasons.left_out(item) for item in left_out),
            *(
                reason
                for part, configuration in zip(parts, configurations, strict=True)
                for reason in (
                    *reasons.of(part, configuration, made, budget),
                    *cascade.reasons(configuration.name, configuration.training.augmentation.masks),
                )
            ),
        ),
        predicted_hours=(training_s + other_s) / 3600,
    )


def _decided(fingerprint: Fingerprint, budget: Budget, wishes: Wishes, variant: Variant) -> Decisions:
    data, gpu_gb = translation.measured(fingerprint), budget.device_gb or variant.gpu_gb
    wanted_mm = translation.wanted(fingerprint, wishes)
    try:
        made = decide(data, variant, gpu_gb, wanted_mm)
    except InfeasibleBudget as error:
        enough = _enough_bytes(data, variant, gpu_gb, wanted_mm)
        raise InfeasibleBudget(
            f"for {gpu_gb:g} GB of GPU memory nnU-Net's rules allow no patch at all in one of their configurations; "
            f"give at least {enough / 1e9:.2f} GB, or the planner auto",
            smallest_bytes=enough,
        ) from error
    if fingerprint.dimension == 2 and made.grid.forward[0] != 0:
        raise PlanningError(
            f"nnU-Net's rules take single images for slices {translation.PLANE_APART_MM:g} mm apart, and across pixels "
            f"of {made.grid.spacing_mm[0]:g} mm they would cut them: there is no such plan; choose another planner, "
            "e.g. auto"
        )
    return made


def _enough_bytes(data: Measured, variant: Variant, gpu_gb: float, wanted_mm: Vector | None) -> int:
    """Memory that does, to a factor of two: which grids are tried depends on it, so the least is not worth its search.

    Raises:
        PlanningError: With more memory its rules have no plan for other reasons.
    """
    enough = max(1, math.ceil(100 * gpu_gb)) * 10**7
    while True:
        try:
            decide(data, variant, enough / 1e9, wanted_mm)
        except InfeasibleBudget:
            enough *= 2
        else:
            return enough


def _steps(parts: tuple[Part, ...], budget: Budget) -> tuple[list[int], float, float]:
    """Steps of each configuration's jobs, seconds of each job, and of all that is not training."""
    other_s = sizing.other_s([(part.task, part.size) for part in parts], budget)
    jobs = budget.folds * len(parts)
    seconds = schedule.job_seconds(budget, other_s, jobs)
    share = schedule.DETERMINISTIC_SHARE if budget.deterministic else 1.0
    steps = [int(min(STEPS, share * seconds / part.size.step_s)) for part in parts]
    if budget.hours is None:
        return [max(own, schedule.FEWEST_STEPS_WITHOUT_HOURS) for own in steps], seconds, other_s
    if min(steps) < schedule.FEWEST_STEPS:
        slowest = max(part.size.step_s for part in parts)
        hours = schedule.smallest_hours(budget, slowest, other_s, jobs)
        raise InfeasibleBudget(
            f"{budget.hours:g} hours leave {min(steps)} training steps in one of {jobs} jobs planned as nnU-Net does, "
            f"and fewer than {schedule.FEWEST_STEPS} teach nothing; give at least {hours:g} hours, fewer folds, or the "
            "planner auto, which fits its networks to the time",
            smallest_hours=hours,
        )
    return steps, seconds, other_s


def _configuration(
    part: Part, steps: int, seconds: float, made: Decisions, along: Fingerprint, budget: Budget
) -> Configuration:
    fit, task, size = part.fit, part.task, part.size
    limited = budget.hours is not None and not budget.deterministic
    training = TrainingPlan(
        patch_vox=fit.patch,
        batch=fit.batch,
        steps=min(STEPS, math.ceil(schedule.CLOCK_HEADROOM * steps)) if limited else steps,
        seconds=seconds if limited else None,
        optimizer="sgd",
        learning_rate=0.01,
        momentum=0.99,
        weight_decay=3e-5,
        schedule="poly",
        warmup_share=0.0,
        ema_decay=None,
        loss="dice_ce",
        batch_dice=task.name == "2d" or (task.name != "3d_lowres" and made.low.kept),
        foreground_fraction=0.33,
        augmentation=_augmentation(fit.patch, size.network.in_channels - len(along.channels)),
        precision=budget.precision,
    )
    return Configuration(
        name=task.name,
        dimension=task.dimension,
        axes=made.grid.forward,
        spacing_mm=task.spacing_mm,
        median_shape_vox=task.median_shape,
        normalization=_normalization(made, along),
        network=size.network,
        training=training,
        cost=Cost(
            memory_bytes=size.memory_bytes,
            step_s=size.step_s,
            fold_training_s=min(steps * size.step_s, training.seconds or math.inf),
            case_inference_s=size.case_inference_s,
        ),
        previous_stage=cascade.previous_stage(task.name),
    )


def _augmentation(patch: tuple[int, ...], masks: int) -> Augmentation:
    mirror = tuple(range(len(patch)))
    if len(patch) == 2:
        angle = 15.0 if max(patch) / min(patch) > ELONGATED else 180.0
        rotation = (angle, 0.0, 0.0)
    elif max(patch) / patch[0] > FLAT_PATCH:
        rotation = (180.0, 0.0, 0.0)
    else:
        rotation = (30.0, 30.0, 30.0)
    return Augmentation(rotation_deg=rotation, mirror_axes=mirror, masks=masks)


def _normalization(made: Decisions, along: Fingerprint) -> tuple[Normalization, ...]:
    channels = zip(along.channels, made.normalization, made.masked, strict=True)
    return tuple(_scheme(channel, scheme, masked) for channel, scheme, masked in channels)


def _scheme(channel: ChannelFingerprint, scheme: str, masked: bool) -> Normalization:
    if scheme == "CTNormalization":
        values = channel.foreground or channel.overall
        return Normalization(
            channel=channel.name,
            scheme="ct",
            lower=values.percentile_00_5,
            upper=values.percentile_99_5,
            mean=values.mean,
            std=max(values.std, 1e-8),
        )
    if scheme == "NoNormalization":
        return Normalization(channel=channel.name, scheme="none")
    if scheme == "RescaleTo01Normalization":
        return Normalization(channel=channel.name, scheme="rescale_to_0_1")
    if scheme == "RGBTo01Normalization":
        return Normalization(channel=channel.name, scheme="rgb_to_0_1")
    return Normalization(channel=channel.name, scheme="zscore", inside_nonzero=masked)
