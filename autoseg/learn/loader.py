"""From cases to batches. Which patch stands where in which batch depends on (seed, step, sample) and nothing else.

So a resumed job sees what an unbroken one would have seen, with no loader state to save. Where patches grow, their size
depends on how far the schedule has come when the step is taken, which is part of every checkpoint; what was read ahead
for smaller ones is read again. Threads read ahead, each a sample at a time. There are no worker processes: reading is
copying from memory or mapped files, during which threads do not hinder each other, all share the cases that are kept,
and the costly part of augmentation runs where training runs.

A sample that cannot be read is tried once more, since disks and networks have bad moments; then the job ends, saying
which case it was.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from autoseg import machine
from autoseg.errors import DoesNotFit, UnreadableFile
from autoseg.learn.augmentation import change_intensities, show
from autoseg.learn.cases import PatchSource
from autoseg.learn.sampling import Sample, drawn_case, sample
from autoseg.learn.schedule import patch
from autoseg.learn.team import ALONE, Team
from autoseg.learn.transfer import send
from planners.contracts import TrainingPlan

AHEAD = 2
"""Batches read in advance."""
MOST_READERS = 8
"""Threads; more would wait for memory."""
PAUSE_S = 1.0
"""Before something is read again that could not be read."""
Key = tuple[int, int, int]
"""(seed, step, index): which sample."""


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

    Use in a ``with`` block: leaving it stops the threads. A member of a team gets its own samples only. What had to be
    read again is told to ``warn``, in the thread that asks for batches.
    """

    def __init__(
        self,
        source: PatchSource,
        plan: TrainingPlan,
        device: torch.device,
        seed: int,
        step: int,
        team: Team = ALONE,
        warn: Callable[[str], None] = lambda detail: None,
    ) -> None:
        self.waited_s = 0.0
        self._samples = team.samples(plan.batch)
        self._source, self._device, self._seed = source, device, seed
        self._full = self._plan = plan  # as planned, and with the patch of the moment
        self._step, self._warn = step, warn
        self._pool = ThreadPoolExecutor(readers(device), thread_name_prefix="loader")
        self._pending: deque[dict[Key, Future[Sample]]] = deque()

    def __enter__(self) -> "Batches":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def next(self, share: float = 1.0) -> tuple[Tensor, Tensor]:
        """The next batch: images (B, C, *patch) float32, classes (B, *patch) int16.

        Args:
            share: Of the schedule that is done; decides the size of patches that grow.

        Raises:
            UnreadableFile, DoesNotFit: A case could not be read, twice.
        """
        self._resize(patch(self._full, share))
        self._read_ahead()
        started = time.perf_counter()
        samples = [self._arrived(*coming) for coming in self._pending.popleft().items()]
        self.waited_s += time.perf_counter() - started
        self._step += 1
        self._read_ahead()
        return assemble(samples, self._plan, self._device)

    def _resize(self, wanted: tuple[int, ...]) -> None:
        """Read patches of another size from now on."""
        if wanted == self._plan.patch_vox:
            return
        for coming in self._pending:
            for reading in coming.values():
                reading.cancel()
        self._pending.clear()
        self._plan = self._plan.model_copy(update={"patch_vox": wanted})

    def _read_ahead(self) -> None:
        while len(self._pending) < AHEAD:
            step = self._step + len(self._pending)
            keys = [(self._seed, step, index) for index in self._samples]
            self._pending.append({key: self._pool.submit(self._read, self._plan, key) for key in keys})

    def _read(self, plan: TrainingPlan, key: Key) -> Sample:
        read = sample(self._source, plan, key)
        return read.pinned() if self._device.type == "cuda" else read

    def _arrived(self, key: Key, reading: Future[Sample]) -> Sample:
        """A sample that was asked for; read again, where that failed."""
        try:
            return reading.result()
        except (OSError, MemoryError) as error:
            case = drawn_case(self._source, key)
            self._warn(f"case {case} could not be read ({_problem(error)}); trying once more")
        time.sleep(PAUSE_S)
        try:
            return self._pool.submit(self._read, self._plan, key).result()
        except OSError as error:
            raise UnreadableFile(error.filename or case, f"case {case}: {_problem(error)}, twice", _TODO) from error
        except MemoryError as error:
            raise DoesNotFit(f"case {case}: {_problem(error)}, twice; free memory, then {_AGAIN}") from error


def _problem(error: OSError | MemoryError) -> str:
    if isinstance(error, MemoryError):
        return f"no memory to read it ({machine.gib(machine.ram_bytes())} are free)"
    return error.strerror or str(error)


_AGAIN = "run the same command again: training goes on from where it was"
_TODO = f"make it readable, or delete it to have it made anew; then {_AGAIN}"
