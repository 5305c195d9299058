"""The planners by name. To add one, write a module with a ``plan(fingerprint, budget)`` and name it here."""

from collections.abc import Callable

from planners import auto
from planners.contracts import Budget, Fingerprint, Plan
from planners.errors import UnknownPlanner

Planner = Callable[[Fingerprint, Budget], Plan]

PLANNERS: dict[str, Planner] = {
    "auto": auto.plan,
}


def plan(fingerprint: Fingerprint, budget: Budget, planner: str = "auto") -> Plan:
    """Make all decisions for a data set on a machine.

    Args:
        fingerprint: What the data are like.
        budget: What the machine is like and what it may spend.
        planner: A name in ``PLANNERS``.

    Raises:
        UnknownPlanner: No planner has that name.
        PlanningError: No plan can be made; the message says what would make one possible.
    """
    if planner not in PLANNERS:
        raise UnknownPlanner(f"no planner {planner!r}; choose one of: {', '.join(sorted(PLANNERS))}")
    return PLANNERS[planner](fingerprint, budget)
