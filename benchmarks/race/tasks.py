"""The data sets that are raced on, and which of their cases train and validate."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from autoseg.contracts import Label, LabelSet

SPLITS = Path(__file__).parents[1] / "splits"
FOLDS = 5
FOLD = 0
"""The fold that races train without and are judged on. No default may be chosen by its cases."""


@dataclass(frozen=True)
class Task:
    """A data set of pairs of files, one image and one mask of the same name.

    Attributes:
        name: What it is called in tables and file names.
        folder: Of the data set.
        images, masks: Its folders of files.
        suffix: Of image and mask.
        channels: Names of the image's channels.
        labels: Names and values in the masks.
        configuration: What nnU-Net trains.
        minutes: Of training in the comparison that counts.
        fold: Of the committed splits, that is left out of training and judged on.
    """

    name: str
    folder: str
    images: str
    masks: str
    suffix: str
    channels: tuple[str, ...]
    labels: tuple[Label, ...]
    configuration: str
    minutes: float
    fold: int = FOLD

    @property
    def splits(self) -> Path:
        """The committed folds."""
        return SPLITS / f"{self.folder}.json"

    @property
    def label_set(self) -> LabelSet:
        """What is scored."""
        return LabelSet(labels=self.labels)

    @property
    def training(self) -> tuple[str, ...]:
        """The cases that both sides train on."""
        return tuple(json.loads(self.splits.read_text())[self.fold]["train"])

    @property
    def validation(self) -> tuple[str, ...]:
        """The cases that both sides are judged on."""
        return tuple(json.loads(self.splits.read_text())[self.fold]["val"])

    def files(self, data: Path, cases: tuple[str, ...]) -> Iterator[tuple[str, Path, Path]]:
        """Name, image and mask of each case below DATA."""
        for case in cases:
            file = f"{case}{self.suffix}"
            yield case, data / self.folder / self.images / file, data / self.folder / self.masks / file


TASKS = {
    task.name: task
    for task in (
        Task(
            name="hippocampus",
            folder="Task04_Hippocampus",
            images="imagesTr",
            masks="labelsTr",
            suffix=".nii.gz",
            channels=("MRI",),
            labels=(Label(name="Anterior", value=1), Label(name="Posterior", value=2)),
            configuration="3d_fullres",
            minutes=20.0,
        ),
        Task(
            name="nuclei",
            folder="nuclei_png",
            images="images",
            masks="masks",
            suffix=".png",
            channels=("R", "G", "B"),
            labels=(Label(name="nucleus", value=255),),
            configuration="2d",
            minutes=15.0,
        ),
    )
}
