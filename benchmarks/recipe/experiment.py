"""The cells of an experiment: made when they are missing, refused when they were made of something else."""

from dataclasses import dataclass
from pathlib import Path

import torch

from autoseg import records
from benchmarks.race import cell, pace
from benchmarks.race.autoseg_cell import Variation, trained
from benchmarks.race.autoseg_side import Setup, Side, Tuned
from benchmarks.race.cell import Cell
from benchmarks.recipe.variants import phases, same_work, varied
from planners.contracts import Configuration, Record

TIMED_S = 20.0
"""In which a variant and the base take turns."""


class Slowness(Record):
    """How many times as long a step takes as the base's, timed in turns."""

    variant: str
    changed: tuple[str, ...]
    ratio: float
    others_share: float  # of the cores' time, that other processes took meanwhile


@dataclass(frozen=True)
class Experiment:
    """One data set, time and fold.

    Attributes:
        side: What trains, and where.
        setup: What all cells share.
        tuned: The speed of the base.
    """

    side: Side
    setup: Setup
    tuned: Tuned

    @classmethod
    def prepared(cls, side: Side) -> "Experiment":
        """Plan, prepare and time the base, unless that is done."""
        setup = side.setup()
        return cls(side, setup, side.tuned(setup))

    def configuration(self, variant: str) -> Configuration:
        """As planned, with the variant's change."""
        return varied(variant, self.setup.planned)

    def changed(self, variant: str) -> tuple[str, ...]:
        """What the variant changes; nothing, where the plan says so anyway."""
        return records.changes(self.setup.planned, self.configuration(variant))

    def slowness(self, variant: str) -> Slowness:
        """Of a step, on average over the schedule; timed, unless it is known or nothing that takes time is changed."""
        changed, configuration = self.changed(variant), self.configuration(variant)
        if same_work(configuration, self.setup.planned):
            return Slowness(variant=variant, changed=changed, ratio=1.0, others_share=0.0)
        path = self.side.out / "slowness" / f"{variant}.json"
        if not path.exists():
            print(f"timing {variant}", flush=True)
            watch = cell.Watch()
            ratio = sum(share * self._ratio(phase) for share, phase in phases(configuration))
            share = watch.others_share()
            records.write(path, Slowness(variant=variant, changed=changed, ratio=ratio, others_share=share))
        known = records.read(path, Slowness)
        _require_same(variant, known.changed, changed, path)
        return known

    def _ratio(self, phase: Configuration) -> float:
        base = self.setup.planned
        return (
            1.0
            if same_work(phase, base)
            else pace.ratio(phase, base, self.side.source(self.setup), TIMED_S, torch.device("cpu"))
        )

    def cell(self, variant: str, seed: int) -> Cell:
        """Trained and scored, unless it is there."""
        changed = self.changed(variant)
        path = self.side.out / "cells" / cell.file_name(self.side.task.name, variant, self.side.minutes, seed)
        if not path.exists():
            print(f"{path.stem}", flush=True)
            speed = self.slowness(variant)
            variation = Variation(variant, self.configuration(variant), speed.ratio, changed, speed.others_share)
            records.write(path, trained(self.side, self.setup, self.tuned, variation, seed))
        known = records.read(path, Cell)
        _require_same(variant, known.changed, changed, path)
        return known


def _require_same(variant: str, kept: tuple[str, ...], now: tuple[str, ...], path: Path) -> None:
    if kept != now:
        raise SystemExit(
            f"{path} was made with {variant} meaning {'; '.join(kept) or 'nothing'}; now it means "
            f"{'; '.join(now) or 'nothing'}: delete that file to have it made anew, or give another OUT"
        )
