"""What a choice is made from: the cases, their labels, and what each member says of those it never saw."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from autoseg import records
from autoseg.contracts import (
    Blend,
    CaseScan,
    Dataset,
    Decision,
    Member,
    Postprocessing,
    Selection,
    TrainedModel,
    Trial,
    alike,
)
from autoseg.outoffold import OutOfFold, embed, joint_box, no_plane, place, read_job
from autoseg.postprocessing import segment
from autoseg.quality import Segmented
from autoseg.volumes.blending import Heads, mean, on_scale
from autoseg.volumes.labels import Classes
from autoseg.workspace import DatasetFolder, JobFolder
from planners.contracts import Box

Jobs = Callable[[str, int], JobFolder]


@dataclass(frozen=True)
class Pipeline:
    """What could ship: from the members' probabilities to the class map."""

    members: tuple[Member, ...]
    mirror: bool = False
    blend: Blend = Blend()
    decision: Decision = Decision()
    postprocessing: tuple[Postprocessing, ...] = ()

    @classmethod
    def of(cls, chosen: Selection | Trial) -> "Pipeline":
        """The one that a selection ships, or that a trial was of."""
        return cls(chosen.members, chosen.mirror, chosen.blend, chosen.decision, chosen.postprocessing)

    @property
    def blended(self) -> "Pipeline":
        """The same as far as the blend: decided by the largest probability, and left as it is."""
        return Pipeline(self.members, self.mirror, self.blend)


@dataclass(frozen=True)
class Store:
    """The out-of-fold predictions of a run, and the truth about their cases.

    Attributes:
        dataset: Labels, subjects and the split.
        source: Canonical labels and scans.
        jobs: Folder of the job (configuration, fold).
        mirrored: Configurations whose cases were also predicted with mirrored copies.
    """

    dataset: Dataset
    source: DatasetFolder
    jobs: Jobs
    mirrored: frozenset[str] = field(default_factory=frozenset)

    @cached_property
    def held(self) -> tuple[tuple[str, int], ...]:
        """Each validation case with the fold whose model never saw it."""
        return tuple((case, fold) for fold, cases in enumerate(self.dataset.split.folds) for case in cases)

    @cached_property
    def scans(self) -> Mapping[str, CaseScan]:
        """Geometry of each validation case."""
        scans = alike(records.read(self.source.scan(case), CaseScan) for case in self.dataset.development)
        held = {case for case, _ in self.held}
        return {scan.case: scan for scan in scans if scan.case in held}

    def reference(self, case: str) -> Classes:
        """The true classes (z, y, x)."""
        truth: Classes = np.load(self.source.label(case), allow_pickle=False)
        return truth

    def read(self, configuration: str, case: str, fold: int, *, mirror: bool) -> OutOfFold:
        """What a configuration says of a case.

        Raises:
            DataError: The file is missing or damaged; the message names case, job and file.
        """
        mirror = mirror and configuration in self.mirrored
        return read_job(self.jobs(configuration, fold), configuration, fold, case, mirrored=mirror)

    def predictions(self, case: str, fold: int) -> "Predictions":
        """What all configurations say of a case."""
        return Predictions(self, case, fold)

    def predicted(self, case: str, fold: int, pipeline: Pipeline) -> Classes:
        """The class map (z, y, x) of a case: exactly what the shipped model would make of these probabilities."""
        _, classes, box = self.predictions(case, fold).decided(pipeline)
        return place(classes, box, self.scans[case].shape)

    def segmented(self, case: str, fold: int, pipeline: Pipeline) -> Segmented:
        """The same inside the box of what is predicted, with all that it was made from."""
        found = self.predictions(case, fold)
        probabilities, classes, box = found.decided(pipeline)
        scan = self.scans[case]
        opinions = tuple(found.opinions(pipeline, box))
        return Segmented(probabilities, classes, opinions, scan.spacing_mm, box, scan.shape)


@dataclass(frozen=True)
class Predictions:
    """What all configurations say of one case; each file is read once, when it is first needed."""

    store: Store
    case: str
    fold: int
    _read: dict[tuple[str, bool], OutOfFold] = field(default_factory=dict)

    def blended(self, pipeline: Pipeline) -> tuple[Heads, Box]:
        """The members' blend (H, z, y, x) inside the box that holds all of them."""
        stored = [self._of(member.configuration, pipeline.mirror) for member in pipeline.members]
        box = no_plane(joint_box([prediction.box for prediction in stored]), self.store.scans[self.case].shape)
        kind = self.store.dataset.labels.kind
        how = pipeline.blend
        parts = (on_scale(embed(one, box, kind), kind, how.scale, how.temperature) for one in stored)
        return mean(parts, [member.weight for member in pipeline.members], kind, how.scale), box

    def decided(self, pipeline: Pipeline) -> tuple[Heads, Classes, Box]:
        """The members' blend (H, z, y, x), the class map (z, y, x) that is made of it, and their box."""
        probabilities, box = self.blended(pipeline)
        labels, spacing_mm = self.store.dataset.labels, self.store.scans[self.case].spacing_mm
        classes = segment(probabilities, labels, spacing_mm, pipeline.postprocessing, pipeline.decision)
        return probabilities, classes, box

    def opinions(self, pipeline: Pipeline, box: Box) -> Iterator[Classes]:
        """The class map in ``box`` of each member alone, where there are several."""
        labels, spacing_mm = self.store.dataset.labels, self.store.scans[self.case].spacing_mm
        if len(pipeline.members) > 1:
            for member in pipeline.members:
                stored = self._of(member.configuration, pipeline.mirror)
                yield segment(embed(stored, box, labels.kind), labels, spacing_mm)

    def _of(self, configuration: str, mirror: bool) -> OutOfFold:
        if (configuration, mirror) not in self._read:
            found = self.store.read(configuration, self.case, self.fold, mirror=mirror)
            self._read[configuration, mirror] = found
        return self._read[configuration, mirror]


def mirrored_by(trained: Iterable[TrainedModel]) -> frozenset[str]:
    """Configurations of which every fold was also predicted with mirrored copies."""
    models = tuple(trained)
    return frozenset(m.configuration for m in models) - {m.configuration for m in models if not m.mirrored}
