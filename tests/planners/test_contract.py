"""The contract suite over all planners, on data and machines of any size."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planners.errors import InfeasibleBudget, PlanningError
from planners.registry import PLANNERS
from tests.planners.check_planner import check_no_patch_shrinks, check_own, check_planner
from tests.strategies import budget, budgets, fingerprint, fingerprints

OWN = ("auto",)
thorough = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


@pytest.mark.parametrize("name", sorted(PLANNERS))
@thorough
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
        check_own(plan, machine)


@pytest.mark.parametrize("name", OWN)
@thorough
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
    check_own(check_planner(PLANNERS[name], data, budget()), budget())


def _check_infeasible(planner, data, machine, error):
    """The message's way out is a way out."""
    if error.smallest_hours is None:
        assert "memory" in str(error)
        return
    assert error.smallest_hours > machine.hours
    planner(data, machine.model_copy(update={"hours": error.smallest_hours}))
