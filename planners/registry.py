"""The planners by name. To add one, write a ``plan(fingerprint, budget, wishes)`` and name it here.

Planners may take their input for sound: ``plan`` checks it for all of them.
"""

from collections.abc import Callable
from functools import partial

from planners import auto, soundness
from planners.contracts import NO_WISHES, Budget, Fingerprint, Plan, Wishes
from planners.errors import ImpossibleWish, UnknownPlanner
from planners.nnunet import planner as nnunet
from planners.nnunet.variants import PLAIN, RESIDUAL_L, RESIDUAL_M, RESIDUAL_XL

Planner = Callable[[Fingerprint, Budget, Wishes], Plan]

PLANNERS: dict[str, Planner] = {
    "auto": auto.plan,
    "nnunet": partial(nnunet.plan, variant=PLAIN),
    "nnunet_resenc_m": partial(nnunet.plan, variant=RESIDUAL_M),
    "nnunet_resenc_l": partial(nnunet.plan, variant=RESIDUAL_L),
    "nnunet_resenc_xl": partial(nnunet.plan, variant=RESIDUAL_XL),
}


def named(planner: str) -> Planner:
    """The planner of that name.

    Raises:
        UnknownPlanner: There is none; the message lists those there are.
    """
    if planner not in PLANNERS:
        raise UnknownPlanner(f"no planner {planner!r}; choose one of: {', '.join(sorted(PLANNERS))}")
    return PLANNERS[planner]


def plan(fingerprint: Fingerprint, budget: Budget, planner: str = "auto", wishes: Wishes = NO_WISHES) -> Plan:
    """Make all decisions for a data set on a machine.

    Args:
        fingerprint: What the data are like.
        budget: What the machine is like and what it may spend.
        planner: A name in ``PLANNERS``.
        wishes: What is not left to it.

    Raises:
        UnknownPlanner: No planner has that name.
        InvalidFingerprint: The data have sizes or values that no image can have.
        InvalidBudget: The machine has numbers that no machine can have.
        ImpossibleWish: The data do not allow what was asked for.
        PlanningError: No plan can be made; the message says what would make one possible.
    """
    chosen = named(planner)
    soundness.check(fingerprint, budget, wishes)
    if wishes.spacing_mm is not None and not fingerprint.spacing_known:
        raise ImpossibleWish("a spacing was asked for, but the files state none; leave it out, or correct the files")
    if wishes.like is not None and (planner != "auto" or wishes.configurations or wishes.spacing_mm):
        raise ImpossibleWish(
            "training that starts from a model keeps its configuration and its spacing, and is planned by auto; leave "
            "out --planner, --configurations and --spacing"
        )
    return chosen(fingerprint, budget, wishes)
