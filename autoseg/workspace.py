"""The only module that knows file names inside a run folder, and the locks that guard it.

OUT/  run.json  budget.json  events/<process>.jsonl
      <stage>.json for each stage
      dataset/     scans/<case>.json  volumes/<case>_image.npy  volumes/<case>_label.npy  quarantine/<case>.png
      preprocess/  <configuration>/<case>_image.npy  <case>_label.npy  <case>.json
      search/      <number>/rung_<k>/{train/, crossvalidate.json or failure.json}  prepared/
      train/       <configuration>/fold_<k>/{train.json, weights.safetensors, checkpoint/, oof/<case>.npz,
                   oof/mirrored/<case>.npz}
      select/trials.jsonl  predict/{masks, provenance/<case>.json, calibration/<case>.json}  report/index.html
      model/       model.json  weights/*.safetensors  golden.npz
"""

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import psutil

from autoseg.errors import BusyError

STAGES = (
    "dataset",
    "fingerprint",
    "plan",
    "preprocess",
    "train",
    "crossvalidate",
    "select",
    "predict",
    "report",
)


@dataclass(frozen=True)
class DatasetFolder:
    """Bulk data of the ``dataset`` stage."""

    path: Path

    def scan(self, case: str) -> Path:
        """The case's ``CaseScan``."""
        return self.path / "scans" / f"{case}.json"

    def image(self, case: str) -> Path:
        """Canonical image (C, z, y, x), lossless, in the file's own dtype."""
        return self.path / "volumes" / f"{case}_image.npy"

    def label(self, case: str) -> Path:
        """Canonical class indices (z, y, x), uint8 or uint16."""
        return self.path / "volumes" / f"{case}_label.npy"

    def misplaced(self, case: str) -> Path:
        """A picture of a case that was quarantined because image and label do not lie in one place."""
        return self.path / "quarantine" / f"{case}.png"

    @property
    def files(self) -> Path:
        """Size and modification time of each source file: the shortcut around hashing."""
        return self.path / "files.json"


@dataclass(frozen=True)
class PreparedFolder:
    """Bulk data of the ``preprocess`` stage."""

    path: Path

    def image(self, configuration: str, case: str) -> Path:
        """Network input (C, z, y, x), float32."""
        return self.path / configuration / f"{case}_image.npy"

    def label(self, configuration: str, case: str) -> Path:
        """Class indices (z, y, x) on the same grid."""
        return self.path / configuration / f"{case}_label.npy"

    def record(self, configuration: str, case: str) -> Path:
        """The case's ``PreparedCase`` and what it was made from, written last: with it, the arrays are complete."""
        return self.path / configuration / f"{case}.json"


@dataclass(frozen=True)
class JobFolder:
    """Everything one (configuration, fold) job writes."""

    path: Path

    @property
    def record(self) -> Path:
        """The job's ``TrainedModel``."""
        return self.path / "train.json"

    @property
    def weights(self) -> Path:
        """The weights that ship."""
        return self.path / "weights.safetensors"

    @property
    def checkpoint(self) -> Path:
        """Folder of the last two checkpoints."""
        return self.path / "checkpoint"

    @property
    def lock(self) -> Path:
        """Held while a process works on the job."""
        return self.path / ".lock"

    @property
    def predictions(self) -> Path:
        """Folder of the out-of-fold probabilities."""
        return self.path / "oof"

    def out_of_fold(self, case: str, *, mirrored: bool = False) -> Path:
        """Out-of-fold probabilities of a validation case, as they are or averaged over mirrored copies."""
        return self.predictions / ("mirrored" if mirrored else "") / f"{case}.npz"


@dataclass(frozen=True)
class ModelFolder:
    """The deployable model."""

    path: Path

    @property
    def record(self) -> Path:
        """``model.json``, written last."""
        return self.path / "model.json"

    @property
    def golden(self) -> Path:
        """A tiny input and the output it must give."""
        return self.path / "golden.npz"

    def weights(self, configuration: str, fold: int) -> Path:
        """One network."""
        return self.path / "weights" / f"{configuration}_fold_{fold}.safetensors"


@dataclass(frozen=True)
class Workspace:
    """A run folder."""

    path: Path

    @property
    def run(self) -> Path:
        """Source, settings and time worked."""
        return self.path / "run.json"

    @property
    def budget(self) -> Path:
        """The measured machine."""
        return self.path / "budget.json"

    @property
    def events(self) -> Path:
        """One JSONL per process."""
        return self.path / "events" / f"{socket.gethostname()}-{os.getpid()}.jsonl"

    @property
    def lock(self) -> Path:
        """Held by ``run`` and by every single-stage command but ``train``."""
        return self.path / ".lock"

    def record(self, stage: str) -> Path:
        """The stage's JSON."""
        return self.path / f"{stage}.json"

    def folder(self, stage: str) -> Path:
        """The stage's bulk data."""
        return self.path / stage

    @property
    def trained(self) -> bool:
        """Whether it holds what took long: trainings, also those of a search, finished or not."""
        return any(self.folder(stage).exists() for stage in ("train", "search"))

    @property
    def dataset(self) -> DatasetFolder:
        """Bulk data of ``dataset``."""
        return DatasetFolder(self.folder("dataset"))

    @property
    def prepared(self) -> PreparedFolder:
        """Bulk data of ``preprocess``."""
        return PreparedFolder(self.folder("preprocess"))

    def job(self, configuration: str, fold: int) -> JobFolder:
        """Folder of one training job."""
        return JobFolder(self.folder("train") / configuration / f"fold_{fold}")

    def trial(self, number: int, rung: int) -> "Workspace":
        """What one partial training of a plan search leaves, laid out like a run."""
        return Workspace(self.folder("search") / str(number) / f"rung_{rung}")

    def calibration(self, case: str) -> Path:
        """How sure the deployed model was of a hold-out case, and how often right."""
        return self.folder("predict") / "calibration" / f"{case}.json"

    @property
    def prepared_for_search(self) -> Path:
        """Cases as no configuration of the plan wants them; a folder for each way they look."""
        return self.folder("search") / "prepared"

    @property
    def trials(self) -> Path:
        """What ``select`` has tried so far, one line per trial."""
        return self.folder("select") / "trials.jsonl"

    @property
    def model(self) -> ModelFolder:
        """The deployable model."""
        return ModelFolder(self.path / "model")

    @property
    def page(self) -> Path:
        """The report."""
        return self.folder("report") / "index.html"


@contextlib.contextmanager
def hold(lock: Path, what: str) -> Iterator[None]:
    """Hold a lock for the duration of a ``with`` block. The system frees it when the process dies, however it dies.

    Raises:
        BusyError: Another process holds it; the message names process, host and age.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    owner_file = lock.with_name(lock.name + ".owner")
    guard = filelock.FileLock(lock)
    try:
        guard.acquire(timeout=0)
    except filelock.Timeout:
        owner = _describe(owner_file)
        raise BusyError(f"{what} is busy: {owner}; wait for it, or stop that process", owner) from None
    try:
        owner_file.write_text(json.dumps({"process": os.getpid(), "host": socket.gethostname(), "since": time.time()}))
        yield
    finally:
        owner_file.unlink(missing_ok=True)
        guard.release()


def holders(workspace: Workspace) -> tuple[str, ...]:
    """Who works in a run folder, without disturbing them: ``process 4711 on ward7``. Those killed here are not told.

    Of processes on other hosts it is only known that they began, and have not ended in an orderly way.
    """
    owner_files = (workspace.lock.with_name(".lock.owner"), *workspace.folder("train").glob("*/*/.lock.owner"))
    owners = (_owner(file) for file in owner_files)
    return tuple(dict.fromkeys(f"process {o['process']} on {o['host']}" for o in owners if o and not _dead(o)))


def _dead(owner: dict[str, Any]) -> bool:
    if owner["host"] != socket.gethostname():
        return False
    try:
        return psutil.Process(owner["process"]).create_time() > owner["since"]  # else the number went to another one
    except psutil.Error:
        return True


def _describe(owner_file: Path) -> str:
    owner = _owner(owner_file)
    if owner is None:
        return "by a process that has not said its name"
    minutes = (time.time() - owner["since"]) / 60
    return f"process {owner['process']} on {owner['host']} has held it for {minutes:.0f} min"


def _owner(owner_file: Path) -> dict[str, Any] | None:
    """What a holder wrote of itself; None where there is nothing, or no such thing."""
    try:
        owner = json.loads(owner_file.read_text())
        return {"process": int(owner["process"]), "host": str(owner["host"]), "since": float(owner["since"])}
    except (OSError, ValueError, KeyError, TypeError):
        return None
