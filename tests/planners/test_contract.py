"""The contract suite over all planners, on data and machines of any size."""

import re
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planners import registry
from planners.contracts import Wishes
from planners.errors import ImpossibleWish, InfeasibleBudget, PlanningError
from planners.views import NAMES
from tests.planners.check_planner import check_no_patch_shrinks, check_own, check_planner
from tests.strategies import GB, budget, budgets, fingerprint, fingerprints, with_memory

OWN = ("auto",)
PLANNERS = {name: partial(registry.plan, planner=name) for name in registry.PLANNERS}


@pytest.mark.parametrize("name", sorted(PLANNERS))
@given(data=fingerprints(), machine=budgets())
def test_contract(name, data, machine):
    try:
        plan = check_planner(PLANNERS[name], data, machine)
    except InfeasibleBudget as error:
        _check_infeasible(PLANNERS[name], data, machine, error)
        return
    except PlanningError as error:
        assert name not in OWN, error  # ours have a plan for everything
        return
    if name in OWN:
        check_own(plan, data, machine)


@pytest.mark.parametrize("name", OWN)
@given(data=fingerprints(), machine=budgets(), names=st.sets(st.sampled_from(NAMES), min_size=1))
def test_what_was_asked_for_is_planned_or_there_is_a_way_out(name, data, machine, names):
    asked = Wishes(configurations=tuple(sorted(names)))
    planner = partial(PLANNERS[name], wishes=asked)
    try:
        made = planner(data, machine)
    except ImpossibleWish:
        return
    except InfeasibleBudget as error:
        _check_infeasible(planner, data, machine, error, most_turns=10)
        return
    assert {configuration.name for configuration in made.configurations} == names
    check_own(made, data, machine)


@pytest.mark.parametrize("name", OWN)
@given(data=fingerprints(), machine=budgets(), growth=st.floats(1.0, 10.0))
def test_a_larger_budget_never_shrinks_the_patch(name, data, machine, growth):
    machine = machine.model_copy(update={"hours": 10.0 if machine.hours is None else machine.hours})
    try:
        before = PLANNERS[name](data, machine)
    except InfeasibleBudget:
        return
    faster = tuple(
        speed.model_copy(update={"flops_per_s": speed.flops_per_s * growth, "bytes_per_s": speed.bytes_per_s * growth})
        for speed in machine.throughputs
    )
    for more in (
        {"memory_bytes": int(machine.memory_bytes * growth)},
        {"hours": machine.hours * growth},
        {"throughputs": faster},
        {"step_time_correction": machine.step_time_correction / growth},
    ):
        check_no_patch_shrinks(before, PLANNERS[name](data, machine.model_copy(update=more)))


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("edges", [(1, 1, 1), (1, 300, 300), (300, 1, 7), (2000, 2000, 2000), (7, 7, 7), (2, 2000, 3)])
def test_every_volume_size_has_a_plan(name, edges):
    data = fingerprint((edges,) * 3, ((2.0, 0.5, 0.5),))
    check_own(check_planner(PLANNERS[name], data, budget()), data, budget())


@pytest.mark.parametrize("name", OWN)
@given(data=fingerprints(), machine=budgets(), memory_bytes=st.integers(1, 2 * GB))
def test_too_little_memory_says_how_much_would_do(name, data, machine, memory_bytes):
    machine = with_memory(machine, memory_bytes)
    try:
        PLANNERS[name](data, machine)
    except InfeasibleBudget as error:
        _check_infeasible(PLANNERS[name], data, machine, error)
        if error.smallest_bytes is not None:
            with pytest.raises(InfeasibleBudget):
                PLANNERS[name](data, with_memory(machine, error.smallest_bytes - 1))


@pytest.mark.parametrize("name", sorted(set(PLANNERS) - set(OWN)))
@settings(max_examples=10)  # they search long for a grid that next to no memory allows
@given(data=fingerprints(), machine=budgets(), memory_bytes=st.sampled_from((1, 100)))
def test_too_little_memory_says_how_much_would_do_for_incumbents(name, data, machine, memory_bytes):
    machine = with_memory(machine, memory_bytes)
    try:
        PLANNERS[name](data, machine)
    except InfeasibleBudget as error:
        _check_infeasible(PLANNERS[name], data, machine, error)
    except PlanningError as error:
        assert "there is no such plan" in str(error)


def test_the_smallest_memory_does_for_all_that_was_asked_for():
    data = fingerprint(((482, 512, 512),) * 9, ((1.0, 0.77, 0.77),), names=tuple("abcdefgh"), label_mm=150.0)
    wishes = Wishes(configurations=("3d_fullres", "3d_lowres", "2d", "3d_cascade_fullres"))
    with pytest.raises(InfeasibleBudget) as caught:
        registry.plan(data, budget(memory_gb=0.1), wishes=wishes)
    assert registry.plan(data, with_memory(budget(), caught.value.smallest_bytes), wishes=wishes)


def test_what_memory_holds_is_planned_where_more_beside_it_would_not_fit():
    data = fingerprint(((2, 9, 300),) * 9, ((8.0, 1.0, 1.0),))
    with pytest.raises(InfeasibleBudget) as caught:
        registry.plan(data, budget(memory_gb=0.1, hours=100.0))
    made = registry.plan(data, with_memory(budget(hours=100.0), caught.value.smallest_bytes))
    assert [configuration.name for configuration in made.configurations] == ["3d_fullres"]
    assert any("GB" in skipped.because for skipped in made.skipped)


def _check_infeasible(planner, data, machine, error, most_turns=1):
    """The message's way out is a way out: more memory, more hours, or first the one and then the other.

    Of several configurations that were asked for, each is sized as though it were alone, so with more hours they are
    larger and may want more hours still.
    """
    if error.smallest_bytes is not None:
        assert error.smallest_hours is None
        assert error.smallest_bytes > machine.memory_bytes
        said = re.search(r"at least ([0-9.]+) GB", str(error))
        assert int(float(said[1]) * 1e9) >= error.smallest_bytes
        machine = with_memory(machine, error.smallest_bytes)
        try:
            planner(data, machine)
            return
        except InfeasibleBudget as second:
            error = second
        assert error.smallest_bytes is None
    for _ in range(most_turns):
        assert error.smallest_hours > machine.hours
        machine = machine.model_copy(update={"hours": error.smallest_hours})
        try:
            planner(data, machine)
            return
        except InfeasibleBudget as another:
            error = another
    raise AssertionError(f"still no plan: {error}")
