"""How long a job may train, so that the whole run ends within the hours asked for."""

from autoseg.contracts import Dataset, Settings
from autoseg.row.jobs import Job
from planners.contracts import Plan

CLOSING_SHARE = 0.06
"""Part of the hours kept for cross-validation scores, selection and the report."""
CLOSING_S = 25.0
"""The same, for very short runs: loading libraries and drawing the report take this long whatever the hours."""
INFERENCE_MARGIN = 1.5
"""Predicted inference times are multiplied by this before they are set aside."""


def seconds_for(
    job: Job, rounds: int, plan: Plan, dataset: Dataset, settings: Settings, worked_s: float
) -> float | None:
    """Seconds of training for the next job; None where the plan's steps alone decide.

    What is left of the hours, less what remains to be predicted and reported, is shared equally by the open jobs, of
    which each accelerator trains ``rounds``. Time that an earlier job did not use thus goes to the later ones.
    """
    planned = plan.configuration(job.configuration).training.seconds
    if settings.hours is None or settings.deterministic or planned is None:
        return planned
    inference_s = max(c.cost.case_inference_s for c in plan.configurations) * INFERENCE_MARGIN
    development = len(dataset.development)
    folds = max(1, len(dataset.split.folds))
    own_validation_s = inference_s * development / folds
    members = folds * len(plan.configurations)
    closing_s = inference_s * (len(dataset.cases) - development) * members
    closing_s += max(CLOSING_S, CLOSING_SHARE * settings.hours * 3600)
    left_s = settings.hours * 3600 - worked_s - closing_s
    return max(1.0, left_s / max(1, rounds) - own_validation_s)
