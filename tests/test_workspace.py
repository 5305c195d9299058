"""Locks name their owner, and die with it."""

import os
import signal
import subprocess
import sys
import time

import pytest

from autoseg.errors import BusyError
from autoseg.workspace import Workspace, hold, holders

HOLDER = """
import sys, time
from pathlib import Path
from autoseg.workspace import Workspace, hold, holders
with hold(Path(sys.argv[1]), "folder"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path / ".lock")], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "held\n"
    yield child
    child.kill()
    child.wait()
    child.stdout.close()


def test_a_held_lock_names_process_and_host(tmp_path, holder):
    with pytest.raises(BusyError) as caught, hold(tmp_path / ".lock", "run folder X"):
        pass
    assert caught.value.exit_code == 7
    assert f"process {holder.pid} on {os.uname().nodename}" in str(caught.value)
    assert "run folder X is busy" in str(caught.value)


def test_the_lock_of_a_killed_process_is_free(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    deadline = time.monotonic() + 5
    while True:
        try:
            with hold(tmp_path / ".lock", "folder"):
                return
        except BusyError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_who_works_in_a_folder_is_told_until_killed(tmp_path, holder):
    workspace = Workspace(tmp_path)
    assert holders(workspace) == (f"process {holder.pid} on {os.uname().nodename}",)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert workspace.lock.with_name(".lock.owner").exists()  # as the killed process left it
    assert holders(workspace) == ()


def test_holders_on_other_hosts_are_told_and_what_is_no_owner_is_not(tmp_path):
    job = Workspace(tmp_path).job("2d", 0)
    job.path.mkdir(parents=True)
    owner = job.lock.with_name(".lock.owner")
    owner.write_text('{"process": 12, "host": "ward7", "since": 1.0}')
    assert holders(Workspace(tmp_path)) == ("process 12 on ward7",)
    owner.write_text('["?"]')
    assert holders(Workspace(tmp_path)) == ()


def test_a_lock_can_be_taken_again_after_an_error(tmp_path):
    with pytest.raises(RuntimeError), hold(tmp_path / ".lock", "folder"):
        raise RuntimeError
    with hold(tmp_path / ".lock", "folder"):
        assert (tmp_path / ".lock.owner").exists()
    assert not (tmp_path / ".lock.owner").exists()
