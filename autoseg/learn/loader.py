"""From cases to batches. Which patch stands where in which batch depends on (seed, step, sample) and nothing else.

So a resumed job sees what an unbroken one would have seen, with no loader state to save. One background thread reads
ahead; there are no worker processes: patches come from memory or memory-mapped arrays, and the costly part of
augmentation runs on the training device.
"""

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autoseg.learn.augmentation import (
    Geometry,
    Intensities,
    change_intensities,
    draw_geometry,
    draw_intensities,
    show,
)
from autoseg.learn.losses import IGNORED
from autoseg.learn.transfer import send
from autoseg.volumes.disturb import disturb
from autoseg.volumes.labels import one_hot
from autoseg.volumes.patches import corner_around, foreground_locations, gather, random_corner
from planners.contracts import TrainingPlan

AHEAD = 2
"""Batches read in advance."""
PREDICTED_SHARE = 0.25
"""Of the memory for cases, that predictions of a previous stage may fill beside them; the latest used are kept."""


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
        return np.concatenate((patch, one_hot(gather(self._prediction(case), corner, size, 0), self.members))), classes

    def locations(self, case: str) -> tuple[NDArray[np.int32], ...]:
        """Tables of voxels to centre patches on; made when a case is first asked for."""
        if case not in self._tables:
            labels = self._arrays(case)[1]
            members = list(self.members)
            if self._ignore_index is not None:
                members.append(tuple(range(self._ignore_index)))
            self._tables[case] = foreground_locations(labels, members, seed=0)
        return self._tables[case]

    def _prediction(self, case: str) -> NDArray:
        if case in self._predicted:
            self._predicted.move_to_end(case)
        elif self._previous is not None:
            self._predicted[case] = self._previous(case)
            while len(self._predicted) > 1 and sum(m.nbytes for m in self._predicted.values()) > self._predicted_room:
                self._predicted.popitem(last=False)
        return self._predicted[case]

    def _arrays(self, case: str) -> tuple[NDArray, NDArray]:
        if case in self._kept:
            return self._kept[case]
        if case not in self._open:
            image, labels = self._load(case)
            size = image.nbytes + labels.nbytes
            if size <= self._room:
                self._room -= size
                self._kept[case] = np.array(image), np.array(labels)
                return self._kept[case]
            self._open[case] = image, labels
            if len(self._open) > 64:  # each open case holds two file handles
                self._open.popitem(last=False)
        return self._open[case]


@dataclass(frozen=True)
class Sample:
    """One patch as read, larger than the final one where an affine will need its surroundings, and what to make of it.

    Attributes:
        image: (C, *source) float32.
        labels: (*source) int16.
        geometry: From the source to the patch.
        intensities: Of all channels but the masks of a previous stage.
    """

    image: Tensor
    labels: Tensor
    geometry: Geometry
    intensities: Intensities

    def pinned(self) -> "Sample":
        """The same in memory that an accelerator copies from by itself."""
        return replace(self, image=self.image.pin_memory(), labels=self.labels.pin_memory())


def sample(source: PatchSource, plan: TrainingPlan, key: Sequence[int]) -> Sample:
    """Draw and read one patch; ``key`` is (seed, step, index) and decides everything."""
    rng = np.random.default_rng(list(key))
    dimension = len(plan.patch_vox)
    flat = (1,) * (3 - dimension)  # a 2D patch is a slice
    case = _case(source, rng)
    corner = _corner(source, case, flat + plan.patch_vox, plan.foreground_fraction, rng)
    geometry = draw_geometry(rng, plan.augmentation, dimension)
    size = flat + geometry.source_size(plan.patch_vox)
    corner = tuple(c + (p - s) // 2 for c, p, s in zip(corner, flat + plan.patch_vox, size, strict=True))
    image, labels = source.read(case, corner, size)
    masks = plan.augmentation.masks
    if masks:
        disturb(image[-masks:], rng, plan.augmentation.mask_border_probability, plan.augmentation.mask_loss_probability)
    intensities = draw_intensities(rng, plan.augmentation, len(image) - masks, dimension)
    if flat:
        image, labels = image[:, 0], labels[0]
    return Sample(torch.from_numpy(image), torch.from_numpy(labels), geometry, intensities)


def _case(source: PatchSource, rng: np.random.Generator) -> str:
    return source.cases[int(rng.integers(len(source.cases)))]


def drawn_cases(source: PatchSource, batch: int, seed: int, step: int) -> tuple[str, ...]:
    """The cases that the patches of one step come from, each once."""
    drawn = (_case(source, np.random.default_rng([seed, step, index])) for index in range(batch))
    return tuple(dict.fromkeys(drawn))


def _corner(
    source: PatchSource, case: str, patch: Sequence[int], foreground_fraction: float, rng: np.random.Generator
) -> tuple[int, ...]:
    shape, tables = source.shape(case), source.locations(case)
    targets = [table for table in tables[: len(source.members)] if len(table)]
    annotated = [table for table in tables[len(source.members) :] if len(table)]
    if targets and rng.random() < foreground_fraction:
        table = targets[int(rng.integers(len(targets)))]
    elif annotated:
        table = annotated[0]
    else:
        return random_corner(shape, patch, rng)
    return corner_around(table[int(rng.integers(len(table)))], shape, patch, rng)


def assemble(samples: Sequence[Sample], plan: TrainingPlan, device: torch.device) -> tuple[Tensor, Tensor]:
    """Samples to an augmented batch on the device: (B, C, *patch) float32 and (B, *patch) int16."""
    images, labels = [], []
    for item in samples:
        source = send(item.image, device), send(item.labels, device)
        image, classes = show(*source, item.geometry, plan.patch_vox)
        images.append(image)
        labels.append(classes)
    batch = torch.stack(images)
    change_intensities(batch, [item.intensities for item in samples])
    return batch, torch.stack(labels)


class Batches:
    """Endless batches from ``step`` on, read one step ahead by a thread; ``waited_s`` sums the time spent waiting.

    Use in a ``with`` block: leaving it stops the thread.
    """

    def __init__(self, source: PatchSource, plan: TrainingPlan, device: torch.device, seed: int, step: int) -> None:
        self.waited_s = 0.0
        self._source, self._plan, self._device, self._seed = source, plan, device, seed
        self._step = step
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="loader")
        self._pending = deque(self._pool.submit(self._read, step + i) for i in range(AHEAD))

    def __enter__(self) -> "Batches":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            yield self.next()

    def next(self) -> tuple[Tensor, Tensor]:
        """The next batch: images (B, C, *patch) float32, classes (B, *patch) int16."""
        started = time.perf_counter()
        samples = self._pending.popleft().result()
        self.waited_s += time.perf_counter() - started
        self._pending.append(self._pool.submit(self._read, self._step + AHEAD))
        self._step += 1
        return assemble(samples, self._plan, self._device)

    def _read(self, step: int) -> list[Sample]:
        read = [sample(self._source, self._plan, (self._seed, step, index)) for index in range(self._plan.batch)]
        return [item.pinned() for item in read] if self._device.type == "cuda" else read
