"""The contract of a planner: ``check_planner`` holds for all, ``check_own`` for those that know the machine."""

from planners.contracts import Budget, Configuration, Fingerprint, Plan
from planners.memory import planned_bytes, training_bytes, usable_bytes
from planners.registry import Planner
from planners.schedule import CLOCK_HEADROOM, FEWEST_STEPS

PLAN_RULES = {"intensity.normalization", "network.precision", "axes.order"}
CONFIGURATION_RULES = {
    "spacing.target",
    "patch.size",
    "patch.batch",
    "network.width",
    "network.topology",
    "schedule.steps",
    "schedule.learning_rate",
    "schedule.foreground",
    "schedule.loss",
    "augmentation.mirror",
    "augmentation.strength",
}


def check_planner(planner: Planner, fingerprint: Fingerprint, budget: Budget) -> Plan:
    """Deterministic, blind to case order, divisible patches, survives JSON, a reason for every choice."""
    plan = planner(fingerprint, budget)
    assert planner(fingerprint, budget) == plan
    assert planner(fingerprint.model_copy(update={"cases": fingerprint.cases[::-1]}), budget) == plan
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    for configuration in plan.configurations:
        _check_consistent(configuration, fingerprint)
        assert len(configuration.network.features) >= 2 or not plan.trainable
    _check_reasons(plan)
    return plan


def check_own(plan: Plan, fingerprint: Fingerprint, budget: Budget) -> None:
    """Fits the memory in bytes and the hours; batches of two unless memory forbids or hours allow hardly a step."""
    for configuration in plan.configurations:
        training = configuration.training
        network, patch = configuration.network, training.patch_vox
        assert (
            planned_bytes(network, training, fingerprint.kind)
            == configuration.cost.memory_bytes
            <= usable_bytes(budget)
            <= budget.memory_bytes
        )
        if training.batch < 2:
            hardly_a_step = budget.hours is not None and training.steps <= 2 * CLOCK_HEADROOM * (FEWEST_STEPS + 1)
            two = training_bytes(network, patch, 2, training.precision, kind=fingerprint.kind)
            assert hardly_a_step or two > usable_bytes(budget)
        assert training.steps >= FEWEST_STEPS
        assert (training.seconds is None) == (budget.hours is None or budget.deterministic)
    if budget.hours is not None:
        assert plan.predicted_hours <= budget.hours


def check_no_patch_shrinks(before: Plan, after: Plan) -> None:
    """``after`` was made for a larger budget: whatever both plan has no smaller patch."""
    for configuration in before.configurations:
        if configuration.name in {other.name for other in after.configurations}:
            small = configuration.training.patch_vox
            large = after.configuration(configuration.name).training.patch_vox
            assert all(a <= b for a, b in zip(small, large, strict=True)), (small, large)


def _check_consistent(configuration: Configuration, fingerprint: Fingerprint) -> None:
    network, training = configuration.network, configuration.training
    stages = len(network.features)
    assert 1 <= stages == len(network.strides) == len(network.kernels) == len(network.convolutions_encoder)
    assert len(network.convolutions_decoder) == stages - 1
    assert set(network.strides[0]) == {1}
    assert len(training.patch_vox) == network.dimension == configuration.dimension
    for axis, edge in enumerate(training.patch_vox):
        for stride in network.strides:
            assert edge % stride[axis] == 0
            edge //= stride[axis]
        assert edge >= 1
    masks = 0 if configuration.previous_stage is None else len(fingerprint.labels)
    assert training.augmentation.masks == masks == network.in_channels - len(fingerprint.channels)
    assert len(configuration.normalization) == len(fingerprint.channels)
    assert network.heads == fingerprint.heads
    assert network.deep_supervision == (stages >= 3)
    assert all(0 <= axis < network.dimension for axis in training.augmentation.mirror_axes)
    assert training.loss == "dice_ce"
    if fingerprint.dimension == 2:
        assert configuration.name == "2d"
    if configuration.name == "2d":
        assert configuration.spacing_mm[0] is None


def _check_reasons(plan: Plan) -> None:
    assert {reason.rule for reason in plan.reasons} >= PLAN_RULES
    for configuration in plan.configurations:
        rules = {reason.rule for reason in plan.reasons if reason.configuration == configuration.name}
        assert rules >= CONFIGURATION_RULES, CONFIGURATION_RULES - rules
        assert ("network.previous_stage" in rules) == (configuration.previous_stage is not None)
    for skipped in plan.skipped:
        assert any(
            r.rule == "configurations.skipped" and r.configuration == skipped.configuration for r in plan.reasons
        )
    for reason in plan.reasons:
        assert all((reason.saw, reason.chose, reason.because, reason.source)), reason
