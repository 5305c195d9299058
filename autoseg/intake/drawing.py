"""The part of a label where anything is drawn: all that has to be counted, translated and measured."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from autoseg.labelling import count_values, to_classes
from autoseg.volumes import runs
from autoseg.volumes.labels import Slices, bounding_slices
from planners.contracts import Shape

_NOWHERE = (slice(0, 0),) * 3


@dataclass(frozen=True, eq=False)
class Drawing:
    """A label without what is empty around it; labels are mostly background, so this is far less to look at.

    Attributes:
        shape: (z, y, x) of the label.
        box: Where in it the part lies; outside, everything is 0.
        part: (z, y, x) values of the box, contiguous, so that looking at them is fast however the file runs.
    """

    shape: Shape
    box: Slices
    part: np.ndarray

    @classmethod
    def of(cls, label: np.ndarray) -> "Drawing":
        """What is drawn in a label (z, y, x) of whole numbers."""
        box = bounding_slices(label) or _NOWHERE
        depth, height, width = label.shape
        return cls((depth, height, width), box, np.ascontiguousarray(label[box]))

    @cached_property
    def runs(self) -> runs.Runs | None:
        """The part as runs; None where they would save nothing."""
        return runs.find(self.part)

    @cached_property
    def voxels(self) -> dict[int, int]:
        """Voxels per value of the whole label, in ascending order of values."""
        counts = count_values(self.part) if self.runs is None else self.runs.voxels()
        ground = int(np.prod(self.shape, dtype=np.int64)) - sum(n for value, n in counts.items() if value)
        return dict(sorted((counts | ({0: ground} if ground else {})).items()))

    def translated(self, classes: Mapping[int, int]) -> "Drawing":
        """The same in class indices, see ``labelling.to_classes``.

        Raises:
            LabelError: A value has no class.
        """
        part = to_classes(self.part, classes, self.voxels)
        if part is self.part:
            return self
        outside = classes.get(0, 0)
        translated = Drawing(self.shape, self.box, part)
        return translated if outside == 0 else Drawing.of(translated.whole(outside))

    def whole(self, outside: int = 0) -> np.ndarray:
        """The label (z, y, x) in full, with a value around the part."""
        label = np.full(self.shape, outside, self.part.dtype)
        label[self.box] = self.part
        return label
