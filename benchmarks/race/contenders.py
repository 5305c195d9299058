"""Who races: each makes one cell."""

import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from benchmarks.peers.nnunet import Peer
from benchmarks.race import autoseg_side, cell
from benchmarks.race.cell import Cell
from benchmarks.race.scoring import score
from benchmarks.race.tasks import Task
from planners.contracts import Version

OURS = "autoseg"


@dataclass(frozen=True)
class Entry:
    """One cell to make: a task, the time and seed, where the data are and where to work."""

    task: Task
    minutes: float
    seed: int
    data: Path
    venv: Path
    out: Path


def autoseg(entry: Entry) -> Cell:
    """Our own plan and training."""
    started, load_before, watch = cell.now(), cell.load(), cell.Watch()
    work = entry.out / f"{entry.task.name}-{OURS}-{entry.minutes:g}min-seed{entry.seed}"
    raced = autoseg_side.race(entry.task, entry.data, entry.minutes, entry.seed, work)
    training, network = raced.planned.training, raced.planned.network
    return Cell(
        task=entry.task.name,
        contender=OURS,
        minutes=entry.minutes,
        seed=entry.seed,
        started=started,
        machine=cell.this_machine(),
        load_before=load_before,
        load_after=cell.load(),
        others_share=watch.others_share(),
        versions=_versions("torch", "numpy"),
        train_s=raced.model.seconds,
        steps=raced.model.steps,
        batch=training.batch,
        patch_vox=training.patch_vox,
        settings=cell.settings(
            configuration=raced.planned.name,
            features=network.features,
            precision=training.precision,
            optimizer=training.optimizer,
            mirrored_prediction=False,
            hours_planned_for=f"{raced.hours:.4f}",
        ),
        scores=score(entry.task, entry.data, work / "masks", work / "references"),
    )


def nnunet(entry: Entry, *, bf16: bool) -> Cell:
    """nnU-Net with its defaults, or under autocast."""
    name = "nnunet_bf16" if bf16 else "nnunet"
    peer = Peer(entry.task, entry.data, entry.venv, entry.out / f"{entry.task.name}-nnunet")
    peer.prepare()
    tuned = peer.tuned(entry.minutes, bf16)
    loading = tuned.tried[0]
    started = cell.now()
    work = entry.out / f"{entry.task.name}-{name}-{entry.minutes:g}min-seed{entry.seed}"
    told = peer.train(entry.minutes, entry.seed, bf16, loading, work)
    return Cell(
        task=entry.task.name,
        contender=name,
        minutes=entry.minutes,
        seed=entry.seed,
        started=started,
        machine=cell.this_machine(),
        load_before=tuned.load_before,
        load_after=tuned.load_after,
        others_share=tuned.others_share,
        versions=tuple(Version(package=package, version=text) for package, text in told["versions"].items()),
        train_s=told["seconds"],
        steps=told["iterations"],
        batch=told["batch"],
        patch_vox=tuple(told["patch"]),
        settings=cell.settings(
            configuration=entry.task.configuration,
            features=tuple(told["features"]),
            precision="bf16 autocast" if bf16 else "fp32",
            epochs=told["epochs"],
            loader_processes=loading.processes,
            threads=loading.threads,
            iteration_s_when_tuned=f"{loading.iteration_s:.4f}",
            tried="; ".join(
                f"{one.processes} processes, {one.threads} threads: {one.iteration_s:.3f} s" for one in tuned.tried
            ),
            mirrored_prediction=f"axes {tuple(told['mirror_axes'])}, nnU-Net's default",
            predicted_s=told["predicted_s"],
        ),
        scores=score(entry.task, entry.data, work / "mirrored", work / "references"),
        scores_without_mirroring=score(entry.task, entry.data, work / "plain", work / "references"),
    )


CONTENDERS: dict[str, Callable[[Entry], Cell]] = {
    OURS: autoseg,
    "nnunet": lambda entry: nnunet(entry, bf16=False),
    "nnunet_bf16": lambda entry: nnunet(entry, bf16=True),
}


def _versions(*packages: str) -> tuple[Version, ...]:
    known = [Version(package=package, version=metadata.version(package)) for package in packages]
    own = Version(package=OURS, version=f"{metadata.version('autoseg')} at {cell.commit()}")
    return (own, *known, Version(package="python", version=platform.python_version()))
