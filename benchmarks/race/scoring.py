"""One evaluator for everybody: predicted masks as files beside the data set's own, compared on the original grid."""

import shutil
from pathlib import Path

from autoseg.contracts import Scores
from autoseg.evaluation.comparison import evaluate
from benchmarks.race.tasks import Task


def score(task: Task, data: Path, predictions: Path, work: Path) -> Scores:
    """Score the masks of the validation cases.

    Args:
        task: Says which cases, and what their values mean.
        data: Holds the data set.
        predictions: ``<case><suffix>`` for each validation case, in the values of the data set.
        work: Gets links to the references; emptied first.
    """
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    for _, _, mask in task.files(data, task.validation):
        (work / mask.name).symlink_to(mask.resolve())
    return evaluate(predictions, work, task.label_set)
