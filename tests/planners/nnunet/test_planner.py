"""Plans of the incumbent's decisions: in our records, along our axes, under our clock."""

from math import prod

import pytest

from planners import schedule
from planners.contracts import Plan
from planners.errors import InfeasibleBudget, PlanningError
from planners.nnunet.planner import STEPS
from planners.registry import PLANNERS, plan
from tests.strategies import budget, fingerprint, gpu

HIPPOCAMPUS = fingerprint(((36, 50, 35),) * 260, names=("Anterior", "Posterior"))
LUNG = fingerprint(((252, 512, 512),) * 63, ((1.24, 0.78, 0.78),), modalities=("ct",))
SAGITTAL = fingerprint(((320, 320, 20),) * 32, ((0.6, 0.6, 3.6),))
PHOTOS = fingerprint(((1, 1500, 1500),) * 80, dimension=2, spacing_known=False, modalities=("rgb",) * 3)
GRAIN = fingerprint(((7, 7, 7),) * 20)


def names(made: Plan) -> list[str]:
    return [configuration.name for configuration in made.configurations]


def test_the_decisions_arrive_in_the_plan():
    made = plan(HIPPOCAMPUS, gpu(), "nnunet")
    main = made.configurations[0]
    assert names(made) == ["3d_fullres", "2d"]
    assert (main.training.patch_vox, main.training.batch, main.training.steps) == ((40, 56, 40), 9, STEPS)
    assert (main.network.features, main.training.optimizer) == ((32, 64, 128, 256), "sgd")
    assert (main.training.batch_dice, made.configurations[1].training.batch_dice) == (False, True)


def test_residual_planners_plan_residual_networks():
    main = plan(HIPPOCAMPUS, gpu(), "nnunet_resenc_l").configurations[0]
    assert (main.network.family, main.training.batch) == ("residual_unet", 178)
    assert main.network.convolutions_encoder == (1, 3, 4, 6)


def test_a_low_resolution_changes_the_loss_of_the_full_one():
    made = plan(LUNG, gpu(), "nnunet")
    assert names(made) == ["3d_fullres", "3d_lowres", "2d", "3d_cascade_fullres"]
    assert made.configuration("3d_fullres").training.batch_dice
    assert not made.configuration("3d_lowres").training.batch_dice
    assert [normalization.scheme for normalization in made.configurations[0].normalization] == ["ct"]
    cascade = made.configuration("3d_cascade_fullres")
    assert (cascade.previous_stage, cascade.network.in_channels) == ("3d_lowres", 2)
    assert cascade.cost.case_inference_s > made.configuration("3d_fullres").cost.case_inference_s
    assert made.skipped == ()


def test_thick_slices_along_x_become_the_first_working_axis():
    made = plan(SAGITTAL, gpu(), "nnunet")
    for configuration in made.configurations:
        assert configuration.axes == (2, 0, 1)
        assert configuration.median_shape_vox == (20, 320, 320)
    assert made.configuration("3d_fullres").spacing_mm == (3.6, 0.6, 0.6)
    assert made.configuration("2d").spacing_mm == (None, 0.6, 0.6)


def test_single_pictures_have_no_depth():
    made = plan(PHOTOS, gpu(), "nnunet")
    assert names(made) == ["2d"]
    assert made.configurations[0].training.patch_vox == (1280, 1024)
    assert len(made.skipped) == 3


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1000.0), (1.0, 1000.0, 1.0)])
@pytest.mark.parametrize("name", sorted(set(PLANNERS) - {"auto"}))
def test_pixels_thicker_than_the_assumed_distance_of_pictures_are_refused(name, spacing_mm):
    maps = fingerprint(((1, 150, 150),) * 9, (spacing_mm,), dimension=2)
    with pytest.raises(PlanningError, match="across pixels of 1000 mm"):
        plan(maps, gpu(), name)
    assert names(plan(maps, gpu())) == ["2d"]


def test_memory_that_was_asked_for_replaces_what_the_planner_assumes():
    asked = gpu().model_copy(update={"device_gb": 24.0})
    usual = plan(LUNG, gpu(), "nnunet").configurations[0].training.patch_vox
    assert prod(plan(LUNG, asked, "nnunet").configurations[0].training.patch_vox) > prod(usual)
    little = gpu().model_copy(update={"device_gb": 0.01})
    assert "3d_lowres" in names(plan(HIPPOCAMPUS, little, "nnunet"))


def test_a_network_of_one_resolution_is_for_comparison_only():
    made = plan(GRAIN, gpu(), "nnunet")
    assert not made.trainable
    assert any("cannot be trained" in reason.because for reason in made.reasons)
    assert plan(GRAIN, gpu()).trainable


@pytest.mark.parametrize("name", sorted(set(PLANNERS) - {"auto"}))
def test_hours_bound_the_steps_and_too_few_hours_say_what_would_do(name):
    with pytest.raises(InfeasibleBudget, match="the planner auto") as caught:
        plan(HIPPOCAMPUS, budget(hours=0.1), name)
    enough = plan(HIPPOCAMPUS, budget(hours=caught.value.smallest_hours), name)
    assert enough.predicted_hours <= caught.value.smallest_hours
    assert all(c.training.steps >= schedule.FEWEST_STEPS for c in enough.configurations)
