"""Train one job, a configuration without one fold, and predict the cases of that fold, which the job never saw.

A job writes only its own folder:

    weights.safetensors      the averaged weights, complete or absent
    checkpoint/              two generations; ``clean`` removes them once the job's record is written
    oof/<case>.npz           probabilities of each validation case on its canonical source grid
    oof/mirrored/<case>.npz  the same, averaged over mirrored copies, where that costs little (``Job.mirrors``)

The second stage of a cascade reads, in the folders of its first stage's jobs, what these predicted of cases that they
never saw. The networks that made those masks did see the second stage's validation cases; nobody in this field avoids
that, and the record names the previous stage so that it can be known.

Whatever stands there already is kept: training goes on from the newest whole checkpoint, and only missing validation
cases are predicted.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray

from autoseg import generations, records
from autoseg.contracts import CurvePoint, Energy, MonitorPoint, TrainedModel
from autoseg.errors import UsageError
from autoseg.evaluation.scoring import dice_of
from autoseg.events import Event, Notify, silent
from autoseg.job import Job
from autoseg.job_cases import JobCases
from autoseg.learn import device as devices
from autoseg.learn import loop, memory, networks
from autoseg.learn.infer import Ensemble
from autoseg.learn.monitor import Score
from autoseg.learn.team import ALONE, Team
from autoseg.outoffold import write_pieces
from autoseg.postprocessing import segment
from autoseg.volumes.pieces import Track, aligned
from autoseg.volumes.restoring import restored_pieces
from autoseg.workspace import JobFolder, PreparedFolder

algorithm_version = 6


def train(
    job: Job,
    folder: PreparedFolder,
    out: JobFolder,
    *,
    first_stage: Callable[[int], JobFolder] | None = None,
    notify: Notify = silent,
    team: Team = ALONE,
) -> TrainedModel:
    """Train the job to its end, then predict its validation cases.

    Args:
        job: What to train.
        folder: The prepared cases.
        out: The job's folder.
        first_stage: Where each fold of the previous stage has its predictions; needed where the configuration has one.
        notify: Called after each step and each predicted case.
        team: Who else trains this job at the same time; this process leads.

    Raises:
        Interrupted: From ``notify``; everything is saved, and the same call goes on.
        ResourceError: Training diverged again and again.
        UnreadableFile: A prepared case is missing or damaged; everything is saved.
        UsageError: The device that the run was planned for is not here.
    """
    device = _device(job, team)
    store = loop.Store(lambda: generations.load(out.checkpoint), lambda write: generations.save(out.checkpoint, write))
    cases = JobCases(job, folder, first_stage)
    monitor = _monitor(cases, device) if job.monitors else None
    trained = loop.train(_task(job), cases.source, store, device, notify, monitor, team)
    digest = _publish(trained.weights, out)
    network = networks.build(job.chosen.network)
    network.load_state_dict(trained.weights)
    placed = networks.place(network, device, job.chosen.dimension)
    _predict_validation(cases, placed, device, out, notify)
    return _record(job, trained, digest, device)


def _record(job: Job, trained: loop.Trained, weights: str, device: torch.device) -> TrainedModel:
    """What became of the job; ``weights`` is the digest of their file."""
    return TrainedModel(
        configuration=job.chosen.name,
        fold=job.fold,
        previous_stage=job.chosen.previous_stage,
        weights=weights,
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
        energy=tuple(Energy(joules=part.joules, measured=part.measured, how=part.how) for part in trained.energy),
        curve=tuple(
            CurvePoint(step=p.step, seconds=p.seconds, loss=p.loss, learning_rate=p.learning_rate)
            for p in trained.curve
        ),
        monitors=job.monitors,
        monitored=tuple(MonitorPoint(step=look.step, dice=float(np.mean(look.dice))) for look in trained.looks),
        ended_early=trained.ended_early,
        execution=trained.execution,
        out_of_fold=job.validation,
        mirrored=job.mirrors,
    )


def follow(
    job: Job,
    folder: PreparedFolder,
    out: JobFolder,
    team: Team,
    *,
    first_stage: Callable[[int], JobFolder] | None = None,
    notify: Notify = silent,
) -> None:
    """Train the job together with the process that leads the team, which alone saves, predicts and reports.

    Args:
        job: What to train.
        folder: The prepared cases.
        out: The job's folder.
        team: The place of this process.
        first_stage: As for ``train``.
        notify: Called after each step.
    """
    cases = JobCases(job, folder, first_stage)
    store = loop.Store(lambda: generations.load(out.checkpoint), lambda write: None)
    monitor = (lambda network: (0.0,) * len(job.monitors)) if job.monitors else None  # the leader's scores count
    loop.train(_task(job), cases.source, store, _device(job, team), notify, monitor, team)


def _task(job: Job) -> loop.Task:
    initial = None if job.start is None else job.start.weights(job.chosen, job.dataset, job.fold, job.seed)
    tuned = not job.budget.deterministic
    return loop.Task(job.chosen.network, job.schedule, job.seed, str(job), initial, tuned)


def _device(job: Job, team: Team) -> torch.device:
    try:
        planned = devices.resolve(job.budget.device)
    except UsageError as error:
        raise UsageError(
            f"{error}; the run was planned for {job.budget.device_name}: go on with it there, or plan it for this "
            "machine and train anew, with --device and --replan"
        ) from error
    device = team.device(planned)
    devices.prepare(device, job.budget.deterministic)
    return device


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


# ------------------------------------------------------------------------------------------------------- prediction


def _monitor(cases: JobCases, device: torch.device) -> Score:
    """Scores networks on the monitor cases, whole and on the prepared grid."""
    job, labels = cases.job, cases.job.dataset.labels

    def dice(network: torch.nn.Module, case: str) -> float:
        probabilities = np.concatenate(list(_rows(cases, network, device, case)), axis=1)
        segmented = segment(probabilities, labels, job.geometry(case).spacing_mm)
        defined = [score for score in dice_of(cases.label(case), segmented, labels) if score is not None]
        return float(np.mean(defined)) if defined else 1.0  # rightly nothing

    return lambda network: tuple(dice(network, case) for case in job.monitors)


def _predict_validation(
    cases: JobCases, network: torch.nn.Module, device: torch.device, out: JobFolder, notify: Notify
) -> None:
    job = cases.job
    for done, case in enumerate(job.validation, start=1):
        for mirrored in (False, True) if job.mirrors else (False,):
            path = out.out_of_fold(case, mirrored=mirrored)
            if not path.exists():
                _write(path, job, case, _rows(cases, network, device, case, mirrored=mirrored))
        notify(Event(stage=str(job), done=done, total=len(job.validation), unit="validation case", detail=case))


def _write(path: Path, job: Job, case: str, rows: Iterable[NDArray[np.float32]]) -> None:
    """Write rows of the prepared grid as a prediction on the source grid."""
    geometry, background = job.geometry(case), 0 if job.exclusive else None
    track = Track(geometry.axes[0], restored_pieces(rows, geometry, background))
    pieces = ((place, heads) for place, [heads] in aligned([track], geometry.canonical_shape))
    write_pieces(path, pieces, geometry.canonical_shape, background)


def _rows(
    cases: JobCases, network: torch.nn.Module, device: torch.device, case: str, *, mirrored: bool = False
) -> Iterator[NDArray[np.float32]]:
    """Probabilities of one case on its prepared grid, in pieces (H, n, y, x) along the first axis."""
    schedule = cases.job.schedule
    alone = Ensemble(
        [network],
        schedule.patch_vox,
        "softmax" if cases.job.exclusive else "sigmoid",
        device,
        schedule.precision,
    )
    return alone.rows(cases.image(case), schedule.augmentation.mirror_axes if mirrored else ())
