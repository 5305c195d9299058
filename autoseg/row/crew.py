"""Helpers on the other GPUs of a machine: each is a process that trains open jobs of the same run folder.

Jobs have locks of their own and can be shared by any number of processes, so all it takes is to start some. One that
dies leaves its job open, with its checkpoint, for the others.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from autoseg.events import Event, Notify
from autoseg.learn import device
from autoseg.workspace import Workspace

PATIENCE_S = 60.0
"""For a helper to save its checkpoint when it is told to stop."""


@contextlib.contextmanager
def hired(workspace: Workspace, name: str, jobs: int, notify: Notify) -> Iterator[None]:
    """For the ``with`` block, a process for each further GPU, as far as there are jobs for them.

    They end by themselves when no job is open, and are told to save and stop when the block is left by an error.

    Args:
        workspace: The run folder.
        name: The device that was asked for; one that names a single GPU means that one alone.
        jobs: In all.
        notify: Told where each helper's messages go.
    """
    crew = {gpu: _start(workspace, gpu, notify) for gpu in device.others(name)[: max(0, jobs - 1)]}
    done = False
    try:
        yield
        done = True
    finally:
        for process in crew.values():
            if not done:
                process.terminate()
            _end(process)
    for gpu, process in crew.items():
        if process.returncode != 0:
            detail = f"the process on GPU {gpu} ended with code {process.returncode}; {_log(workspace, gpu)} says why"
            notify(Event(stage="train", what="warning", detail=detail))


def _log(workspace: Workspace, gpu: str) -> Path:
    return workspace.events.parent / f"gpu_{gpu}.log"


def _start(workspace: Workspace, gpu: str, notify: Notify) -> "subprocess.Popen[bytes]":
    log = _log(workspace, gpu)
    notify(Event(stage="train", what="note", detail=f"a process on GPU {gpu} trains too; its messages are in {log}"))
    command = [sys.executable, "-m", "autoseg", "train", str(workspace.path)]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": gpu}  # the only one it sees, and its first
    with open(log, "ab") as messages:
        return subprocess.Popen(command, env=environment, stdout=messages, stderr=messages, start_new_session=True)


def _end(process: "subprocess.Popen[bytes]") -> None:
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
