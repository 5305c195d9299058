"""Data and machines that cannot be: refused by every planner, with what is wrong, where and what to do."""

import math

import pytest

from planners import registry
from planners.contracts import NO_WISHES, Wishes
from planners.errors import ImpossibleWish, InfeasibleBudget, InvalidBudget, InvalidFingerprint, PlanningError
from planners.registry import PLANNERS
from planners.soundness import MOST_LISTED, check
from tests.strategies import budget, fingerprint, gpu

NAN, INFINITE = math.nan, math.inf
SOUND = fingerprint(((36, 50, 35),) * 3, names=("left", "right"), modalities=("mri", "ct"), label_mm=9.0)


def with_case(**changes):
    """Sound data but for the second case."""
    cases = list(SOUND.cases)
    cases[1] = cases[1].model_copy(update=changes)
    return SOUND.model_copy(update={"cases": tuple(cases)})


def with_label(**changes):
    labels = (SOUND.labels[0].model_copy(update=changes), SOUND.labels[1])
    return SOUND.model_copy(update={"labels": labels})


def with_statistics(voxels, **changes):
    channel = SOUND.channels[1]
    update = {voxels: getattr(channel, voxels).model_copy(update=changes)}
    return SOUND.model_copy(update={"channels": (SOUND.channels[0], channel.model_copy(update=update))})


def without(**changes):
    return SOUND.model_copy(update=changes)


BAD_DATA = [
    (without(cases=()), "no cases; expected at least one labelled case"),
    (without(channels=()), "no channels; expected at least one"),
    (without(labels=()), "no labels; expected at least one label or region"),
    (without(heads=0), "heads: 0; expected 1 or more"),
    (without(heads=-3), "heads: -3; expected 1 or more"),
    (with_case(spacing_mm=(0.0, 1.0, 1.0)), "case 'case_0001': spacing_mm 0 x 1 x 1; expected .*; correct the spacing"),
    (with_case(spacing_mm=(1.0, -2.0, 1.0)), "case 'case_0001': spacing_mm 1 x -2 x 1"),
    (with_case(spacing_mm=(1.0, 1.0, NAN)), "case 'case_0001': spacing_mm 1 x 1 x nan"),
    (with_case(spacing_mm=(1.0, INFINITE, 1.0)), "case 'case_0001': spacing_mm 1 x inf x 1"),
    (with_case(spacing_mm=(1e-200, 1.0, 1.0)), "case 'case_0001': spacing_mm 1e-200 x 1 x 1"),
    (with_case(shape=(0, 50, 35)), "case 'case_0001': shape 0 x 50 x 35; expected 1 to .* along each axis"),
    (with_case(shape=(36, -50, 35)), "case 'case_0001': shape 36 x -50 x 35"),
    (with_case(shape=(36, 50, 10**12)), "case 'case_0001': shape 36 x 50 x 1e\\+12"),
    (with_case(cropped_shape=(36, 50, 0)), "case 'case_0001': cropped_shape 36 x 50 x 0; .* leave the case out"),
    (with_case(cropped_shape=(36, 50, -1)), "case 'case_0001': cropped_shape 36 x 50 x -1"),
    (with_label(voxel_fraction=NAN), "label 'left': voxel_fraction nan; expected 0 to 1; correct its masks"),
    (with_label(voxel_fraction=-0.1), "label 'left': voxel_fraction -0.1"),
    (with_label(volume_mm3=NAN), "label 'left': volume_mm3 nan; expected 0 or more"),
    (with_label(components=INFINITE), "label 'left': components inf"),
    (with_label(component_volume_mm3=NAN), "label 'left': component_volume_mm3 nan"),
    (with_label(extent_mm=(9.0, NAN, 9.0)), "label 'left': extent_mm 9 x nan x 9"),
    (with_label(extent_mm=(0.0, 0.0, 0.0)), "label 'left': extent_mm 0 x 0 x 0"),
    (with_statistics("overall", mean=NAN), "channel 'channel_1': overall.mean nan; expected a finite number"),
    (with_statistics("overall", maximum=INFINITE), "channel 'channel_1': overall.maximum inf"),
    (with_statistics("foreground", std=NAN), "channel 'channel_1': foreground.std nan"),
    (with_statistics("foreground", percentile_99_5=NAN), "channel 'channel_1': foreground.percentile_99_5 nan"),
]

BAD_MACHINES = [
    ({"folds": 0}, "folds: 0; expected 1 or more; ask for more folds"),
    ({"folds": -1}, "folds: -1"),
    ({"cores": 0}, "cores: 0; expected 1 or more; measure the machine again"),
    ({"memory_bytes": 0}, "memory_bytes: 0; expected 1 or more; free memory"),
    ({"memory_bytes": -1}, "memory_bytes: -1"),
    ({"memory_bytes": NAN}, "memory_bytes: nan"),
    ({"throughputs": ()}, "no measured throughput"),
    ({"hours": NAN}, "hours: nan; expected a finite number"),
    ({"hours": INFINITE}, "hours: inf"),
    ({"step_overhead_s": NAN}, "step_overhead_s: nan; expected 0 or more"),
    ({"step_overhead_s": -1.0}, "step_overhead_s: -1"),
    ({"step_time_correction": 0.0}, "step_time_correction: 0"),
    ({"step_time_correction": NAN}, "step_time_correction: nan"),
    ({"device_gb": 0.0}, "device_gb: 0"),
    ({"device_gb": NAN}, "device_gb: nan"),
]


def test_a_message_names_at_most_so_many_and_counts_the_rest():
    data = fingerprint(((0, 5, 5),) * 30, cropped=((5, 5, 5),))
    with pytest.raises(InvalidFingerprint) as caught:
        check(data, gpu(), NO_WISHES)
    lines = str(caught.value).splitlines()
    assert len(lines) == MOST_LISTED + 2
    assert "case_0004" in lines[MOST_LISTED]
    assert lines[-1].strip() == f"and {30 - MOST_LISTED} more"


@pytest.mark.parametrize("planner", sorted(PLANNERS))
@pytest.mark.parametrize(("data", "said"), BAD_DATA)
def test_every_planner_refuses_data_that_cannot_be(planner, data, said):
    with pytest.raises(InvalidFingerprint, match=said):
        registry.plan(data, gpu(), planner)


def test_records_that_were_not_validated_are_refused_too():
    case = SOUND.cases[0]
    broken = type(case).model_construct(**(case.model_dump() | {"spacing_mm": (NAN, NAN, NAN)}))
    with pytest.raises(InvalidFingerprint, match="nan x nan x nan"):
        registry.plan(SOUND.model_copy(update={"cases": (broken,)}), gpu())


@pytest.mark.parametrize("planner", sorted(PLANNERS))
@pytest.mark.parametrize(("changes", "said"), BAD_MACHINES)
def test_every_planner_refuses_machines_that_cannot_be(planner, changes, said):
    with pytest.raises(InvalidBudget, match=said):
        registry.plan(SOUND, gpu(hours=1.0).model_copy(update=changes), planner)


@pytest.mark.parametrize("field", ["flops_per_s", "bytes_per_s"])
@pytest.mark.parametrize("value", [0.0, -1.0, NAN, INFINITE])
def test_a_speed_of_nothing_is_refused(field, value):
    machine = gpu()
    slow = machine.throughputs[1].model_copy(update={field: value})
    with pytest.raises(InvalidBudget, match=rf"throughputs\[1\].{field}"):
        registry.plan(SOUND, machine.model_copy(update={"throughputs": (machine.throughputs[0], slow)}))


@pytest.mark.parametrize("planner", sorted(PLANNERS))
@pytest.mark.parametrize("hours", [0.0, -1.0, -1e30])
def test_no_hours_say_how_many_would_do(planner, hours):
    with pytest.raises(InfeasibleBudget, match="give at least") as caught:
        registry.plan(SOUND, gpu(hours=hours), planner)
    assert registry.plan(SOUND, gpu(hours=caught.value.smallest_hours), planner)


@pytest.mark.parametrize("spacing_mm", [(0.0, 1.0, 1.0), (1.0, -1.0, 1.0), (1.0, 1.0, NAN)])
def test_a_spacing_that_is_none_is_no_wish(spacing_mm):
    wishes = NO_WISHES.model_copy(update={"spacing_mm": spacing_mm})
    with pytest.raises(ImpossibleWish, match="was asked for; expected"):
        registry.plan(SOUND, gpu(), wishes=wishes)
    assert registry.plan(SOUND, gpu(), wishes=Wishes(spacing_mm=(1.0, 1.0, 1.0)))


def test_unsound_data_are_planning_errors_and_data_errors_by_exit_code():
    assert issubclass(InvalidFingerprint, PlanningError)
    assert InvalidFingerprint.exit_code == 3
    assert InvalidBudget.exit_code == 4


@pytest.mark.parametrize("planner", sorted(PLANNERS))
def test_the_extremes_of_what_is_sound_have_a_plan_or_a_planning_error(planner):
    for edges in ((1, 1, 1), (10**6, 10**6, 10**6), (1, 10**6, 1)):
        for mm in (1e-9, 1.0, 1e9):
            data = fingerprint((edges,), ((mm, mm, mm),), label_mm=mm)
            try:
                registry.plan(data, budget(), planner)
            except PlanningError as error:
                assert planner != "auto", error
