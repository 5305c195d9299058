"""Whole plans of the planner ``auto``: known tasks, presets, budgets, schedules, augmentation."""

from math import prod

import pytest

from planners import schedule, views
from planners.augmentation import oriented_axes
from planners.contracts import Wishes
from planners.errors import InfeasibleBudget, PlanningError, UnknownPlanner
from planners.registry import plan
from tests.strategies import budget, fingerprint, gpu

HIPPOCAMPUS = fingerprint(((36, 50, 35),) * 160, names=("Anterior", "Posterior"))
NUCLEI = fingerprint(
    ((1, 256, 256),) * 56, dimension=2, spacing_known=False, modalities=("rgb",) * 3, names=("nucleus",)
)
CARDIAC = fingerprint(((18, 237, 208),) * 100, ((5.0, 1.56, 1.56),), names=("RV", "MYO", "LV"))
SARCOMA = fingerprint(((55, 163, 163),) * 17, ((3.27, 0.977, 0.977),), modalities=("ct",))


@pytest.mark.parametrize(
    ("data", "machine", "patch", "width"),
    [
        (HIPPOCAMPUS, gpu(), (40, 56, 40), 32),
        (CARDIAC, gpu(), (20, 256, 224), 32),
        (SARCOMA, gpu(), (56, 192, 192), 32),
        (NUCLEI, gpu(), (256, 256), 32),
        (HIPPOCAMPUS, budget(hours=100.0), (40, 56, 40), 32),
    ],
)
def test_known_tasks_get_the_whole_image_and_full_width(data, machine, patch, width):
    main = plan(data, machine).configurations[0]
    assert (main.training.patch_vox, main.network.features[0]) == (patch, width)


@pytest.mark.parametrize("data", [HIPPOCAMPUS, NUCLEI, SARCOMA])
@pytest.mark.parametrize("hours", [0.4, 1.0])
def test_on_a_cpu_the_network_shrinks_until_a_fold_gets_its_steps(data, hours):
    main = plan(data, budget(hours=hours)).configurations[0]
    target = schedule.CPU.target_steps[main.dimension]
    assert main.network.features[0] <= 32
    assert main.training.steps >= target


def test_beyond_the_largest_patch_width_needs_more_steps_than_a_patch_does():
    plans = [plan(HIPPOCAMPUS, budget(hours=hours)) for hours in (0.3, 0.5, 1.0, 2.0, 4.0, 8.0)]
    mains = [made.configurations[0] for made in plans]
    target, widening = schedule.CPU.target_steps[3], schedule.CPU.widening_steps[3]
    reached = [main.training.patch_vox == mains[-1].training.patch_vox for main in mains]
    widths = [main.network.features[0] for main in mains]
    assert not reached[0]
    assert reached == sorted(reached)
    assert widths == sorted(widths)
    assert {widths[0], widths[-1]} == {16, 32}
    for main in mains:
        steps = main.training.seconds / main.cost.step_s
        assert steps >= (target if main.network.features[0] == widths[0] else widening)


def test_augmentation_grows_with_how_often_a_case_is_shown():
    def chances(data, hours):
        return plan(data, budget(hours=hours)).configurations[0].training.augmentation

    seldom, often = chances(HIPPOCAMPUS, 0.4), chances(HIPPOCAMPUS, 8.0)
    few = chances(fingerprint(((36, 50, 35),) * 20), 0.4)
    assert 0 <= seldom.gamma_probability < few.gamma_probability
    assert seldom.gamma_probability < often.gamma_probability
    assert seldom.rotation_deg == often.rotation_deg


@pytest.mark.parametrize(
    ("machine", "family"),
    [
        (gpu(), "plain_unet"),
        (gpu(preset="max"), "residual_unet"),
        (budget(preset="max"), "plain_unet"),
    ],
)
def test_residual_blocks_are_bought_where_time_is_plenty(machine, family):
    made = plan(CARDIAC, machine)
    assert {configuration.network.family for configuration in made.configurations} == {family}
    said = {reason.chose for reason in made.reasons if reason.rule == "network.encoder"}
    assert said == {"residual blocks" if family == "residual_unet" else "plain convolutions"}


def test_hours_are_shared_among_folds_and_kept():
    made = plan(HIPPOCAMPUS, budget(hours=0.4))
    training = made.configurations[0].training
    assert 5 * training.seconds <= schedule.TRAINING_SHARE * 0.4 * 3600
    assert 0.5 * 0.4 < made.predicted_hours <= schedule.TRAINING_SHARE * 0.4 + 1e-6


@pytest.mark.parametrize(("hours", "folds"), [(10.0, 5), (0.8, 5), (0.2, 2)])
def test_short_hours_are_not_spread_over_many_folds(hours, folds):
    slow = budget(hours=hours, gflops=20.0, gbytes=2.0)
    made = plan(SARCOMA, slow)
    assert made.folds == folds
    reason = next(reason for reason in made.reasons if reason.rule == "schedule.folds")
    assert ("too few steps" in reason.because) == (folds < 5)
    assert made.predicted_hours <= hours


def test_folds_that_were_asked_for_stay():
    slow = budget(hours=0.2, gflops=20.0, gbytes=2.0)
    assert plan(SARCOMA, slow, wishes=Wishes(folds=5)).folds == 5
    assert plan(SARCOMA, budget(folds=3)).folds == 3, "as many as the cases were divided into"


@pytest.mark.parametrize(("training_s", "folds"), [(5000, 5), (3500, 5), (3499, 4), (1400, 4), (1399, 3), (100, 2)])
def test_each_fold_gets_its_steps(training_s, folds):
    machine = budget(hours=1.0)
    per_step = 2.0 if training_s > 1400 else 1.0
    assert schedule.FOLD_STEPS[3] == 350
    assert schedule.affordable_folds(machine, training_s, [(3, per_step)]) == folds


def test_without_hours_the_preset_sizes_the_schedule():
    assert plan(HIPPOCAMPUS, gpu()).configurations[0].training.steps == schedule.MOST_STEPS["standard"]
    assert plan(HIPPOCAMPUS, gpu(preset="fast")).configurations[0].training.steps == schedule.MOST_STEPS["fast"]
    on_cpu = plan(HIPPOCAMPUS, budget())
    assert on_cpu.predicted_hours <= schedule.CPU_HOURS["standard"]
    assert on_cpu.configurations[0].training.seconds is None


def test_deterministic_runs_count_steps_only():
    timed = plan(HIPPOCAMPUS, budget(hours=0.4))
    counted = plan(HIPPOCAMPUS, budget(hours=0.4, deterministic=True))
    assert timed.configurations[0].training.seconds is not None
    assert counted.configurations[0].training.seconds is None
    assert counted.predicted_hours < 0.9 * timed.predicted_hours


def test_hopeless_hours_say_what_would_do():
    with pytest.raises(InfeasibleBudget, match="give at least") as caught:
        plan(HIPPOCAMPUS, budget(hours=0.005))
    enough = caught.value.smallest_hours
    assert plan(HIPPOCAMPUS, budget(hours=enough)).configurations[0].training.steps >= schedule.FEWEST_STEPS


def test_hopeless_memory_says_what_is_needed():
    with pytest.raises(InfeasibleBudget, match=r"give at least 0\.\d\d GB: free memory") as caught:
        plan(HIPPOCAMPUS, gpu(memory_gb=0.1))
    assert caught.value.smallest_hours is None
    assert plan(HIPPOCAMPUS, gpu(memory_gb=caught.value.smallest_bytes / 1e9)).configurations[0].training.batch == 1


def test_more_memory_never_makes_hours_too_few():
    """A batch of one leaves twice the steps of two: where only the hours are tight, it is taken all the same."""
    data = fingerprint(((1, 1, 2000), (2000, 1, 1)))
    little, more = (
        budget(hours=0.125, folds=2, gflops=10, gbytes=1, memory_gb=gb, correction=4.0) for gb in (1.0, 2.0)
    )
    assert plan(data, little).configurations[0].training.batch == 1
    made = plan(data, more)
    assert made.configurations[0].training.batch == 1
    assert "too few steps" in next(reason for reason in made.reasons if reason.rule == "patch.batch").because


def test_little_memory_gives_a_smaller_patch_and_says_so():
    small = plan(CARDIAC, gpu(memory_gb=4.0))
    assert small.configurations[0].training.patch_vox < (20, 256, 224)
    reason = next(r for r in small.reasons if r.rule == "patch.size")
    assert "would not fit" in reason.because


# ------------------------------------------------------------------------------------------------ configurations


def names(made):
    return [configuration.name for configuration in made.configurations]


@pytest.mark.parametrize(
    ("data", "machine", "expected"),
    [
        (HIPPOCAMPUS, gpu(), ["3d_fullres"]),
        (HIPPOCAMPUS, gpu(preset="max"), ["3d_fullres", "2d"]),
        (CARDIAC, gpu(), ["3d_fullres", "2d"]),
        (CARDIAC, gpu(preset="fast"), ["3d_fullres"]),
        (CARDIAC, budget(hours=0.4), ["3d_fullres"]),
        (CARDIAC, budget(hours=0.2, preset="max"), ["3d_fullres"]),
        (NUCLEI, gpu(preset="max"), ["2d"]),
    ],
)
def test_configurations_by_preset_anisotropy_and_hours(data, machine, expected):
    made = plan(data, machine)
    assert names(made) == expected
    assert {skipped.configuration for skipped in made.skipped} == set(views.NAMES) - set(expected)


def test_a_large_image_in_little_time_is_seen_whole_at_low_resolution():
    tumors = fingerprint(((55, 163, 163),) * 17, ((3.27, 0.977, 0.977),), modalities=("ct",), label_mm=80.0)
    made = plan(tumors, budget(hours=0.4))
    assert names(made) == ["3d_lowres"]
    assert {skipped.configuration for skipped in made.skipped} == {"2d", "3d_fullres", "3d_cascade_fullres"}
    (low,) = made.configurations
    assert prod(low.training.patch_vox) > 0.7 * prod(low.median_shape_vox)
    assert names(plan(tumors, budget(hours=6.0))) == ["3d_fullres"]
    assert names(plan(tumors, gpu(preset="fast"))) == ["3d_fullres"]


def test_preset_max_adds_a_cascade_for_large_images():
    livers = fingerprint(((482, 512, 512),) * 131, ((1.0, 0.77, 0.77),), modalities=("ct",), label_mm=150.0)
    made = plan(livers, gpu(preset="max"))
    assert names(made) == ["3d_fullres", "3d_lowres", "3d_cascade_fullres"]
    full, low, cascade = made.configurations
    assert (cascade.previous_stage, cascade.training.augmentation.masks) == ("3d_lowres", 1)
    assert cascade.network.in_channels == full.network.in_channels + 1
    assert cascade.cost.case_inference_s > full.cost.case_inference_s + 0.9 * low.cost.case_inference_s
    assert names(plan(livers, gpu())) == ["3d_fullres"]


def test_thin_labels_keep_the_full_resolution():
    vessels = fingerprint(((55, 163, 163),) * 17, ((3.27, 0.977, 0.977),), modalities=("ct",), label_mm=8.0)
    assert names(plan(vessels, budget(hours=0.4))) == ["3d_fullres"]


def test_a_second_configuration_takes_no_patch_from_the_first():
    alone = plan(CARDIAC, budget(hours=20.0, preset="fast"))
    both = plan(CARDIAC, budget(hours=20.0, preset="max"))
    assert names(both) == ["3d_fullres", "2d"]
    assert both.configurations[0].network == alone.configurations[0].network


def test_what_was_too_dear_is_skipped_with_numbers():
    skipped = plan(CARDIAC, budget(hours=0.4)).skipped[0]
    assert skipped.configuration == "2d"
    assert any(character.isdigit() for character in skipped.because)


# ------------------------------------------------------------------------------------------------------ schedule


@pytest.mark.parametrize(
    ("machine", "subjects", "cases"),
    [(gpu(), 200, 8), (gpu(), 60, 3), (gpu(), 30, 0), (gpu(hours=5.0), 200, 0), (budget(), 200, 0)],
)
def test_cases_watch_training_where_no_hours_end_it_and_some_can_be_spared(machine, subjects, cases):
    assert schedule.monitor_cases(machine, subjects) == cases
    data = fingerprint().model_copy(update={"subjects": subjects})
    made = plan(data, machine)
    assert {configuration.training.monitor_cases for configuration in made.configurations} == {cases}


def test_short_schedules_use_adamw_and_long_ones_sgd():
    short = plan(HIPPOCAMPUS, budget(hours=0.4)).configurations[0].training
    long = plan(HIPPOCAMPUS, gpu()).configurations[0].training
    assert (short.optimizer, short.schedule) == ("adamw", "poly")
    assert (long.optimizer, long.schedule, long.momentum) == ("sgd", "poly", 0.99)
    assert long.learning_rate == schedule.learning_rate("sgd", long.batch, 3) > 0.01
    assert short.ema_decay < long.ema_decay < 1


def test_rare_labels_are_sampled_more_often():
    rare = fingerprint(((64, 64, 64),) * 10, voxel_fraction=1e-5)
    common = fingerprint(((64, 64, 64),) * 10, voxel_fraction=0.1)
    assert plan(rare, gpu()).configurations[0].training.foreground_fraction == 0.5
    assert plan(common, gpu()).configurations[0].training.foreground_fraction == 0.33


def test_regions_have_a_head_each():
    data = fingerprint(((64, 64, 64),) * 10, kind="regions", names=("whole", "core"))
    made = plan(data, gpu()).configurations[0]
    assert (made.training.loss, made.network.heads) == ("dice_ce", 2)


def test_no_cases_is_an_error():
    with pytest.raises(PlanningError, match="no cases"):
        plan(HIPPOCAMPUS.model_copy(update={"cases": ()}), gpu())


def test_unknown_planner_lists_the_known_ones():
    with pytest.raises(UnknownPlanner, match="auto"):
        plan(HIPPOCAMPUS, gpu(), "best")


# -------------------------------------------------------------------------------------------------- augmentation


@pytest.mark.parametrize(
    ("labels", "dimension", "axes"),
    [
        (["tumor"], 3, []),
        (["Anterior", "Posterior"], 3, [1]),
        (["kidney_left", "kidney_right"], 3, [2]),
        (["l_lung", "r_lung"], 3, [2]),
        (["lung-l", "lung-r"], 3, [2]),
        (["leftVentricle"], 3, [2]),
        (["l_lung", "tumor"], 3, []),
        (["cleft", "bright spot"], 3, []),
        (["upper lobe left", "lower lobe left"], 3, [0, 2]),
        (["upper teeth"], 2, [1]),
        (["anterior chamber"], 2, [1, 2]),
    ],
)
def test_directions_in_names_forbid_mirroring(labels, dimension, axes):
    assert list(oriented_axes(labels, dimension)) == axes


def test_mirror_axes_are_axes_of_the_patch():
    left_right = fingerprint(((10, 128, 128),) * 20, ((8.0, 1.0, 1.0),), names=("left", "right"))
    volume, flat = plan(left_right, gpu(preset="max")).configurations
    assert volume.training.augmentation.mirror_axes == (0, 1)
    assert flat.training.augmentation.mirror_axes == (0,)
    assert plan(HIPPOCAMPUS, gpu()).configurations[0].training.augmentation.mirror_axes == (0, 2)


def test_a_short_schedule_mirrors_pictures_but_no_patients():
    assert plan(HIPPOCAMPUS, budget(hours=0.4)).configurations[0].training.augmentation.mirror_axes == ()
    assert plan(NUCLEI, budget(hours=0.4)).configurations[0].training.augmentation.mirror_axes == (0, 1)


def test_rotation_stays_in_plane_for_thick_slices():
    assert plan(CARDIAC, gpu()).configurations[0].training.augmentation.rotation_deg == (30.0, 0.0, 0.0)
    assert plan(HIPPOCAMPUS, gpu()).configurations[0].training.augmentation.rotation_deg == (30.0, 30.0, 30.0)
    assert plan(NUCLEI, gpu()).configurations[0].training.augmentation.rotation_deg == (180.0, 0.0, 0.0)


def test_short_schedules_get_light_augmentation():
    short = plan(HIPPOCAMPUS, budget(hours=0.4)).configurations[0].training.augmentation
    long = plan(HIPPOCAMPUS, gpu()).configurations[0].training.augmentation
    assert short.noise_probability < long.noise_probability
