"""Which patch to train on next, and what is to happen to it: drawn for each sample by itself."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from autoseg.learn.augmentation import Geometry, Intensities, draw_geometry, draw_intensities
from autoseg.learn.cases import PatchSource
from autoseg.volumes.disturb import disturb
from autoseg.volumes.patches import corner_around, random_corner
from planners.contracts import TrainingPlan


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
    drawn = (drawn_case(source, (seed, step, index)) for index in range(batch))
    return tuple(dict.fromkeys(drawn))


def drawn_case(source: PatchSource, key: Sequence[int]) -> str:
    """The case of one sample; ``key`` as for ``sample``."""
    return _case(source, np.random.default_rng(list(key)))


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
