"""The cases to train on: opened when first asked for, kept in memory as far as that is allowed, shared by threads."""

import mmap
from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock, RLock
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from autoseg.learn.losses import IGNORED
from autoseg.volumes.labels import one_hot
from autoseg.volumes.patches import foreground_locations, gather

PREDICTED_SHARE = 0.25
"""Of the memory for cases, that predictions of a previous stage may fill beside them; the latest used are kept."""
MOST_OPEN = 64
"""Cases that are mapped and not kept; each holds two file handles."""


class PatchSource(Protocol):
    """Where patches come from."""

    @property
    def cases(self) -> Sequence[str]:
        """Names of the cases to train on."""
        ...

    @property
    def members(self) -> Sequence[Sequence[int]]:
        """Class indices of each target (label or region)."""
        ...

    def shape(self, case: str) -> tuple[int, ...]:
        """(z, y, x) of the case."""
        ...

    def read(self, case: str, corner: Sequence[int], size: Sequence[int]) -> tuple[NDArray, NDArray]:
        """Image (C, *size) float32, padded with 0, and classes (*size) int16, ``IGNORED`` outside and unannotated.

        Masks of a previous stage, where there is one, are the last channels of the image.
        """
        ...

    def locations(self, case: str) -> tuple[NDArray[np.int32], ...]:
        """Voxels of each target, (n, 3); a further last table of annotated voxels where some are not annotated."""
        ...


class CaseSource:
    """A ``PatchSource`` over arrays that ``load`` opens, keeping as many cases in memory as ``cache_bytes`` allows.

    Threads may read at the same time; of those that want the same case first, one opens it and the others wait.

    Args:
        cases: Names of the cases to train on.
        load: Opens a case: image (C, z, y, x) float32 and class indices (z, y, x), best memory-mapped.
        members: Class indices of each target.
        ignore_index: Class index of unannotated voxels; None if all are annotated.
        previous: Gives class indices (z, y, x) that a previous stage predicts of a case; None: there is no such stage.
        cache_bytes: Most memory to keep cases in; a case that does not fit stays memory-mapped.
    """

    def __init__(
        self,
        cases: Sequence[str],
        load: Callable[[str], tuple[NDArray, NDArray]],
        members: Sequence[Sequence[int]],
        ignore_index: int | None = None,
        previous: Callable[[str], NDArray] | None = None,
        cache_bytes: int = 1 << 30,
    ) -> None:
        self.cases = tuple(cases)
        self.members = tuple(tuple(m) for m in members)
        self._load = load
        self._previous = previous
        self._predicted: OrderedDict[str, NDArray] = OrderedDict()
        self._predicted_room = int(PREDICTED_SHARE * cache_bytes)
        self._ignore_index = ignore_index
        self._room = cache_bytes
        self._kept: dict[str, tuple[NDArray, NDArray]] = {}
        self._open: OrderedDict[str, tuple[NDArray, NDArray]] = OrderedDict()
        self._tables: dict[str, tuple[NDArray[np.int32], ...]] = {}
        self._of_case: dict[str, RLock] = {}  # held while something is made of a case
        self._of_all = Lock()  # held while what is kept changes; never while anything is read or computed

    def shape(self, case: str) -> tuple[int, ...]:
        """(z, y, x) of the case."""
        return self._arrays(case)[1].shape

    def read(self, case: str, corner: Sequence[int], size: Sequence[int]) -> tuple[NDArray, NDArray]:
        """A padded patch of image and classes."""
        image, labels = self._arrays(case)
        classes = gather(labels, corner, size, IGNORED, np.int16)
        if self._ignore_index is not None:
            classes[classes == self._ignore_index] = IGNORED
        patch = gather(image, corner, size, 0.0)
        if self._previous is None:
            return patch, classes
        predicted = gather(self._prediction(case, self._previous), corner, size, 0)
        return np.concatenate((patch, one_hot(predicted, self.members))), classes

    def locations(self, case: str) -> tuple[NDArray[np.int32], ...]:
        """Tables of voxels to centre patches on; made when a case is first asked for."""
        with self._lock(case):
            if case not in self._tables:
                members = list(self.members)
                if self._ignore_index is not None:
                    members.append(tuple(range(self._ignore_index)))
                self._tables[case] = foreground_locations(self._arrays(case)[1], members, seed=0)
            return self._tables[case]

    def _lock(self, case: str) -> RLock:
        with self._of_all:
            return self._of_case.setdefault(case, RLock())

    def _prediction(self, case: str, previous: Callable[[str], NDArray]) -> NDArray:
        with self._lock(case):
            found = self._predicted.get(case)
            made = previous(case) if found is None else found
            with self._of_all:
                self._predicted[case] = made
                self._predicted.move_to_end(case)
                while len(self._predicted) > 1 and self._predicted_bytes() > self._predicted_room:
                    self._predicted.popitem(last=False)
        return made

    def _predicted_bytes(self) -> int:
        return sum(masks.nbytes for masks in self._predicted.values())

    def _arrays(self, case: str) -> tuple[NDArray, NDArray]:
        with self._lock(case):
            found = self._kept.get(case) or self._open.get(case)
            return found if found is not None and all(map(_whole, found)) else self._opened(case)

    def _opened(self, case: str) -> tuple[NDArray, NDArray]:
        image, labels = self._load(case)
        if self._reserved(image.nbytes + labels.nbytes):
            try:
                self._kept[case] = np.array(image), np.array(labels)
            except MemoryError:
                self._room = 0  # whoever tries again gets it mapped
                raise
            return self._kept[case]
        with self._of_all:
            self._open[case] = image, labels
            if len(self._open) > MOST_OPEN:
                self._open.popitem(last=False)
        return image, labels

    def _reserved(self, size_bytes: int) -> bool:
        """Take room for a case, if there is any."""
        with self._of_all:
            fits = size_bytes <= self._room
            self._room -= size_bytes if fits else 0
        return fits


def _whole(array: NDArray) -> bool:
    """Whether all that is mapped is still in its file: to touch what was cut off would end the process (SIGBUS)."""
    mapped = array.base
    return not isinstance(mapped, mmap.mmap) or mapped.size() >= len(mapped)
