"""One training job: a configuration trained without one fold. Which cases it teaches, watches and validates."""

import random
from dataclasses import dataclass
from functools import cached_property

from autoseg.contracts import Dataset, Prepared
from autoseg.errors import DataError
from autoseg.finetuning import Start
from autoseg.volumes.preparation import Geometry
from planners.contracts import Budget, Configuration, Plan, TrainingPlan

MIRROR_SHARE = 0.05
"""Of the predicted training time of a fold: as much may be spent on predicting its cases with mirrored copies."""


@dataclass(frozen=True)
class Job:
    """What to train.

    ``seconds`` limits the work from now on; None: the plan's own limit stands. ``start`` is the model to go on from;
    None: weights are drawn at random.
    """

    plan: Plan
    budget: Budget
    dataset: Dataset
    prepared: Prepared
    configuration: str
    fold: int
    seed: int
    seconds: float | None = None
    start: Start | None = None

    def __str__(self) -> str:
        return f"train {self.configuration}/fold_{self.fold}"

    @property
    def validation(self) -> tuple[str, ...]:
        """The fold's validation cases."""
        return self.dataset.split.folds[self.fold]

    @cached_property
    def training(self) -> tuple[str, ...]:
        """Development cases that neither validate nor watch."""
        return tuple(case for case in self._taught if case not in set(self.monitors))

    @cached_property
    def monitors(self) -> tuple[str, ...]:
        """Cases that watch training, for its stop rule: whole subjects, drawn from the training part by the seed."""
        subjects = {case.case: case.subject for case in self.dataset.cases}
        drawn = sorted({subjects[case] for case in self._taught})
        random.Random(f"monitors {self.seed}").shuffle(drawn)
        chosen: list[str] = []
        while len(drawn) > 1 and len(chosen) < self.schedule.monitor_cases:
            subject = drawn.pop()
            chosen += [case for case in self._taught if subjects[case] == subject]
        return tuple(chosen)

    @property
    def _taught(self) -> tuple[str, ...]:
        """Development cases that are not validation cases."""
        return tuple(case for case in self.dataset.development if case not in set(self.validation))

    @property
    def exclusive(self) -> bool:
        """Whether labels compete, or else regions overlap."""
        return self.dataset.labels.kind == "exclusive"

    @property
    def chosen(self) -> Configuration:
        """The configuration to train."""
        return self.plan.configuration(self.configuration)

    @property
    def schedule(self) -> TrainingPlan:
        """The configuration's training plan under this job's time limit."""
        plan = self.chosen.training
        return plan if self.seconds is None else plan.model_copy(update={"seconds": self.seconds})

    @property
    def mirrors(self) -> bool:
        """Whether validation cases are also predicted with mirrored copies."""
        return mirrors(self.chosen, self.dataset)

    def geometry(self, case: str) -> Geometry:
        """How a case was prepared for this configuration.

        Raises:
            DataError: It was not.
        """
        for configuration in self.prepared.configurations:
            for known in configuration.cases:
                if configuration.configuration == self.configuration and known.case == case:
                    source = known.source_shape, known.source_spacing_mm
                    return Geometry(*source, known.crop_box, known.shape, known.spacing_mm, known.axes)
        raise DataError(f"{self}: case {case} is not prepared for this configuration; run the preprocess stage again")


def mirrors(configuration: Configuration, dataset: Dataset) -> bool:
    """Whether validation cases are also predicted with mirrored copies, so that selection can tell what they bring.

    Only where training mirrors too, and where that is predicted to cost little. Alike for all folds, and known from the
    plan alone: no clock decides what a selection may choose from.
    """
    axes, cost = configuration.training.augmentation.mirror_axes, configuration.cost
    cases = len(dataset.development) / max(1, len(dataset.split.folds))
    return bool(axes) and 2 ** len(axes) * cases * cost.case_inference_s <= MIRROR_SHARE * cost.fold_training_s
