"""Jobs run in order, once, and can be shared by processes."""

import threading
import time

import pytest

from autoseg import records
from autoseg.contracts import TrainedModel
from autoseg.errors import BusyError, UsageError
from autoseg.events import silent
from autoseg.row import jobs
from autoseg.row.jobs import Job
from autoseg.workspace import Workspace, hold
from planners.contracts import Parent

PARENTS = (Parent(name="plan", digest="1"),)
CHAIN = (Job("3d_lowres", 0), Job("3d_lowres", 1), Job("3d_cascade_fullres", 0, "3d_lowres"))


def trained(job, parents=PARENTS):
    return TrainedModel(
        parents=parents,
        configuration=job.configuration,
        fold=job.fold,
        weights="0",
        steps=1,
        planned_steps=1,
        seconds=0.0,
        data_wait_share=0.0,
        curve=(),
        out_of_fold=(),
    )


def test_a_chain_of_two_configurations_runs_in_order(tmp_path):
    order = []

    def train(job, open_jobs):
        order.append((str(job), open_jobs))
        return trained(job)

    jobs.work(CHAIN, Workspace(tmp_path), PARENTS, train, silent)
    assert order == [("3d_lowres/fold_0", 3), ("3d_lowres/fold_1", 2), ("3d_cascade_fullres/fold_0", 1)]


def test_done_jobs_are_not_trained_again(tmp_path):
    counted = []

    def train(job, open_jobs):
        counted.append(job)
        return trained(job)

    first = jobs.work(CHAIN, Workspace(tmp_path), PARENTS, train, silent)
    again = jobs.work(CHAIN, Workspace(tmp_path), PARENTS, train, silent)
    assert again == first
    assert len(counted) == 3


def test_a_model_of_other_parents_is_trained_anew_and_its_files_go(tmp_path):
    workspace, job = Workspace(tmp_path), Job("2d", 0)
    jobs.run_one(job, workspace, PARENTS, trained)
    folder = workspace.job("2d", 0)
    folder.checkpoint.mkdir()
    (folder.checkpoint / "old").write_text("x")
    other = (Parent(name="plan", digest="2"),)
    made = jobs.run_one(job, workspace, other, lambda j: trained(j, other))
    assert made.parents == other
    assert not folder.checkpoint.exists()


def test_an_interrupted_job_keeps_its_checkpoint(tmp_path):
    workspace, job = Workspace(tmp_path), Job("2d", 0)
    folder = workspace.job("2d", 0)

    def dies(_):
        folder.checkpoint.mkdir(parents=True)
        raise KeyboardInterrupt

    def resumes(_):
        assert folder.checkpoint.exists()
        return trained(job)

    with pytest.raises(KeyboardInterrupt):
        jobs.run_one(job, workspace, PARENTS, dies)
    jobs.run_one(job, workspace, PARENTS, resumes)
    assert not folder.checkpoint.exists()  # a finished job needs none


def test_two_workers_share_the_jobs_and_respect_the_chain(tmp_path):
    """Two threads with locks of their own stand for two processes: file locks are per open file."""
    order, guard = [], threading.Lock()
    chain = tuple(Job("3d_lowres", k) for k in range(4)) + (Job("3d_cascade_fullres", 0, "3d_lowres"),)

    def train(job, open_jobs):
        with guard:
            order.append(("start", job))
        time.sleep(0.2)
        with guard:
            order.append(("end", job))
        return trained(job)

    def work():
        jobs.work(chain, Workspace(tmp_path), PARENTS, train, silent)

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(str(job) for what, job in order if what == "start") == sorted(map(str, chain))
    last_low = max(order.index(("end", job)) for job in chain[:4])
    assert order.index(("start", chain[4])) > last_low
    assert order.index(("start", chain[1])) < order.index(("end", chain[0]))  # they did overlap


def test_a_held_job_is_busy(tmp_path):
    workspace, job = Workspace(tmp_path), Job("2d", 3)
    with hold(workspace.job("2d", 3).lock, "it"), pytest.raises(BusyError, match="2d/fold_3"):
        jobs.run_one(job, workspace, PARENTS, trained)


def test_unknown_jobs_are_named_with_those_there_are():
    assert jobs.pick(CHAIN, "3d_lowres", 1) == CHAIN[1]
    with pytest.raises(UsageError, match="3d_lowres/fold_0"):
        jobs.pick(CHAIN, "2d", 0)


def test_records_of_jobs_are_on_disk(tmp_path):
    jobs.run_one(CHAIN[0], Workspace(tmp_path), PARENTS, trained)
    assert records.read(Workspace(tmp_path).job("3d_lowres", 0).record, TrainedModel).configuration == "3d_lowres"
