"""The out-of-fold predictions of a finished run folder, for the benchmarks of the empirical stage."""

from pathlib import Path

from autoseg import records
from autoseg.contracts import CaseScan, Dataset, TrainedModel, Validation
from autoseg.row import opening
from autoseg.selection.store import Store, mirrored_by
from autoseg.workspace import Workspace
from planners.contracts import Plan


def of_run(run: Path) -> tuple[Store, Plan, Validation]:
    """The store of a run folder in which training and cross-validation are done."""
    workspace = Workspace(run)
    dataset, plan = records.read(workspace.record("dataset"), Dataset), records.read(workspace.record("plan"), Plan)
    kept = opening.without_holdout(dataset)
    scans = [records.read(workspace.dataset.scan(case), CaseScan) for case in kept.development]
    development = opening.divided(kept, scans, plan.folds)
    folds = range(len(development.split.folds))
    jobs = [workspace.job(configuration.name, fold) for configuration in plan.configurations for fold in folds]
    trained = [records.read(job.record, TrainedModel) for job in jobs]
    store = Store(development, workspace.dataset, workspace.job, mirrored_by(trained))
    return store, plan, records.read(workspace.record("crossvalidate"), Validation)
