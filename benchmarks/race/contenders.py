"""Who races: each makes one cell."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.nnunet import Peer
from benchmarks.race import cell
from benchmarks.race.autoseg_cell import OURS, Variation, trained
from benchmarks.race.autoseg_side import Side
from benchmarks.race.cell import Cell
from benchmarks.race.scoring import score
from benchmarks.race.tasks import Task
from planners.contracts import Version


@dataclass(frozen=True)
class Entry:
    """One cell to make: a task, the time and seed, where the data are and where to work."""

    task: Task
    minutes: float
    seed: int
    data: Path
    venv: Path
    out: Path
    device: str = "cpu"


def autoseg(entry: Entry) -> Cell:
    """Our own plan and training."""
    out = entry.out / f"{entry.task.name}-{OURS}-{entry.minutes:g}min"
    side = Side(entry.task, entry.data, entry.minutes, out, entry.device)
    setup = side.setup()
    return trained(side, setup, side.tuned(setup), Variation(OURS, setup.planned), entry.seed)


def nnunet(entry: Entry, *, bf16: bool) -> Cell:
    """nnU-Net with its defaults, or under autocast."""
    name = "nnunet_bf16" if bf16 else "nnunet"
    peer = Peer(entry.task, entry.data, entry.venv, entry.out / f"{entry.task.name}-nnunet", entry.device)
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
        machine=tuned.machine or cell.this_machine(entry.device),
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
            precision="bf16 autocast" if bf16 else "fp16 autocast" if entry.device == "cuda" else "fp32",
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
