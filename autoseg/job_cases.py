"""The prepared cases of a job, as its networks see them; whom they may teach is checked here."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autoseg import machine
from autoseg.errors import UnreadableFile
from autoseg.job import Job
from autoseg.learn.cases import CaseSource
from autoseg.outoffold import read_out_of_fold
from autoseg.postprocessing import segment
from autoseg.volumes.labels import Classes, one_hot
from autoseg.volumes.preparation import prepare_labels
from autoseg.workspace import JobFolder, PreparedFolder

CACHE_SHARE = 0.4
"""Of the free memory that may hold cases while training."""
_AGAIN = "run the same command again: what is missing or cut short is prepared anew, and training goes on"


@dataclass(frozen=True)
class JobCases:
    """What a job reads of its cases.

    Attributes:
        job: Whose.
        folder: The prepared cases.
        first_stage: Where each fold of the previous stage has its predictions; None: there is no such stage.
    """

    job: Job
    folder: PreparedFolder
    first_stage: Callable[[int], JobFolder] | None = None

    @property
    def source(self) -> CaseSource:
        """The cases that teach; asking it for any other is a bug and raises."""
        job, labels = self.job, self.job.dataset.labels
        taught = set(job.training)

        def load(case: str) -> tuple[NDArray, NDArray]:
            if case not in taught:
                raise RuntimeError(f"{job}: case {case} must not be trained on: it validates this fold, or watches it")
            return _mapped(self.folder.image(job.chosen.name, case)), _mapped(self.folder.label(job.chosen.name, case))

        previous = None if self.first_stage is None else self._before
        room = int(CACHE_SHARE * machine.ram_bytes() / job.budget.accelerators)
        return CaseSource(job.training, load, labels.members, labels.ignore_index, previous, cache_bytes=room)

    def image(self, case: str) -> NDArray[np.float32]:
        """What the network sees of a case (C, z, y, x), with the masks of the previous stage where there is one.

        Raises:
            UnreadableFile: The prepared array is missing or damaged.
        """
        image = _open(self.folder.image(self.job.chosen.name, case))
        if self.first_stage is None:
            return image
        return np.concatenate((image, one_hot(self._before(case), self.job.dataset.labels.members)))

    def label(self, case: str) -> Classes:
        """The class indices (z, y, x) on the prepared grid.

        Raises:
            UnreadableFile: The prepared array is missing or damaged.
        """
        return _open(self.folder.label(self.job.chosen.name, case))

    def _before(self, case: str) -> Classes:
        """What the previous stage's job predicted of its own validation case; the label where a case is in none."""
        labels = self.job.dataset.labels
        if self.first_stage is None or case not in self._fold_of:  # a given split may never validate it
            label = self.label(case)
            return np.where(label == labels.ignore_index, 0, label)
        geometry = self.job.geometry(case)
        path = self.first_stage(self._fold_of[case]).out_of_fold(case)
        probabilities = read_out_of_fold(path, geometry.canonical_shape, labels.kind)
        return prepare_labels(segment(probabilities, labels, geometry.source_spacing_mm), geometry)

    @cached_property
    def _fold_of(self) -> dict[str, int]:
        return {case: fold for fold, cases in enumerate(self.job.dataset.split.folds) for case in cases}


def _open(path: Path) -> NDArray:
    try:
        return _mapped(path)
    except OSError as error:
        raise UnreadableFile(path, f"cannot be read ({error.strerror})", _AGAIN) from error


def _mapped(path: Path) -> NDArray:
    """A prepared array.

    Raises:
        OSError: It cannot be opened, perhaps only now.
        UnreadableFile: It is damaged.
    """
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise UnreadableFile(path, f"not a whole prepared array ({error})", _AGAIN) from error
