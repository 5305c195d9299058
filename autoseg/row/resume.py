"""What is done, what is open, and what has changed: records compared by the digests of their parents.

A stored record is current when it was made from exactly the parents it would be made from now. The same command thus
skips what is done. When parents differ, nothing is redone unless the user says so: redoing training costs hours.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from platform import node
from time import monotonic
from typing import TypeVar

from autoseg import records
from autoseg.contracts import Settings
from autoseg.errors import ChangedInputs
from autoseg.row.checkout import commit
from autoseg.row.journal import memory_of_tree
from autoseg.selection import halving
from autoseg.stages import crossvalidate, dataset, fingerprint, plan, predict, preprocess, report, select, train
from autoseg.workspace import STAGES
from planners.contracts import Parent, Provenance, StageRecord, Version

S = TypeVar("S", bound=StageRecord)

SETTINGS_OF: dict[str, tuple[str, ...]] = {
    "dataset": ("holdout", "folds", "seed", "layout", "splits", "strict", "snap_labels", "trust_grid", "axis4"),
    "budget": ("device", "preset", "hours", "folds", "deterministic", "device_gb"),
    "plan": ("planner", "configurations", "spacing_mm", "folds"),
    "search": ("search", "seed"),
    "train": ("seed", "device"),
    "select": ("seed",),
}
"""Which settings each step depends on; what is not listed depends on records alone."""

_STAGES = (dataset, fingerprint, plan, preprocess, train, crossvalidate, select, predict, report)
ALGORITHM_VERSIONS: dict[str, int] = {
    name: module.algorithm_version for name, module in zip(STAGES, _STAGES, strict=True)
} | {"search": halving.algorithm_version}
"""Each stage module, and the plan search, raises its own when its output would change for the same input."""

PACKAGES = ("autoseg", "torch", "numpy", "scipy", "SimpleITK", "nibabel", "optuna", "scikit-learn")


def parents_of(step: str, settings: Settings, **made_from: StageRecord) -> tuple[Parent, ...]:
    """The parents that ``step`` has now: its settings, its algorithm, and the records it reads."""
    asked = settings.model_dump(mode="json")
    found = [Parent(name=f"setting {name}", digest=str(asked[name])) for name in SETTINGS_OF.get(step, ())]
    found.append(Parent(name="algorithm", digest=str(ALGORITHM_VERSIONS.get(step, 1))))
    found += [Parent(name=name, digest=records.digest(record)) for name, record in made_from.items()]
    return tuple(found)


def stored(path: Path, kind: type[S]) -> S | None:
    """The record at ``path``, or None where there is none yet."""
    return records.read(path, kind) if path.exists() else None


def make(path: Path, parents: tuple[Parent, ...], compute: Callable[[], S]) -> S:
    """Compute a record, stamp it with parents and provenance, and write it."""
    stamped = stamp(compute, parents)
    records.write(path, stamped)
    return stamped


def stamp(compute: Callable[[], S], parents: tuple[Parent, ...]) -> S:
    """Compute a record and tell where it comes from and what it cost."""
    started, clock = datetime.now(UTC), monotonic()
    made = compute()
    provenance = Provenance(
        started=started.isoformat(timespec="seconds"),
        seconds=round(monotonic() - clock, 3),
        host=node(),
        peak_memory_bytes=memory_of_tree(),
        versions=tuple(Version(package=name, version=metadata.version(name)) for name in PACKAGES),
        commit=commit(),
    )
    return made.model_copy(update={"parents": parents, "provenance": provenance})


def changed(
    stage: str, before: tuple[Parent, ...], now: tuple[Parent, ...], files: Sequence[str] = ()
) -> ChangedInputs:
    """The error that tells what changed since ``stage`` was made, in which files, and what would have to be redone."""
    was, wants = ({p.name: p.digest for p in parents} for parents in (before, now))
    rows = [
        f"  {name}: {_short(was.get(name))} -> {_short(wants.get(name))}"
        for name in {**was, **wants}
        if was.get(name) != wants.get(name)
    ]
    redo = ", ".join(STAGES[STAGES.index(stage) :]) if stage in STAGES else "plan and all that follows"
    return ChangedInputs(
        "\n".join(
            [
                f"{stage}: this run folder was made from something else:",
                *rows,
                *(f"    {file}" for file in files),
                f"would be redone: {redo}",
                "add --replan to redo it, or choose another folder; `autoseg run SOURCE OUT --keep-plan` redoes it "
                "under the present plan",
            ]
        )
    )


def _short(digest: str | None) -> str:
    return "absent" if digest is None else digest if len(digest) < 20 else digest[:12]
