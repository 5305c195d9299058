"""Train one job, a configuration without one fold, and predict the cases of that fold, which the job never saw.

A job writes only its own folder:

    weights.safetensors      the averaged weights, complete or absent
    checkpoint/              two generations; ``clean`` removes them once the job's record is written
    oof/<case>.npz           probabilities of each validation case on its canonical source grid

The second stage of a cascade reads, in the folders of its first stage's jobs, what these predicted of cases that they
never saw. The networks that made those masks did see the second stage's validation cases; nobody in this field avoids
that, and the record names the previous stage so that it can be known.

Whatever stands there already is kept: training goes on from the newest whole checkpoint, and only missing validation
cases are predicted.
"""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray

from autoseg import generations, machine, records
from autoseg.contracts import CurvePoint, Dataset, Prepared, TrainedModel
from autoseg.errors import DataError, UnreadableFile
from autoseg.events import Event, Notify, silent
from autoseg.learn import device as devices
from autoseg.learn import infer, loop, memory, networks
from autoseg.learn.loader import CaseSource
from autoseg.outoffold import read_out_of_fold, write_out_of_fold
from autoseg.postprocessing import segment
from autoseg.volumes.labels import Classes, one_hot
from autoseg.volumes.preparation import Geometry, prepare_labels, restore_probabilities
from autoseg.workspace import JobFolder, PreparedFolder
from planners.contracts import Budget, Configuration, Plan, TrainingPlan

algorithm_version = 1

CACHE_SHARE = 0.4
"""Of the free memory that may hold cases while training."""


Previous = Callable[[str], Classes]
"""Class indices that the previous stage predicts of a case, on the grid of this one."""


@dataclass(frozen=True)
class Job:
    """What to train. ``seconds`` limits the work from now on; None: the plan's own limit stands."""

    plan: Plan
    budget: Budget
    dataset: Dataset
    prepared: Prepared
    configuration: str
    fold: int
    seed: int
    seconds: float | None = None

    def __str__(self) -> str:
        return f"train {self.configuration}/fold_{self.fold}"

    @property
    def validation(self) -> tuple[str, ...]:
        """The fold's validation cases."""
        return self.dataset.split.folds[self.fold]

    @property
    def training(self) -> tuple[str, ...]:
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


def train(
    job: Job,
    folder: PreparedFolder,
    out: JobFolder,
    *,
    first_stage: Callable[[int], JobFolder] | None = None,
    notify: Notify = silent,
) -> TrainedModel:
    """Train the job to its end, then predict its validation cases.

    Args:
        job: What to train.
        folder: The prepared cases.
        out: The job's folder.
        first_stage: Where each fold of the previous stage has its predictions; needed where the configuration has one.
        notify: Called after each step and each predicted case.

    Raises:
        Interrupted: From ``notify``; everything is saved, and the same call goes on.
        ResourceError: Training diverged again and again.
        UnreadableFile: A prepared case is missing or damaged.
    """
    device = devices.resolve(job.budget.device)
    devices.prepare(device, job.budget.deterministic)
    task = loop.Task(job.chosen.network, job.schedule, job.seed, str(job))
    store = loop.Store(lambda: generations.load(out.checkpoint), lambda write: generations.save(out.checkpoint, write))
    previous = None if first_stage is None else _previous(job, folder, first_stage)
    trained = loop.train(task, _source(job, folder, previous), store, device, notify)
    digest = _publish(trained.weights, out)
    network = networks.build(job.chosen.network)
    network.load_state_dict(trained.weights)
    placed = networks.place(network, device, job.chosen.dimension)
    _predict_validation(job, placed, device, folder, previous, out, notify)
    return TrainedModel(
        configuration=job.chosen.name,
        fold=job.fold,
        previous_stage=job.chosen.previous_stage,
        weights=digest,
        steps=trained.steps,
        planned_steps=job.schedule.steps,
        seconds=trained.seconds,
        samples_per_s=round(trained.steps * job.schedule.batch / trained.seconds, 3) if trained.seconds > 0 else 0.0,
        seed=job.seed,
        skipped_steps=trained.skipped,
        rollbacks=trained.rollbacks,
        restarts=trained.restarts,
        batch_pieces=trained.pieces,
        collapsed=trained.collapsed,
        data_wait_share=trained.data_wait_share,
        peak_memory_bytes=memory.peak_bytes(device),
        curve=tuple(
            CurvePoint(step=p.step, seconds=p.seconds, loss=p.loss, learning_rate=p.learning_rate)
            for p in trained.curve
        ),
        out_of_fold=job.validation,
    )


def clean(out: JobFolder) -> None:
    """Remove the checkpoints of a job whose record is safely written."""
    shutil.rmtree(out.checkpoint, ignore_errors=True)


def _publish(weights: dict[str, torch.Tensor], out: JobFolder) -> str:
    """Write the weights and return their SHA-256; predictions of other weights are removed first."""
    content = safetensors.torch.save(weights)
    digest = hashlib.sha256(content).hexdigest()
    if not out.weights.exists() or records.file_digest(out.weights) != digest:
        shutil.rmtree(out.path / "oof", ignore_errors=True)
        records.write_bytes(out.weights, content)
    return digest


# ------------------------------------------------------------------------------------------------------------ cases


def _source(job: Job, folder: PreparedFolder, previous: Previous | None = None) -> CaseSource:
    """The training cases; asking it for a validation case is a bug and raises."""
    kept_out = set(job.validation) | set(job.dataset.split.holdout)

    def load(case: str) -> tuple[NDArray, NDArray]:
        if case in kept_out:
            raise RuntimeError(f"{job}: case {case} must not be trained on: it validates this fold")
        return _open(folder.image(job.chosen.name, case)), _open(folder.label(job.chosen.name, case))

    labels = job.dataset.labels
    room = int(CACHE_SHARE * machine.ram_bytes())
    return CaseSource(job.training, load, labels.members, labels.ignore_index, previous, cache_bytes=room)


def _previous(job: Job, folder: PreparedFolder, first_stage: Callable[[int], JobFolder]) -> Previous:
    """What the previous stage's jobs predicted of their own validation cases; the label where a case is in none."""
    fold_of = {case: fold for fold, cases in enumerate(job.dataset.split.folds) for case in cases}
    labels = job.dataset.labels

    def predicted(case: str) -> Classes:
        if case not in fold_of:  # a given split may never validate it
            label = _open(folder.label(job.chosen.name, case))
            return np.where(label == labels.ignore_index, 0, label)
        geometry = job.geometry(case)
        z, y, x = (geometry.source_shape[geometry.axes.index(axis)] for axis in range(3))
        path = first_stage(fold_of[case]).out_of_fold(case)
        probabilities = read_out_of_fold(path, (z, y, x), labels.kind)
        return prepare_labels(segment(probabilities, labels, geometry.source_spacing_mm), geometry)

    return predicted


def _open(path: Path) -> NDArray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UnreadableFile(path, f"not a whole prepared array ({error})", "run the preprocess stage again") from error


# ------------------------------------------------------------------------------------------------------ out of fold


def _predict_validation(
    job: Job,
    network: torch.nn.Module,
    device: torch.device,
    folder: PreparedFolder,
    previous: Previous | None,
    out: JobFolder,
    notify: Notify,
) -> None:
    for done, case in enumerate(job.validation, start=1):
        path = out.out_of_fold(case)
        if not path.exists():
            image = _open(folder.image(job.chosen.name, case))
            if previous is not None:
                image = np.concatenate((image, one_hot(previous(case), job.dataset.labels.members)))
            probabilities = _probabilities(job, network, device, case, image)
            write_out_of_fold(path, probabilities, background=0 if job.exclusive else None)
        notify(Event(stage=str(job), done=done, total=len(job.validation), unit="validation case", detail=case))


def _probabilities(
    job: Job, network: torch.nn.Module, device: torch.device, case: str, image: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Of one validation case, on its canonical source grid, (H, z, y, x)."""
    probabilities = infer.predict_volume(
        [network],
        image,
        job.schedule.patch_vox,
        job.chosen.dimension,
        "softmax" if job.exclusive else "sigmoid",
        (),
        device,
        job.schedule.precision,
    )
    return restore_probabilities(probabilities, job.geometry(case), background=0 if job.exclusive else None)
