"""Plan: all decisions of a run, made by rules from the fingerprint and the budget, each with its reason.

The rules live in the ``planners`` package, which sees no file, no clock and no hardware.
"""

from planners import registry
from planners.contracts import Budget, Fingerprint, Plan

algorithm_version = 1


def plan(fingerprint: Fingerprint, budget: Budget, planner: str) -> Plan:
    """Let the named planner decide.

    Raises:
        UnknownPlanner: No planner has that name.
        PlanningError: No plan can be made; the message says what would make one possible.
    """
    return registry.plan(fingerprint, budget, planner)
