"""Cross-validation: every development case scored by the model that never saw it.

Each job has left the predictions of its fold's cases; here they are gathered per configuration, turned into masks
without any post-processing, and scored on whole volumes in the original space. Nothing is chosen here.
"""

from collections.abc import Callable

import numpy as np

from autoseg import records
from autoseg.contracts import CaseScan, CaseScore, ConfigurationValidation, Dataset, Scores, Validation, alike
from autoseg.evaluation.scoring import default_tolerance_mm, score_case, summarize
from autoseg.events import Event, Notify, silent
from autoseg.outoffold import OutOfFold, embed, place, read_job
from autoseg.postprocessing import segment
from autoseg.workspace import DatasetFolder, JobFolder
from planners.contracts import Plan, Spacing

algorithm_version = 3

Jobs = Callable[[str, int], JobFolder]


def crossvalidate(
    dataset: Dataset, plan: Plan, source: DatasetFolder, jobs: Jobs, *, notify: Notify = silent
) -> Validation:
    """Score every configuration's out-of-fold predictions.

    Args:
        dataset: Whose split says which fold each case belongs to.
        plan: Its configurations are scored one by one.
        source: Holds the canonical labels and the scans.
        jobs: Folder of the job (configuration, fold).
        notify: Told of each case.

    Returns:
        Scores per configuration. Where the split has no validation cases they hold none: ``n`` is 0, values are null.

    Raises:
        DataError: An out-of-fold prediction is missing or damaged; the message names case and job.
    """
    held = [(fold, case) for fold, cases in enumerate(dataset.split.folds) for case in cases]
    scans = alike(records.read(source.scan(case), CaseScan) for case in dataset.development)
    spacings = {scan.case: scan.spacing_mm for scan in scans}
    tolerance_mm = default_tolerance_mm(tuple(spacings.values())) if spacings else 0.0
    total, done = len(held) * len(plan.configurations), 0
    validations = []
    for configuration in plan.configurations:
        scores = []
        for fold, case in held:
            stored = read_job(jobs(configuration.name, fold), configuration.name, fold, case)
            scores.append(_score(stored, dataset, source, case, spacings[case], tolerance_mm))
            done += 1
            notify(Event(stage="crossvalidate", done=done, total=total, unit="cases", detail=configuration.name))
        summary: Scores = summarize(scores, dataset.labels, tolerance_mm, dataset.split.seed)
        validations.append(ConfigurationValidation(configuration=configuration.name, oof=summary))
    return Validation(configurations=tuple(validations))


def _score(
    stored: OutOfFold, dataset: Dataset, source: DatasetFolder, case: str, spacing_mm: Spacing, tolerance_mm: float
) -> CaseScore:
    """Score one case: only the box of its prediction is ever held as probabilities."""
    labels = dataset.labels
    reference = np.load(source.label(case), allow_pickle=False)
    classes = segment(embed(stored, stored.box, labels.kind), labels, spacing_mm)
    predicted = place(classes, stored.box, reference.shape)
    return score_case(reference, predicted, labels, spacing_mm, tolerance_mm, case, dataset.case(case).subject)
