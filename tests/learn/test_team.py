"""Two processes that train one network end where one process does."""

import math
import multiprocessing

import pytest
import torch
from torch import distributed

from autoseg.errors import UsageError
from autoseg.learn import tuning
from autoseg.learn.loop import Store, Task, train
from autoseg.learn.team import ALONE, Team, joined
from tests.learn.tiny import STILL, network_plan, source, training_plan

pytestmark = pytest.mark.skipif(not distributed.is_gloo_available(), reason="torch was built without gloo")


def trained(team, monitor=None, tuned=False):
    torch.set_num_threads(1)
    plan = training_plan(steps=8, batch=3, optimizer="sgd", augmentation=STILL)
    task = Task(network_plan(), plan, seed=4, tuned=tuned)
    return train(task, source(), Store(tuple, lambda write: None), torch.device("cpu"), monitor=monitor, team=team)


def member(rank, meeting, said, monitor, tuned):
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    done = trained(Team(rank, 2), monitor, tuned)
    weights = torch.cat([value.flatten() for value in done.weights.values()]).tolist()
    said.put((rank, weights, done.looks, done.curve[-1].loss))
    distributed.destroy_process_group()


def together(tmp_path, monitors=(None, None), tuned=False):
    """What each of two processes came to."""
    context = multiprocessing.get_context("fork")
    said = context.Queue()
    trained(ALONE)  # first: what it imports, forks have at once
    crew = [context.Process(target=member, args=(r, tmp_path / "meeting", said, monitors[r], tuned)) for r in (0, 1)]
    for process in crew:
        process.start()
    answers = sorted(said.get(timeout=120) for _ in crew)
    for process in crew:
        process.join()
    return answers


def test_two_processes_come_to_the_weights_of_one(tmp_path):
    alone = trained(ALONE)
    weights = torch.cat([value.flatten() for value in alone.weights.values()])
    (_, leader, _, loss), (_, follower, _, _) = together(tmp_path)
    assert leader == follower
    assert torch.allclose(torch.tensor(leader), weights, atol=1e-5)
    assert loss == pytest.approx(alone.curve[-1].loss, abs=1e-5)


def test_processes_that_are_tuned_take_the_same_way(tmp_path, monkeypatch):
    monkeypatch.setattr(tuning, "LAYOUT_SHARE", math.inf)
    monkeypatch.setattr(tuning, "LAYOUT_S", 0.0)
    (_, leader, _, _), (_, follower, _, _) = together(tmp_path, tuned=True)
    assert leader == follower


def test_the_leader_alone_watches(tmp_path):
    (_, _, leader, _), (_, _, follower, _) = together(
        tmp_path, (lambda network: (0.5, 0.7), lambda network: (0.0, 0.0))
    )
    assert leader == follower
    assert leader[0].dice == (0.5, 0.7)


def test_every_sample_is_computed_once():
    crew = [Team(rank, 3) for rank in range(3)]
    assert sorted(index for team in crew for index in team.samples(7)) == list(range(7))


def test_a_process_that_nobody_grouped_is_alone(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert joined() == ALONE
    assert joined().leads


def test_each_process_has_a_gpu_of_its_own_or_it_is_an_error():
    gpu, beyond = torch.device("cuda:0"), torch.cuda.device_count()
    assert Team(0, 1, seat=beyond).device(gpu) == gpu
    assert Team(1, 2, seat=beyond).device(torch.device("cpu")) == torch.device("cpu")
    with pytest.raises(UsageError, match=f"has no GPU of its own, as there are {beyond}; start at most so many"):
        Team(1, 2, seat=beyond).device(gpu)


def test_more_processes_than_samples_are_an_error():
    with pytest.raises(UsageError, match="4 processes, but a batch has 3 samples.*start at most 3"):
        trained(Team(0, 4))
