"""Errors of planning.

PlanningError (exit code 4)
├── InvalidFingerprint  the data have sizes or values that no image can have
├── InvalidBudget       the machine has numbers that no machine can have
├── InfeasibleBudget    no plan fits the memory or the hours
├── ImpossibleWish      the data do not allow what was asked for
├── InvalidPlan         an edited plan cannot be carried out
└── UnknownPlanner      no planner of that name
"""


class PlanningError(ValueError):
    """No plan can be made; the message says what would make one possible."""

    exit_code = 4


class InvalidFingerprint(PlanningError):
    """The data cannot be planned for; the message names each case, channel or label, what is wrong and what to do."""

    exit_code = 3


class InvalidBudget(PlanningError):
    """The machine cannot be planned for; the message names each number, what is wrong and what to do."""


class InfeasibleBudget(PlanningError):
    """The budget is too small.

    Attributes:
        smallest_hours: What would do, where time is what lacks; else None. Several configurations that were asked for
            grow with the hours, and may then want more.
        smallest_bytes: ``memory_bytes`` that would do (and ``device_gb``, for planners that go by it), where memory is
            what lacks; else None. Whether the time then suffices is another question.
    """

    def __init__(self, message: str, *, smallest_hours: float | None = None, smallest_bytes: int | None = None) -> None:
        super().__init__(message)
        self.smallest_hours = smallest_hours
        self.smallest_bytes = smallest_bytes


class ImpossibleWish(PlanningError):
    """The data do not allow what was asked for; the message says what they allow."""

    exit_code = 2


class InvalidPlan(PlanningError):
    """A plan cannot be carried out; the message names each field, what is legal and the nearest legal value."""

    exit_code = 2


class UnknownPlanner(PlanningError):
    """No planner has that name."""

    exit_code = 2
