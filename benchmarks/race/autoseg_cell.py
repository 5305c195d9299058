"""A cell of ours: a configuration trained for the steps that fit into the time at the speed that was tuned."""

import platform
from dataclasses import dataclass
from importlib import metadata

from benchmarks.race import cell
from benchmarks.race.autoseg_side import Setup, Side, Tuned
from benchmarks.race.cell import Cell
from benchmarks.race.scoring import score
from planners.contracts import Configuration, Version

OURS = "autoseg"


@dataclass(frozen=True)
class Variation:
    """What is trained.

    Attributes:
        name: Of the contender.
        configuration: As planned, or changed in what needs no other preparation.
        slowness: How many times as long its step takes as one of the planned configuration.
        changed: What is not as planned.
        others_share: Of the cores' time, that other processes took while the slowness was measured.
    """

    name: str
    configuration: Configuration
    slowness: float = 1.0
    changed: tuple[str, ...] = ()
    others_share: float = 0.0


def trained(side: Side, setup: Setup, tuned: Tuned, variation: Variation, seed: int) -> Cell:
    """Train, predict and score; the time asked for is counted out in steps, however busy the machine is."""
    started, step_s = cell.now(), tuned.step_s * variation.slowness
    work = side.out / f"{variation.name}-seed{seed}"
    model = side.train(setup, variation.configuration, counted(side.minutes, step_s), seed, work)
    training, network = variation.configuration.training, variation.configuration.network
    plain = score(side.task, side.data, work / "plain", work / "references")
    mirrored = score(side.task, side.data, work / "mirrored", work / "references") if model.mirrored else None
    return Cell(
        task=side.task.name,
        contender=variation.name,
        minutes=side.minutes,
        seed=seed,
        fold=side.task.fold,
        started=started,
        machine=tuned.machine or cell.this_machine(side.device),
        load_before=tuned.load_before,
        load_after=tuned.load_after,
        others_share=max(setup.others_share, tuned.others_share, variation.others_share),
        versions=_versions("torch", "numpy"),
        train_s=model.seconds,
        steps=model.steps,
        batch=training.batch,
        patch_vox=training.patch_vox,
        settings=cell.settings(
            configuration=variation.configuration.name,
            features=network.features,
            precision=training.precision,
            optimizer=training.optimizer,
            iteration_s_when_tuned=f"{step_s:.4f}",
            mirrored_prediction=f"axes {training.augmentation.mirror_axes}" if mirrored else "none",
            hours_planned_for=f"{setup.budget.hours or 0.0:.4f}",
        ),
        changed=variation.changed,
        scores=mirrored or plain,
        scores_without_mirroring=plain if mirrored else None,
    )


def counted(minutes: float, step_s: float) -> int:
    """Steps that fit into the time.

    >>> counted(5.0, 0.25)
    1200
    """
    return max(1, round(60 * minutes / step_s))


def _versions(*packages: str) -> tuple[Version, ...]:
    known = [Version(package=package, version=metadata.version(package)) for package in packages]
    own = Version(package=OURS, version=f"{metadata.version('autoseg')} at {cell.commit()}")
    return (own, *known, Version(package="python", version=platform.python_version()))
