"""From cases to batches. Which patch stands where in which batch depends on (seed, step, sample) and nothing else.

So a resumed job sees what an unbroken one would have seen, with no loader state to save. Threads read ahead, each a
sample at a time. There are no worker processes: reading is copying from memory or mapped files, during which threads do
not hinder each other, all share the cases that are kept, and the costly part of augmentation runs where training runs.
"""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from autoseg import machine
from autoseg.learn.augmentation import change_intensities, show
from autoseg.learn.cases import PatchSource
from autoseg.learn.sampling import Sample, sample
from autoseg.learn.team import ALONE, Team
from autoseg.learn.transfer import send
from planners.contracts import TrainingPlan

AHEAD = 2
"""Batches read in advance."""
MOST_READERS = 8
"""Threads; more would wait for memory."""


def readers(device: torch.device) -> int:
    """How many threads read: one where training needs the cores itself, else as many as there are cores to spare."""
    return 1 if device.type == "cpu" else max(1, min(MOST_READERS, machine.cores() - 1))


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
    """Endless batches from ``step`` on, read ahead by threads; ``waited_s`` sums the time spent waiting for them.

    Use in a ``with`` block: leaving it stops the threads. A member of a team gets its own samples only.
    """

    def __init__(
        self,
        source: PatchSource,
        plan: TrainingPlan,
        device: torch.device,
        seed: int,
        step: int,
        team: Team = ALONE,
    ) -> None:
        self.waited_s = 0.0
        self._samples = team.samples(plan.batch)
        self._source, self._plan, self._device, self._seed = source, plan, device, seed
        self._step = step
        self._pool = ThreadPoolExecutor(readers(device), thread_name_prefix="loader")
        self._pending = deque(self._requested(step + i) for i in range(AHEAD))

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
        samples = [coming.result() for coming in self._pending.popleft()]
        self.waited_s += time.perf_counter() - started
        self._pending.append(self._requested(self._step + AHEAD))
        self._step += 1
        return assemble(samples, self._plan, self._device)

    def _requested(self, step: int) -> list[Future[Sample]]:
        return [self._pool.submit(self._read, (self._seed, step, index)) for index in self._samples]

    def _read(self, key: tuple[int, int, int]) -> Sample:
        read = sample(self._source, self._plan, key)
        return read.pinned() if self._device.type == "cuda" else read
