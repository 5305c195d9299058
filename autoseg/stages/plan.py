"""Plan: all decisions of a run, made by rules from the fingerprint and the budget, each with its reason.

The rules live in the ``planners`` package, which sees no file, no clock and no hardware. People may edit the record;
what they changed is checked and said aloud.
"""

from autoseg import records
from planners import registry, validation
from planners.contracts import Budget, Fingerprint, Plan, Wishes
from planners.errors import PlanningError

algorithm_version = 8


def plan(fingerprint: Fingerprint, budget: Budget, planner: str, wishes: Wishes) -> Plan:
    """Let the named planner decide.

    Raises:
        UnknownPlanner: No planner has that name.
        PlanningError: No plan can be made; the message says what would make one possible.
    """
    return registry.plan(fingerprint, budget, planner, wishes)


def edits(kept: Plan, fingerprint: Fingerprint, budget: Budget, planner: str, wishes: Wishes) -> tuple[str, ...]:
    """What somebody changed in a plan since the planner made it, checked.

    Returns:
        One line per changed field: where, before, now.

    Raises:
        InvalidPlan: The plan was changed to one that cannot be carried out.
    """
    try:
        made = registry.plan(fingerprint, budget, planner, wishes)
    except PlanningError as error:
        changes: tuple[str, ...] = (f"all of it: the planner itself finds none ({error})",)
    else:
        changes = records.changes(made, kept)
    if changes:
        validation.check(kept, fingerprint, budget)
    return changes
