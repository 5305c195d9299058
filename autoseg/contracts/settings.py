"""What a user asks for, and what a run has cost so far."""

from typing import Literal

from planners.contracts import ConfigurationName, Preset, Record, Spacing, Wishes

Axis4 = Literal["channel", "time"]
"""What a fourth axis counts: channels of one image, or points in time, each of which is an image of its own."""


class Settings(Record):
    """What a user may ask for; the options of ``autoseg run`` are these fields."""

    hours: float | None = None  # null: as long as the preset takes
    preset: Preset = "standard"
    device: str = "auto"
    holdout: float = 0.0
    folds: int | None = None  # null: five, or fewer where there are few subjects or the hours are short
    seed: int = 0
    deterministic: bool = False
    planner: str = "auto"
    device_gb: float | None = None  # memory to plan for; null: what is free, or what an nnU-Net planner assumes
    configurations: tuple[ConfigurationName, ...] | None = None  # null: the planner's choice, also below
    spacing_mm: Spacing | None = None  # of the full resolution, along canonical (z, y, x)
    snap_labels: bool = False  # stray values in masks become the nearest label, however many there are
    trust_grid: bool = False  # a label of the image's shape is taken voxel for voxel, whatever its header says
    strict: bool = False  # any case that cannot be used is fatal
    splits: str | None = None  # file with folds to take; null: one in the source folder, or folds of our own
    layout: str | None = None  # how to read the source where it can be read in several ways; null: as it looks
    init: str | None = None  # model folder whose architecture and weights training starts from; null: from scratch
    axis4: Axis4 | None = None  # of images with a fourth axis; null: as files and declarations tell, else it is asked
    search: int = 0  # variants of the plan to try beside it; 0: the rules' plan is taken as it is

    @property
    def wishes(self) -> Wishes:
        """What is not left to the planner."""
        return Wishes(configurations=self.configurations, spacing_mm=self.spacing_mm, folds=self.folds)


class Run(Record):
    """``run.json``: what was asked, and what it has cost so far. The only record that names an absolute path."""

    schema_version: int = 1
    source: str  # the dataset's root; paths in other records are relative to it
    settings: Settings
    worked_s: float = 0.0  # wall-clock spent working, summed over restarts
    peak_memory_bytes: int = 0  # largest sampled memory of the process tree (PSS where the system tells it)
