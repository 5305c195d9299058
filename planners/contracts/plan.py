"""All decisions, with their reasons."""

from typing import Literal

from pydantic import Field

from planners.contracts.base import ConfigurationName, Record, StageRecord
from planners.contracts.configuration import Configuration


class Reason(Record):
    """Why a rule chose what it chose."""

    rule: str  # e.g. "spacing.target"
    configuration: ConfigurationName | None = None  # null: holds for the whole plan
    saw: str
    chose: str
    because: str
    source: str  # paper, section or experiment the rule rests on


class Skipped(Record):
    """A configuration that was considered and left out."""

    configuration: ConfigurationName
    because: str


class Plan(StageRecord):
    """All decisions, with their reasons."""

    planner: str
    orientation: Literal["LPS", "native"] = "LPS"
    trainable: bool = True
    configurations: tuple[Configuration, ...] = Field(min_length=1)
    skipped: tuple[Skipped, ...] = ()
    reasons: tuple[Reason, ...]
    predicted_hours: float
    folds: int | None = None  # of the cross-validation; null: as many as the dataset was split into

    def configuration(self, name: str) -> Configuration:
        """The configuration called ``name``.

        Raises:
            KeyError: The plan has no such configuration.
        """
        for configuration in self.configurations:
            if configuration.name == name:
                return configuration
        raise KeyError(f"no configuration {name!r} in the plan; it has {[c.name for c in self.configurations]}")
