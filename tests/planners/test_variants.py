"""Variants of a plan: legal and as dear as the plan, or refused for what they need; each says what was varied."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planners import variants
from planners.contracts import Plan, Variation, Wishes
from planners.errors import ImpossibleWish, InfeasibleBudget, PlanningError
from planners.memory import planned_bytes, usable_bytes
from planners.registry import plan
from planners.validation import check
from planners.variation import AS_PLANNED, CHOICES
from tests.strategies import budget, budgets, fingerprint, fingerprints, gpu

DATA = fingerprint(((80, 110, 75),) * 40, names=("Anterior", "Posterior"))
MACHINE = budget(hours=2.0)
MADE = plan(DATA, MACHINE)
VARIATIONS = st.builds(Variation, **{name: st.sampled_from(values) for name, values in CHOICES.items()})


def varied(variation: Variation, made: Plan = MADE):
    return variants.varied(made, variation, DATA, MACHINE)


@given(data=fingerprints(), machine=budgets(), variation=VARIATIONS)
def test_a_variant_can_be_carried_out_or_is_refused_for_what_it_needs(data, machine, variation):
    machine = machine.model_copy(update={"folds": min(machine.folds, len(data.cases))})
    try:
        made = plan(data, machine)
    except InfeasibleBudget:
        return
    try:
        variant = variants.varied(made, variation, data, machine)
    except (InfeasibleBudget, ImpossibleWish):
        return
    except PlanningError as error:
        assert variation.planner is not None, error  # ours have a plan for everything
        return
    check(variant, data, machine)
    assert variant == Plan.model_validate_json(variant.model_dump_json())
    assert variant.folds == made.folds
    assert [one.name for one in variant.configurations] == [one.name for one in made.configurations]
    assert machine.hours is None or variant.predicted_hours <= machine.hours
    tried, before = variants.main(variant), variants.main(made)
    assert tried.cost.memory_bytes == planned_bytes(tried.network, tried.training, data.kind) <= usable_bytes(machine)
    assert tried.cost.fold_training_s == pytest.approx(before.cost.fold_training_s, rel=0.02)
    assert {reason.rule for reason in variant.reasons} >= {
        f"search.{name}" for name, value in variation if value != getattr(AS_PLANNED, name)
    }


@pytest.mark.parametrize(("factor", "wider"), [(1.5, True), (0.75, False)])
def test_a_wider_network_trains_fewer_steps_in_the_same_time(factor, wider):
    before, now = MADE.configurations[0], varied(Variation(width=factor)).configurations[0]
    assert (now.network.features[0] > before.network.features[0]) == wider
    assert (now.training.steps < before.training.steps) == wider
    assert now.training.seconds == before.training.seconds
    horizons = [1 / (1 - one.training.ema_decay) / one.training.steps for one in (before, now)]
    assert horizons[1] == pytest.approx(horizons[0], rel=0.1)  # the same share of the schedule


def test_a_patch_is_traded_for_the_batch():
    data, machine = fingerprint(((300, 300, 300),) * 40, label_mm=80.0), gpu()
    made = plan(data, machine)
    before = variants.main(made).training
    larger = variants.main(variants.varied(made, Variation(patch=0.5), data, machine)).training
    assert larger.batch > before.batch
    assert all(a <= b for a, b in zip(larger.patch_vox, before.patch_vox, strict=True))


def test_coarser_voxels_make_smaller_images():
    before, now = MADE.configurations[0], varied(Variation(spacing=1.25)).configurations[0]
    assert now.spacing_mm == tuple(1.25 * mm for mm in before.spacing_mm)
    assert now.cost.case_inference_s < before.cost.case_inference_s
    assert now.median_shape_vox < before.median_shape_vox


def test_choices_of_training_leave_the_rest_alone():
    before = MADE.configurations[0]
    assert before.training.augmentation.gamma_probability <= 0.5
    now = varied(Variation(rate=0.3, augmentation=2.0, loss="dice_topk")).configurations[0]
    assert now.training.learning_rate == pytest.approx(0.3 * before.training.learning_rate, rel=1e-2)
    assert now.training.augmentation.gamma_probability == 2 * before.training.augmentation.gamma_probability
    assert now.training.loss == "dice_topk"
    assert now.network == before.network
    assert now.training.steps == before.training.steps


def test_what_changes_nothing_or_does_not_fit_is_refused():
    with pytest.raises(ImpossibleWish, match="changes nothing"):
        varied(AS_PLANNED)
    tight = MACHINE.model_copy(update={"memory_bytes": int(MADE.configurations[0].cost.memory_bytes / 0.6) + 2})
    with pytest.raises(InfeasibleBudget, match="GB may be used"):
        variants.varied(MADE, Variation(width=1.5), DATA, tight)


def test_what_was_asked_for_or_is_unknown_is_not_varied():
    assert "spacing" in variants.space(MADE, DATA)
    assert "spacing" not in variants.space(MADE, DATA, Wishes(spacing_mm=(1.0, 1.0, 1.0)))
    unknown = fingerprint(((1, 300, 300),) * 9, dimension=2, spacing_known=False)
    assert "spacing" not in variants.space(plan(unknown, MACHINE), unknown)
    kept = variants.space(MADE, DATA, Wishes(like=MADE.configurations[0]))
    assert set(kept) == {"augmentation", "rate", "loss"}


def test_a_partial_training_counts_steps_of_one_configuration():
    one = MADE.configurations[0]
    made = variants.partial(MADE, one.name, 60 * one.cost.step_s, MACHINE)
    training = made.configurations[0].training
    assert training.steps in (59, 60)
    assert training.seconds is None
    assert len(made.configurations) == 1
    assert training.ema_decay <= one.training.ema_decay
